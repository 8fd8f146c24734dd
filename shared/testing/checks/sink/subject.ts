import type { Schema } from "apache-arrow";
import type { BatchContext, TaskContext } from "../../../contract/context.ts";
import type { SchemaLike } from "../../../contract/data-source.ts";
import type { ErrorCode } from "../../../contract/error-codes.ts";
import type { JsonValue } from "../../../contract/json.ts";
import type { Awaitable, NamedRow } from "../../../contract/stream-reader.ts";
import type { Findings } from "../../report.ts";
import { sampleRows } from "../../samples.ts";
import type { Surroundings, SurroundingsOptions } from "../../surroundings.ts";
import type { WriterMaker } from "../../target.ts";

/** What is in the sink's target, for `readBack`. */
export interface ReadBackContext {
  /** The pipeline's store, which a sink may write to. */
  readonly store: BatchContext["store"];
}

/** What the check needs besides the sink. */
export interface CheckSinkOptions extends SurroundingsOptions {
  /** Of a data source class: as a pipeline would set them. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Of the rows that are written. Default: `id bigint NOT NULL, name string`. */
  readonly schema?: SchemaLike;
  /**
   * How many rows whoever reads the target sees now, or the rows. Without it nothing can be said of
   * rows that are lost or doubled.
   */
  readBack?(context: ReadBackContext): Awaitable<number | Iterable<unknown> | AsyncIterable<unknown>>;
  /**
   * True for a sink that shows rows as soon as they are written, and is safe because they are
   * idempotent, such as requests with an idempotency key.
   */
  readonly showsRowsBeforeCommit?: boolean;
}

/** Rows of a partition. */
export const ROWS = 3;
/** Rows of a batch of two partitions. */
export const ROWS_OF_BATCH = 2 * ROWS;

export type Messages = readonly JsonValue[];

/**
 * First rows of the partitions so far: a replay of one has the same rows, and no others have them.
 */
export type FirstRows = Map<string, number>;

/** One batch attempt. */
export interface Attempt {
  readonly incarnation: string;
  readonly batchId: number;
  readonly attempt: number;
}

/** A sink that is checked, what with, and what is known of it by now. */
export interface SinkSubject {
  readonly maker: WriterMaker;
  readonly schema: Schema;
  readonly options: CheckSinkOptions;
  readonly surroundings: Surroundings;
  readonly findings: Findings;
  readonly firstRows: FirstRows;
  /** Of most of the batches that are written. */
  readonly incarnation: string;
  /** Rows that ought to be seen. */
  expected: number;
  /** Whether the sink has looked at which batch it is. */
  knowsBatch: boolean;
  /** What the tasks of the first batch gave, once they wrote it. */
  messages?: Messages;
}

export type Staged = SinkSubject & { readonly messages: Messages };

/** True once the first batch is written. */
export function isStaged(sink: SinkSubject): sink is Staged {
  return sink.messages !== undefined;
}

export function attemptOf({ incarnation }: SinkSubject, batchId: number, attempt = 1): Attempt {
  return { incarnation, batchId, attempt };
}

export function rowsFor(
  { firstRows, schema }: SinkSubject,
  { incarnation, batchId }: Attempt,
  partitionId: number,
): readonly NamedRow[] {
  const key = JSON.stringify([incarnation, batchId, partitionId]);
  const first = firstRows.get(key) ?? 1 + firstRows.size * ROWS;
  firstRows.set(key, first);
  return sampleRows(schema, first, ROWS);
}

export function taskOf(
  { surroundings }: SinkSubject,
  { incarnation, batchId, attempt }: Attempt,
  partitionId: number,
  attemptNumber = 0,
): TaskContext {
  const sink = surroundings.sinkContext(incarnation);
  return surroundings.taskContext({ ...sink, batchId, attempt, partitionId, attemptNumber });
}

export function batchOf(
  { surroundings }: SinkSubject,
  { incarnation, batchId, attempt }: Attempt,
  commitTried: boolean,
): BatchContext {
  const sink = surroundings.sinkContext(incarnation);
  return { ...sink, batchId, attempt, commitTried, plannedAt: surroundings.now };
}

/** The number of rows that whoever reads the target sees; `undefined` if the check is not told. */
export async function countRows({ options, surroundings }: SinkSubject): Promise<number | undefined> {
  const seen = await options.readBack?.({ store: surroundings.store });
  if (seen === undefined || typeof seen === "number") return seen;
  let count = 0;
  for await (const _row of seen) count++;
  return count;
}

/**
 * What is seen must be what is expected; false if it is not. `surplus` says what more rows come of.
 */
export async function see(
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
