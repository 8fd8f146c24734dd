/**
 * What lies where in a store: spelled alike by whoever writes it, by vacuum, and by whoever grants
 * the rights to it.
 */

/** Folders of a pipeline's store. */
export const STORE_FOLDER = {
  /** What the engine keeps of each batch. */
  batches: "batches",
  /** What a source keeps between its batches. */
  source: "source",
  /** What tasks stage for sinks without a place of their own. */
  staging: "staging",
  /** The Arrow table, unless it has a path of its own. */
  table: "table",
} as const;

/** How the names of the files in a batch's folder begin. */
export const BATCH_FILE = {
  failure: "failure-",
  message: "message-",
  partitions: "partitions-",
  todo: "todo-",
} as const;

/** Folders of an Arrow table. */
export const TABLE_FOLDER = { data: "data", log: "_log" } as const;

/** A task as partitions and todo files list it: a distributed Map goes through them. */
export interface ListedTask {
  readonly task: number;
}
