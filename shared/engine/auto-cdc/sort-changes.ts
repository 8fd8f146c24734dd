import type { RecordBatch } from "apache-arrow";
import { asc } from "../../contract/write/distribution.ts";
import { type SortingOptions, sortedRows } from "../shuffle/sorted-rows.ts";
import { ADDED, type MergePlan } from "./merge-plan.ts";

/**
 * Returns the changes of a task by key, by sequence, and then as they were read, so that their
 * order does not depend on how tasks exchanged them. Beyond its memory it puts them aside in the
 * store.
 */
export function sortedChanges(
  changes: AsyncIterable<RecordBatch>,
  { changes: schema, settings: { keys } }: MergePlan,
  sorting: SortingOptions,
): AsyncIterable<RecordBatch> {
  const orders = [...keys, ADDED.sequence, ADDED.partition, ADDED.row].map((name) => asc(name));
  // What the write requires about the order of its rows may be sorted beside it.
  return sortedRows(changes, schema, orders, { ...sorting, folder: `${sorting.folder}changes/` });
}
