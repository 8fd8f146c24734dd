import type { JsonValue } from "../../../shared/contract/json.ts";

/** A statement of a recording as data: what the driver program did, without Python or SQL. */
export type Op =
  | SessionOp
  | GivenOp
  | BatchWriteOp
  | StreamOp
  | { readonly kind: "stop" }
  | DeleteOp
  | TruncateTableOp
  | UpdateOp
  | MergeOp
  | UnsupportedOp;

/** A condition as a list: the name of the function, then its arguments. */
export type Tree = readonly JsonValue[];

/** A row, its values in the order of the columns. */
export type OpRow = readonly JsonValue[];

export interface SessionOp {
  readonly kind: "session";
  /** Number of tasks at a time. */
  readonly parallel: number;
  /** How many attempts a task has in all. */
  readonly attempts: number;
  readonly speculation: Speculation | null;
}

/** When a copy of a slow task is started. (Spark: `spark.speculation.*`.) */
export interface Speculation {
  readonly intervalMs: number;
  readonly minRuntimeMs: number;
  readonly multiplier: number;
  readonly quantile: number;
}

/** A table that was made beforehand. */
export interface GivenOp {
  readonly kind: "given";
  readonly table: string;
  readonly catalog: string | null;
  readonly schema: string;
  readonly partitionedBy: readonly string[];
  readonly properties: Readonly<Record<string, string>>;
}

interface WriteOp {
  readonly table: string;
  /** `null` if the table is named by an option, and has no columns that rows are compared with. */
  readonly catalog: string | null;
  readonly options: Readonly<Record<string, string>>;
  readonly placement: "input" | "files" | "spark";
}

export interface BatchWriteOp extends WriteOp {
  readonly kind: "batchWrite";
  readonly api: string;
  readonly mode: string;
  readonly condition: Tree | null;
  readonly dynamic: boolean;
  readonly by: "name" | "position";
  /** The rows of each partition of the input. */
  readonly rows: { readonly schema: string; readonly partitions: readonly (readonly OpRow[])[] };
}

export interface StreamOp extends WriteOp {
  readonly kind: "stream";
  readonly outputMode: string;
  readonly trigger: JsonValue;
  readonly wait: "end" | { readonly seconds: number };
  /** The rows of each partition of each epoch. */
  readonly rows: { readonly schema: string; readonly epochs?: readonly (readonly (readonly OpRow[])[])[] };
  readonly checkpoint: "new" | "same";
}

export interface DeleteOp {
  readonly kind: "delete";
  readonly table: string;
  readonly catalog: string | null;
  readonly where: Tree | null;
}

export interface UpdateOp {
  readonly kind: "update";
  readonly table: string;
  readonly catalog: string | null;
  readonly set: readonly (readonly [column: string, value: Tree])[];
  readonly where: Tree | null;
}

/** A clause of a merge. `set` is present unless it deletes. */
export interface ClauseOp {
  readonly when: Tree | null;
  readonly then: "update" | "delete" | "insert";
  readonly set?: readonly (readonly [column: string, value: Tree])[];
}

export interface MergeOp {
  readonly kind: "merge";
  readonly table: string;
  readonly catalog: string | null;
  readonly source: { readonly schema: string; readonly rows: readonly OpRow[] };
  readonly on: Tree;
  readonly matched: readonly ClauseOp[];
  readonly notMatched: readonly ClauseOp[];
  readonly notMatchedBySource: readonly ClauseOp[];
}

/** A command that changes rows of a table. */
export type CommandOp = DeleteOp | UpdateOp | MergeOp;

export interface TruncateTableOp {
  readonly kind: "truncateTable";
  readonly table: string;
  readonly catalog: string | null;
}

/** A statement that needs something that a driver without Spark lacks. */
export interface UnsupportedOp {
  readonly kind: "unsupported";
  readonly why: string;
  readonly op: { readonly kind: string; readonly table: string };
}

/** An op that calls the table: all but settings, given tables and what is left out. */
export type CallingOp = BatchWriteOp | StreamOp | CommandOp | TruncateTableOp;
