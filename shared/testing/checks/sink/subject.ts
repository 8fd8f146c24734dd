import type { Schema } from "apache-arrow";
import type { BatchContext, TaskContext } from "../../../contract/context.ts";
import type { ErrorCode } from "../../../contract/error-codes.ts";
import type { JsonValue } from "../../../contract/json.ts";
import type { SchemaLike } from "../../../contract/schema-like.ts";
import type { Awaitable, NamedRow } from "../../../contract/stream-reader.ts";
import type { Findings } from "../../report.ts";
import { sampleRows } from "../../samples.ts";
import type { Surroundings, SurroundingsOptions } from "../../surroundings.ts";
import type { TableAccess } from "../../table-factory.ts";
import type { WriterFactory } from "../../writer-factory.ts";

/** The argument of `readBack`. */
export interface ReadBackContext {
  /** The pipeline's store, to which the sink may have written. */
  readonly store: BatchContext["store"];
}

/** Options of `checkSink`. */
export interface CheckSinkOptions extends SurroundingsOptions {
  /** The options of a data source class, as in a pipeline. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** The schema of the rows to write. Default: `id bigint NOT NULL, name string`. */
  readonly schema?: SchemaLike;
  /**
   * Returns the rows that a reader of the target sees now, or their number. Without it, the check
   * cannot detect lost or duplicate rows.
   */
  readBack?(context: ReadBackContext): Awaitable<number | Iterable<unknown> | AsyncIterable<unknown>>;
  /**
   * Set to true for a sink whose rows are visible as soon as they are written. Such a sink is only
   * safe if its writes are idempotent, such as requests with an idempotency key.
   */
  readonly showsRowsBeforeCommit?: boolean;
}

/** Number of rows in a partition. */
export const ROWS = 3;
/** Number of rows in a batch of two partitions. */
export const ROWS_OF_BATCH = 2 * ROWS;

export type Messages = readonly JsonValue[];

/**
 * The number of the first row of each partition. A replayed partition gets the same rows; different
 * partitions have different rows.
 */
export type FirstRows = Map<string, number>;

/** One attempt of a batch. */
export interface Attempt {
  readonly incarnation: string;
  readonly batchId: number;
  readonly planId: string;
  readonly attempt: number;
}

/** The sink that is checked, the tools of the check, and its results so far. */
export interface SinkSubject {
  readonly factory: WriterFactory;
  readonly schema: Schema;
  readonly options: CheckSinkOptions;
  readonly surroundings: Surroundings;
  readonly findings: Findings;
  readonly firstRows: FirstRows;
  /** The incarnation of most batches that are written. */
  readonly incarnation: string;
  /** The number of rows that should be visible. */
  expected: number;
  /** True if the sink has read the batch id or the incarnation. */
  knowsBatch: boolean;
  /** True if the sink has read the id of the plan. */
  knowsPlan: boolean;
  /** The commit messages of the first batch, once it is written. */
  messages?: Messages;
}

export type Staged = SinkSubject & { readonly messages: Messages };

/** The subject of a trap that only tables have. */
export type TableSubject = SinkSubject & { readonly factory: { readonly access: TableAccess } };

/** Returns true if the sink is a table. */
export function isTable(sink: SinkSubject): sink is TableSubject {
  return sink.factory.access !== undefined;
}

/** Returns true if the first batch is written. */
export function isStaged(sink: SinkSubject): sink is Staged {
  return sink.messages !== undefined;
}

export function attemptOf(sink: SinkSubject, batchId: number, attempt = 1): Attempt {
  const { incarnation } = sink;
  return { incarnation, batchId, planId: planOf(sink, batchId, incarnation), attempt };
}

/**
 * The id of the plan that a batch usually has. A table may know a batch by this id alone, so each
 * incarnation has other ids. A writer must compare the incarnation as well.
 */
function planOf({ factory }: SinkSubject, batchId: number, incarnation: string): string {
  return factory.access === undefined ? `plan-${batchId}` : `plan-${batchId}-of-${incarnation}`;
}

/** Returns an attempt at the first batch of another incarnation. */
export function attemptOfNewLife(sink: SinkSubject): Attempt {
  const incarnation = sink.surroundings.runtime.newId();
  return { incarnation, batchId: 0, planId: planOf(sink, 0, incarnation), attempt: 1 };
}

export function rowsFor(
  { firstRows, schema }: SinkSubject,
  { incarnation, batchId, planId }: Attempt,
  partitionId: number,
): readonly NamedRow[] {
  const key = JSON.stringify([incarnation, batchId, planId, partitionId]);
  const first = firstRows.get(key) ?? 1 + firstRows.size * ROWS;
  firstRows.set(key, first);
  return sampleRows(schema, first, ROWS);
}

export function taskOf(
  { surroundings }: SinkSubject,
  { incarnation, batchId, planId, attempt }: Attempt,
  partitionId: number,
  attemptNumber = 0,
): TaskContext {
  const sink = surroundings.sinkContext(incarnation);
  return surroundings.taskContext({ ...sink, batchId, planId, attempt, partitionId, attemptNumber });
}

export function batchOf(
  sink: SinkSubject,
  { incarnation, batchId, planId, attempt }: Attempt,
  commitTried: boolean,
): BatchContext {
  const { surroundings, factory } = sink;
  const before = { incarnation, batchId: batchId - 1, planId: planOf(sink, batchId - 1, incarnation) };
  return {
    ...surroundings.sinkContext(incarnation),
    batchId,
    planId,
    start: { batch: batchId },
    end: { batch: batchId + 1 },
    ...(batchId === 0 ? {} : { follows: before }),
    continuity: factory.kind === "batch" ? "independent" : "strict",
    formerIncarnations: [],
    attempt,
    commitTried,
    plannedAt: surroundings.now,
  };
}

/**
 * Returns the number of rows that a reader of the target sees, or `undefined` without `readBack`.
 */
export async function countRows({ options, surroundings }: SinkSubject): Promise<number | undefined> {
  const seen = await options.readBack?.({ store: surroundings.store });
  if (seen === undefined || typeof seen === "number") return seen;
  let count = 0;
  for await (const _row of seen) count++;
  return count;
}

/**
 * Compares the number of visible rows with the expected one. If they differ, reports a problem and
 * returns false. `surplus` is added to the message if there are too many rows.
 */
export async function checkVisibleRows(
  sink: SinkSubject,
  code: ErrorCode,
  when: string,
  hint: string,
  surplus = "",
): Promise<boolean> {
  const isBeforeCommit = code === "VISIBLE_BEFORE_COMMIT" || code === "ABORT_INCOMPLETE";
  if (isBeforeCommit && sink.options.showsRowsBeforeCommit === true) return true;
  let found: number | undefined;
  const isRead = await sink.findings.check(`readBack() ${when}`, async () => {
    found = await countRows(sink);
  });
  const { expected } = sink;
  if (!isRead || found === undefined || found === expected) return true;
  const more = found > expected ? surplus : "";
  sink.findings.add({
    code,
    message: `${when}, ${found} rows are seen instead of ${expected}${more}`,
    hint,
  });
  sink.expected = found;
  return false;
}
