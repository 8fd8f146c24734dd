import type { TaskContext } from "../../contract/context.ts";
import { TABLE_FOLDER } from "../../contract/store-layout.ts";
import { attemptName } from "../kit/staging.ts";

/** `data/<pipeline>/<incarnation>/`: the files that one pipeline staged in its present life. */
export function dataFolder(owner: { readonly pipeline: string; readonly incarnation: string }): string {
  return `${TABLE_FOLDER.data}/${owner.pipeline}/${owner.incarnation}/`;
}

/** A key that no other attempt ever uses. */
export function dataKey(task: TaskContext, id: string): string {
  return dataFolder(task) + attemptName(task, id);
}
