import type { TaskContext } from "../../contract/context.ts";
import { TABLE_FOLDER } from "../../contract/store-layout.ts";
import { attemptName } from "../kit/staging.ts";

/**
 * The folder `data/<pipeline>/<incarnation>/`, which holds the files that this incarnation of the
 * pipeline staged.
 */
export function dataFolder(owner: { readonly pipeline: string; readonly incarnation: string }): string {
  return `${TABLE_FOLDER.data}/${owner.pipeline}/${owner.incarnation}/`;
}

/** The key of a task's data file. Each attempt has a different key because `id` is unique. */
export function dataKey(task: TaskContext, id: string): string {
  return dataFolder(task) + attemptName(task, id);
}
