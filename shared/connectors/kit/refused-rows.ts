import type { RecordBatch } from "apache-arrow";
import { valueRowsOf } from "../../arrow/rows.ts";
import { withoutRows } from "../../arrow/take.ts";
import { type BadRowSink, type RefusedRowSink, withBadRowHint } from "../../contract/bad-rows.ts";
import type { TaskContext } from "../../contract/context.ts";
import type { MillraceError } from "../../contract/errors.ts";

/** Why rows of a record batch cannot be stored, by their indexes. */
export type Refusals = ReadonlyMap<number, MillraceError>;

/** Lets a commit fail at the first row that is refused. */
export const FAIL_AT_FIRST: RefusedRowSink = {
  add(error) {
    throw withBadRowHint(error);
  },
  finish: async () => undefined,
};

/**
 * Yields the rows of a task without those that the sink cannot store, which go to the task's
 * `badRows`. `refusalsOf` gets the number of rows before the record batch. Throws the error of the
 * first such row if the task has no `badRows`.
 */
export async function* withoutRefused(
  batches: AsyncIterable<RecordBatch>,
  { badRows }: TaskContext,
  refusalsOf: (batch: RecordBatch, before: number) => Refusals,
): AsyncGenerator<RecordBatch> {
  let rows = 0;
  for await (const batch of batches) {
    const refusals = refusalsOf(batch, rows);
    rows += batch.numRows;
    yield refusals.size === 0 ? batch : leftOf(batch, refusals, badRows);
  }
}

function leftOf(batch: RecordBatch, refusals: Refusals, badRows: BadRowSink | undefined): RecordBatch {
  for (const [index, error] of refusals) {
    if (badRows === undefined) throw withBadRowHint(error);
    badRows.add(error, { row: valuesAt(batch, index) });
  }
  return withoutRows(batch, refusals);
}

/** Returns one row as it is kept in the quarantine. */
export function valuesAt(batch: RecordBatch, index: number): unknown {
  const [row] = valueRowsOf(batch.slice(index, index + 1));
  return row;
}
