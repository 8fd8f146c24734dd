import type { TaskContext } from "../../contract/context.ts";
import type { StagedAttempt } from "../staging.ts";

/** `data/<pipeline>/<incarnation>/`: the files that one pipeline staged in its present life. */
export function dataFolder(owner: { readonly pipeline: string; readonly incarnation: string }): string {
  return `data/${owner.pipeline}/${owner.incarnation}/`;
}

/** A key that no other attempt ever uses: batch, partition, attempts, and a random id. */
export function dataKey(task: TaskContext, id: string): string {
  const batch = String(task.batchId).padStart(12, "0");
  const partition = String(task.partitionId).padStart(6, "0");
  return `${dataFolder(task)}${batch}-${partition}-${task.attempt}-${task.attemptNumber}-${id}.arrow`;
}

/** Batch and attempt of a data file, `undefined` for a file of another making. */
export function parseDataKey(key: string): StagedAttempt | undefined {
  const match = /^data\/[^/]+\/[^/]+\/(\d{12})-\d{6}-(\d+)-\d+-[0-9a-f-]+\.arrow$/.exec(key);
  return match === null ? undefined : { batchId: Number(match[1]), attempt: Number(match[2]) };
}
