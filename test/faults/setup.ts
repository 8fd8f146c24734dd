import type { SaveMode } from "../../shared/contract/batch-writer.ts";
import type { Offset } from "../../shared/contract/offset.ts";

/** The rows of the source, and their division into batches and partitions. */
export interface Shape {
  /** The ids of the rows are 0 up to this number, exclusive. */
  readonly rows: number;
  readonly rowsABatch: number;
  /** A batch has one partition more than this, except one without rows, which has none. */
  readonly partitions: number;
  /** Ids from the first up to the second, exclusive, that no row has. */
  readonly gap?: readonly [number, number];
}

/** The commands that change rows of a table. `insert` is a merge that only inserts. */
export const COMMAND_NAMES = ["delete", "delete by filter", "update", "merge", "insert"] as const;
export type CommandName = (typeof COMMAND_NAMES)[number];

/** A command, and the table whose rows it changes. */
export interface CommandSetup {
  readonly name: CommandName;
  /** Whether the table gets the changes of rows, or whole groups of them. Default: `delta`. */
  readonly form?: "delta" | "group";
  /** True if another writer inserts a row between the first scan of the table and its commit. */
  readonly rowsChange?: true;
}

/** The pipeline of a case. By default a stream with partitions is written into an Arrow table. */
export interface Setup {
  /** `simple` is a simple reader of a stream, `batch` the reader of a batch pipeline. */
  readonly source?: "simple" | "batch";
  /**
   * `staging` stages its rows in the store and loads them in one transaction of a database.
   * `transactional` lets the ledger write its rows. `plain` is a user's writer of rows that keeps
   * the ids of its batches, and cannot be asked for them. `coordinated` is a table of the write
   * package, of which one attempt of a task may commit at a time; of `uncoordinated` all may.
   */
  readonly sink?: "staging" | "transactional" | "plain" | "coordinated" | "uncoordinated";
  /** True if each task has two attempts at once, of which the first to end counts. */
  readonly speculates?: boolean;
  /** Milliseconds by which the clock of every second step is fast. */
  readonly clockSkew?: number;
  /** The save mode of a batch pipeline. */
  readonly mode?: SaveMode;
  /** True if tasks exchange their rows before they write, so that each task has a range of them. */
  readonly exchanges?: boolean;
  /** True if each commit message is too large for the ledger. */
  readonly largeMessages?: boolean;
  readonly shape?: Shape;
  /** The command, if the pipeline changes rows of a table. */
  readonly command?: CommandSetup;
  /** True if the rows are changes, which are merged into a table by key. */
  readonly merge?: true;
}

/** True if the pipeline is a batch pipeline, which has one batch per run. */
export function isBatchPipeline({ source, command }: Setup): boolean {
  return source === "batch" || command !== undefined;
}

/** Returns the offset of the source at a position: of rows, or of batches of a batch pipeline. */
export function offsetAt(setup: Setup, position: number): Offset {
  return isBatchPipeline(setup) ? { batches: position } : { n: position };
}

/** Returns the position of an offset. */
export function positionOf({ n, batches }: Offset): number {
  return Number(n ?? batches ?? 0);
}

/** True if the sink is not the Arrow table in the store. */
export function isInDatabase({ sink, command, merge }: Setup): boolean {
  return sink !== undefined || command !== undefined || merge === true;
}

/** Returns the rows of the source between two positions, in order. */
export function rowsBetween(
  { gap: [first, end] = [0, 0] }: Shape,
  from: number,
  to: number,
): readonly number[] {
  const ids = Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
  return ids.filter((id) => id < first || id >= end);
}

/** Returns all rows of the source, in order. */
export function allRows(shape: Shape): readonly number[] {
  return rowsBetween(shape, 0, shape.rows);
}
