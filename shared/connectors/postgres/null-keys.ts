import type { RecordBatch } from "apache-arrow";
import { MillraceError } from "../../contract/errors.ts";

/**
 * Returns an error for each row with a null in a key column. SQL treats nulls as different from
 * each other, so such a row would never be updated. `before` is the number of rows of the task
 * before this batch. Error: `ROW_MISMATCH`.
 */
export function nullKeysIn(
  batch: RecordBatch,
  before: number,
  keyColumns: readonly string[],
): Map<number, MillraceError> {
  const refused = new Map<number, MillraceError>();
  for (const field of keyColumns) {
    const column = batch.getChild(field);
    if ((column?.nullCount ?? 0) === 0) continue;
    for (let index = 0; index < batch.numRows; index++)
      if (column?.isValid(index) === false) refused.set(index, nullKey(before + index + 1, field));
  }
  return refused;
}

function nullKey(row: number, field: string): MillraceError {
  return new MillraceError(
    "ROW_MISMATCH",
    `row ${row}, field "${field}": a field that is one of keyColumns is null`,
    {
      where: { row, field },
      hint: "Leave rows without a key out, or name other key columns.",
    },
  );
}
