/**
 * Names of folders and files in a store. The code that writes them, vacuum, and the code that
 * grants access to them must all use the same names.
 */

/** Top-level folders of a pipeline's store. */
export const STORE_FOLDER = {
  /** The engine's files of each batch. */
  batches: "batches",
  /** Rows that could not be written, and are kept. */
  quarantine: "quarantine",
  /** Data that a source keeps between batches. */
  source: "source",
  /** Files that tasks stage for sinks that have no storage of their own. */
  staging: "staging",
  /** The Arrow table, if the pipeline does not set another path. */
  table: "table",
  /** Where a vacuum that ran out of time goes on. */
  vacuum: "vacuum",
} as const;

/** Prefixes of the file names in a batch's folder. */
export const BATCH_FILE = {
  /** Rows that a task exchanges with others. */
  exchanged: "exchanged-",
  failure: "failure-",
  message: "message-",
  partitions: "partitions-",
  /** Rows that a task stages for a `V1Write`. */
  rows: "rows-",
  /** Rows that a task sorts and that exceed its memory. */
  sorted: "sorted-",
  todo: "todo-",
} as const;

/** Folders of an Arrow table. */
export const TABLE_FOLDER = { checkpoints: "_checkpoints", data: "data", log: "_log" } as const;

/**
 * An entry for one task in a todo file. A distributed Map of Step Functions iterates over these
 * entries.
 */
export interface ListedTask {
  readonly task: number;
}
