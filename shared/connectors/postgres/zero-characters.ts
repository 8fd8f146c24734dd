import { type Data, DataType, type RecordBatch } from "apache-arrow";
import { rowsOf } from "../../arrow/rows.ts";
import { MillraceError } from "../../contract/errors.ts";

const HINT = "Take the character out of the text, or store the text as binary.";

/**
 * Returns an error for each row with a text that has a character with the code 0, which PostgreSQL
 * cannot store. `before` is the number of rows of the task before this batch. Error:
 * `ROW_MISMATCH`.
 */
export function zeroCharactersIn(batch: RecordBatch, before: number): Map<number, MillraceError> {
  const refused = new Map<number, MillraceError>();
  const names = batch.schema.fields.flatMap(({ name }, i) => {
    const column = batch.data.children[i];
    return column !== undefined && hasZero(column) ? [name] : [];
  });
  if (names.length === 0) return refused;
  let index = 0;
  for (const values of rowsOf(batch)) {
    const field = names.find((name) => isZeroIn(values[name]));
    if (field !== undefined) refused.set(index, zeroCharacter(before + index + 1, field));
    index++;
  }
  return refused;
}

function zeroCharacter(row: number, field: string): MillraceError {
  return new MillraceError(
    "ROW_MISMATCH",
    `row ${row}, field "${field}": expected a text that PostgreSQL can store, found a character with the code 0`,
    { where: { row, field }, hint: HINT },
  );
}

/**
 * Checks the values of one row, of which `text` is the JSON. Error: `ROW_MISMATCH`.
 */
export function refuseZeroCharactersIn(values: Readonly<Record<string, unknown>>, text: string): void {
  // JSON writes the character like this. A text that has these six characters is found by the next
  // look.
  if (!text.includes("\\u0000")) return;
  const field = Object.keys(values).find((name) => isZeroIn(values[name]));
  if (field === undefined) return;
  throw new MillraceError(
    "ROW_MISMATCH",
    `field "${field}": expected a text that PostgreSQL can store, found a character with the code 0`,
    { where: { field }, hint: HINT },
  );
}

/** Looks at the bytes of a column only. They may have a zero that belongs to no row. */
function hasZero(data: Data): boolean {
  if (DataType.isUtf8(data.type) || DataType.isLargeUtf8(data.type)) {
    const offsets = data.valueOffsets as Int32Array | BigInt64Array;
    const [begin, end] = [Number(offsets[0] ?? 0), Number(offsets[data.length] ?? 0)];
    return (data.values as Uint8Array).subarray(begin, end).includes(0);
  }
  if (DataType.isDictionary(data.type)) return data.dictionary?.data.some(hasZero) ?? false;
  return data.children.some(hasZero);
}

function isZeroIn(value: unknown): boolean {
  if (typeof value === "string") return value.includes("\0");
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([name, item]) => name.includes("\0") || isZeroIn(item));
}
