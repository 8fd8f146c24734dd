import type { RecordBatch, Schema } from "apache-arrow";
import { itemsOf, toRecordBatches } from "../arrow/record-batches.ts";
import { rowsOf } from "../arrow/rows.ts";
import { MillraceError } from "../contract/errors.ts";
import { isPlainObject, kindOf } from "../contract/json.ts";
import type { RowSource } from "../contract/stream-reader.ts";
import type { CodedProblem } from "./report.ts";

/** Rows as JSON text, so that they can be compared with `===`. */
export type RowTexts = readonly string[];

/**
 * Reads the rows of a partition as text. Errors are thrown; other problems are passed to `report`.
 */
export async function readRows(
  rows: RowSource,
  schema: Schema | undefined,
  report: (problem: CodedProblem) => void,
): Promise<RowTexts> {
  if (schema === undefined) return await readAnyRows(rows, report);
  const texts: string[] = [];
  for await (const batch of toRecordBatches(schema, rows, {})) addBatch(texts, batch);
  return texts;
}

/**
 * Reads rows without a schema, and compares the field names of each row with those of the first.
 */
async function readAnyRows(rows: RowSource, report: (problem: CodedProblem) => void): Promise<RowTexts> {
  const texts: string[] = [];
  let fields: readonly string[] | undefined;
  for await (const row of itemsOf(rows, {})) {
    if (isBatch(row)) {
      addBatch(texts, row);
      continue;
    }
    if (isPlainObject(row)) {
      fields ??= Object.keys(row);
      checkFields(row, fields, texts.length + 1, report);
    } else if (!Array.isArray(row)) {
      throw new MillraceError("ROW_NOT_A_ROW", `row ${texts.length + 1}: read() yielded ${kindOf(row)}`, {
        hint: "Yield each row as an object by field name, or as an array in the order of the schema.",
      });
    }
    texts.push(JSON.stringify(row, (_, value: unknown) => (typeof value === "bigint" ? `${value}` : value)));
  }
  return texts;
}

/**
 * Adds rows in a loop: a record batch may have more rows than a call of `push` can have arguments.
 */
function addBatch(texts: string[], batch: RecordBatch): void {
  for (const row of rowsOf(batch)) texts.push(JSON.stringify(row));
}

/** Returns true for a record batch or table, including one from another copy of apache-arrow. */
function isBatch(row: unknown): row is RecordBatch {
  return typeof row === "object" && row !== null && "numRows" in row && "schema" in row;
}

/** Reports a row whose fields differ from those of the first row. */
function checkFields(
  row: Readonly<Record<string, unknown>>,
  fields: readonly string[],
  number: number,
  report: (problem: CodedProblem) => void,
): void {
  const missing = fields.filter((name) => row[name] === undefined);
  const extra = Object.keys(row).filter((name) => !fields.includes(name));
  if (missing.length + extra.length > 0) report(differentFields(number, missing, extra));
}

function differentFields(row: number, missing: readonly string[], extra: readonly string[]): CodedProblem {
  const problems = [
    missing.length > 0 ? `has no ${missing.join(", ")}` : "",
    extra.length > 0 ? `has ${extra.join(", ")} besides` : "",
  ].filter((problem) => problem !== "");
  return {
    code: "ROW_MISMATCH",
    message: `row ${row} ${problems.join(" and ")}, unlike the first row of its partition`,
    hint: "Yield every field in each row, null where there is no value; give the kit the schema, and it says which are missing.",
  };
}

/** Returns the rows that are in `a` more often than in `b`. */
export function surplus(a: RowTexts, b: RowTexts): string[] {
  const counts = new Map<string, number>();
  for (const row of b) counts.set(row, (counts.get(row) ?? 0) + 1);
  return a.filter((row) => {
    const left = (counts.get(row) ?? 0) - 1;
    counts.set(row, left);
    return left < 0;
  });
}

/** Formats up to two of the rows for a message. */
export function describeRows(rows: RowTexts): string {
  const shown = rows.slice(0, 2).map((row) => (row.length > 120 ? `${row.slice(0, 119)}…` : row));
  return `${rows.length} row${rows.length === 1 ? "" : "s"}, such as ${shown.join(" and ")}`;
}
