import type { BadRowPolicy } from "../../contract/bad-rows.ts";
import type { MillraceError } from "../../contract/errors.ts";
import { batchLocation } from "../messages.ts";
import type { Batch } from "../ports/ledger.ts";
import type { BatchProgress } from "../ports/records.ts";
import type { Ports } from "../ports/runtime.ts";
import type { Task, TaskBadRows } from "../ports/tasks.ts";
import { quarantineFolder } from "./files.ts";
import { badRowsKeys, tooManyBadRows } from "./task-bad-rows.ts";

/** Returns what the tasks that read and those that wrote have left out. They may be the same. */
export function badRowsOfTasks(readers: readonly Task[], writers: readonly Task[]): readonly TaskBadRows[] {
  const tasks = readers === writers ? writers : [...readers, ...writers];
  return tasks.flatMap(({ bad }) => (bad === undefined ? [] : [bad]));
}

/** Returns the number of bad rows. */
export function rowsOfAll(bad: readonly TaskBadRows[]): number {
  return bad.reduce((sum, { rows }) => sum + rows, 0);
}

/** Returns `BAD_ROWS_TOO_MANY` if the batch has more bad rows than the pipeline allows. */
export function tooManyOf(
  bad: readonly TaskBadRows[],
  policy: BadRowPolicy | undefined,
  batch: Batch,
): MillraceError | undefined {
  const max = policy?.max;
  if (max === undefined || batch.isRetry || rowsOfAll(bad) <= max) return undefined;
  return tooManyBadRows(max).with({ where: batchLocation(batch) });
}

/**
 * Returns the figures of the rows that a batch leaves out. Lists the files of quarantined rows in
 * one more file, which only the batch's end in the ledger makes valid.
 */
export async function recordBadRows(
  { store, runtime }: Pick<Ports, "store" | "runtime">,
  { batchId }: Batch,
  bad: readonly TaskBadRows[],
): Promise<Pick<BatchProgress, "bad">> {
  const rows = rowsOfAll(bad);
  if (rows === 0) return {};
  const kept = bad.flatMap(badRowsKeys);
  if (kept.length === 0) return { bad: { rows } };
  const key = `${quarantineFolder(batchId)}list-${runtime.newId()}.json`;
  await store.put(key, Buffer.from(JSON.stringify(kept)));
  return { bad: { rows, key } };
}
