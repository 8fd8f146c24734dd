import type { TaskContext } from "../../contract/context.ts";
import { TABLE_FOLDER } from "../../contract/store-layout.ts";
import { attemptName, parseAttempt, type StagedAttempt } from "../kit/staging.ts";

/**
 * The folder `data/<pipeline>/<incarnation>/`, which holds the files that this incarnation of the
 * pipeline staged.
 */
export function dataFolder(owner: { readonly pipeline: string; readonly incarnation: string }): string {
  return `${TABLE_FOLDER.data}/${owner.pipeline}/${owner.incarnation}/`;
}

/**
 * The key of a task's data file. Each attempt has a different key because `id` is unique.
 * `partition` is the folder of the file's partition, such as `p=1/`.
 */
export function dataKey(task: TaskContext, id: string, partition: string = ""): string {
  return dataFolder(task) + partition + attemptName(task, id);
}

/** The folders of partitions in the key of a data file, below `dataFolder`. */
const PARTITIONS = /^(?:[^/]*=[^/]*\/)+/;

/** Like `parseAttempt`, also for a file in the folder of a partition. */
export function attemptOf(key: string, folder: string): StagedAttempt | undefined {
  const name = key.startsWith(folder) ? key.slice(folder.length) : "";
  return parseAttempt(name.replace(PARTITIONS, ""), "");
}
