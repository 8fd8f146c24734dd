import { type Data, RecordBatch, type Struct } from "apache-arrow";
import { concatData } from "../../arrow/concat.ts";
import { sortKeysOf } from "../../arrow/sort-keys.ts";
import { takeRows } from "../../arrow/take.ts";
import { asc, type SortOrder } from "../../contract/write/distribution.ts";
import { ADDED, type MergePlan } from "./merge-plan.ts";

/**
 * The order of changes: by key, by sequence, and then as they were read, so that it does not depend
 * on how tasks exchanged them.
 */
export function orderOf({ settings: { keys } }: MergePlan): readonly SortOrder[] {
  return [...keys, ADDED.sequence, ADDED.partition, ADDED.row].map((name) => asc(name));
}

/** Returns all changes of a task in their order. */
export async function* sortedChanges(
  changes: AsyncIterable<RecordBatch>,
  plan: MergePlan,
): AsyncGenerator<RecordBatch> {
  const batches = (await Array.fromAsync(changes)).filter(({ numRows }) => numRows > 0);
  const [first] = batches;
  if (first === undefined) return;
  const all = concatData(
    first.data.type,
    batches.map(({ data }) => data as Data),
  );
  const batch = new RecordBatch(plan.changes, all as Data<Struct>);
  const keyOf = sortKeysOf(batch, orderOf(plan));
  const keys = Array.from({ length: batch.numRows }, (_, row) => keyOf(row));
  const rows = keys.map((_, row) => row);
  rows.sort((a, b) => Buffer.compare(keys[a] as Uint8Array, keys[b] as Uint8Array));
  yield takeRows(batch, rows);
}
