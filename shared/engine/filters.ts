import type { RecordBatch, Schema } from "apache-arrow";
import { filterMatcher } from "../arrow/predicates/row-matcher.ts";
import { toRecordBatches } from "../arrow/record-batches.ts";
import { takeRows } from "../arrow/take.ts";
import type { BadRowSink } from "../contract/bad-rows.ts";
import type { ErrorLocation } from "../contract/errors.ts";
import type { Filter } from "../contract/filters.ts";
import type { RowSource } from "../contract/stream-reader.ts";

/**
 * Yields the rows for which all filters hold. Used for the filters that the source could not apply.
 * Throws `FILTER_INVALID`, and the errors of `toRecordBatches`.
 */
export async function* filterRows(
  schema: Schema,
  rows: RowSource,
  filters: readonly Filter[],
  where: ErrorLocation,
  badRows?: BadRowSink,
): AsyncGenerator<RecordBatch> {
  const matcher = filterMatcher(schema, filters);
  for await (const batch of toRecordBatches(schema, rows, where, badRows)) {
    const { matching, others } = matcher.split(batch);
    if (others.length === 0) yield batch;
    else if (matching.length > 0) yield takeRows(batch, matching);
  }
}

/**
 * Throws `FILTER_INVALID` if a filter names a column that does not exist, or compares it with a
 * value that the column cannot hold.
 */
export function checkFilters(schema: Schema, filters: readonly Filter[]): void {
  filterMatcher(schema, filters);
}
