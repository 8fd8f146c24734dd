import type { RecordBatch, Schema } from "apache-arrow";
import { itemsOf, toRecordBatches } from "../arrow/record-batches.ts";
import { rowsOf } from "../arrow/rows.ts";
import { MillraceError } from "../contract/errors.ts";
import { isPlainObject, kindOf } from "../contract/json.ts";
import type { RowSource } from "../contract/stream-reader.ts";
import type { Problem } from "./report.ts";

/** Rows as text, so that equal rows are equal. */
export type RowTexts = readonly string[];

/** The rows of a partition; what is wrong with them is thrown, or told. */
export async function readRows(
  rows: RowSource,
  schema: Schema | undefined,
  tell: (problem: Problem) => void,
): Promise<RowTexts> {
  const texts: string[] = [];
  if (schema !== undefined) {
    for await (const batch of toRecordBatches(schema, rows, {})) addBatch(texts, batch);
    return texts;
  }
  let fields: readonly string[] | undefined;
  for await (const row of itemsOf(rows, {})) {
    if (isRecordBatch(row)) {
      addBatch(texts, row);
      continue;
    }
    const number = texts.length + 1;
    if (isPlainObject(row)) {
      fields ??= Object.keys(row);
      const problem = differentFields(number, row, fields);
      if (problem !== undefined) tell(problem);
    } else if (!Array.isArray(row)) throw notARow(number, row);
    texts.push(JSON.stringify(row, (_, value: unknown) => (typeof value === "bigint" ? `${value}` : value)));
  }
  return texts;
}

/** Also true for a record batch of another copy of Arrow. */
function isRecordBatch(row: unknown): row is RecordBatch {
  return typeof row === "object" && row !== null && "numRows" in row && "schema" in row;
}

function addBatch(texts: string[], batch: RecordBatch): void {
  for (const row of rowsOf(batch)) texts.push(JSON.stringify(row));
}

function notARow(number: number, row: unknown): MillraceError {
  return new MillraceError("ROW_NOT_A_ROW", `row ${number}: read() yielded ${kindOf(row)}`, {
    hint: "Yield each row as an object by field name, or as an array in the order of the schema.",
  });
}

/** How a row differs from the first one, which has `fields`; `undefined` if it does not. */
function differentFields(
  number: number,
  row: Readonly<Record<string, unknown>>,
  fields: readonly string[],
): Problem | undefined {
  const missing = fields.filter((name) => row[name] === undefined);
  const extra = Object.keys(row).filter((name) => !fields.includes(name));
  if (missing.length + extra.length === 0) return undefined;
  const problems = [
    missing.length > 0 ? `has no ${missing.join(", ")}` : "",
    extra.length > 0 ? `has ${extra.join(", ")} besides` : "",
  ].filter((problem) => problem !== "");
  return {
    code: "ROW_MISMATCH",
    message: `row ${number} ${problems.join(" and ")}, unlike the first row of its partition`,
    hint: "Yield every field in each row, null where there is no value; give the kit the schema, and it says which are missing.",
  };
}

/** Rows that are in `a` more often than in `b`. */
export function surplus(a: RowTexts, b: RowTexts): string[] {
  const counts = new Map<string, number>();
  for (const row of b) counts.set(row, (counts.get(row) ?? 0) + 1);
  return a.filter((row) => {
    const left = (counts.get(row) ?? 0) - 1;
    counts.set(row, left);
    return left < 0;
  });
}

/** Some rows, for a message. */
export function some(rows: RowTexts): string {
  const shown = rows.slice(0, 2).map((row) => (row.length > 120 ? `${row.slice(0, 119)}…` : row));
  return `${rows.length} row${rows.length === 1 ? "" : "s"}, such as ${shown.join(" and ")}`;
}
