import type { RecordBatch, Schema } from "apache-arrow";
import { recordBatchOf } from "../../../arrow/record-batches.ts";
import { rowsOf } from "../../../arrow/rows.ts";
import { takesRows, writesBatches } from "../../../contract/batch-writer.ts";
import { isMismatch } from "../../../contract/committed-batch.ts";
import type { BatchContext, TaskContext } from "../../../contract/context.ts";
import { MillraceError } from "../../../contract/errors.ts";
import { findNonJson, type JsonValue } from "../../../contract/json.ts";
import type { NamedRow } from "../../../contract/stream-reader.ts";
import type { CodedProblem } from "../../report.ts";
import { throughJson } from "../../through-json.ts";
import { type Attempt, batchOf, type Messages, rowsFor, type SinkSubject, taskOf } from "./subject.ts";

/** Writes the two partitions of a batch. Returns `undefined` if that fails. */
export async function stage(
  sink: SinkSubject,
  attempt: Attempt,
  what: string,
  overwrite = false,
): Promise<Messages | undefined> {
  let messages: Messages | undefined;
  await sink.findings.check(what, async () => {
    const first = await write(sink, attempt, 0, overwrite);
    messages = [first, await write(sink, attempt, 1, overwrite)];
  });
  return messages;
}

/**
 * Writes a partition and returns its commit message. Errors: `ROWS_NOT_CONSUMED`,
 * `MESSAGE_NOT_JSON`.
 */
export async function write(
  sink: SinkSubject,
  attempt: Attempt,
  partitionId: number,
  overwrite = false,
): Promise<JsonValue> {
  const rows = rowsFor(sink, attempt, partitionId);
  return await writeRows(sink, rows, taskOf(sink, attempt, partitionId), overwrite);
}

export async function writeRows(
  sink: SinkSubject,
  rows: readonly NamedRow[],
  task: TaskContext,
  overwrite = false,
): Promise<JsonValue> {
  let read = 0;
  const message = await writeBatches(sink, batches(sink.schema, rows), task, {
    overwrite,
    onRows: (count) => {
      read += count;
    },
  });
  if (read < rows.length)
    throw new MillraceError("ROWS_NOT_CONSUMED", `write() read ${read} of ${rows.length} rows`, {
      hint: "Read all that write() is given, to its end: for await (const row of rows) { … }. What it leaves is lost once the batch is committed.",
    });
  return checkedMessage(message);
}

/**
 * Calls `write` with record batches or, if the writer takes rows, with their rows. Returns what the
 * writer returned. `onRows` is called with the number of rows that the writer has read.
 */
export async function writeBatches(
  { factory, schema }: SinkSubject,
  given: AsyncIterable<RecordBatch>,
  task: TaskContext,
  { overwrite = false, onRows = () => {} }: { overwrite?: boolean; onRows?(count: number): void } = {},
): Promise<unknown> {
  const writer = await factory.make(schema, overwrite);
  return takesRows(writer)
    ? await writer.write(
        observed(rowsIn(given), () => onRows(1)),
        task,
      )
    : await writer.write(
        observed(given, ({ numRows }) => onRows(numRows)),
        task,
      );
}

async function* observed<T>(items: AsyncIterable<T>, tell: (item: T) => void): AsyncGenerator<T> {
  for await (const item of items) {
    tell(item);
    yield item;
  }
}

/** Splits the rows into two record batches, to detect a writer that reads only the first. */
export async function* batches(schema: Schema, rows: readonly NamedRow[]): AsyncGenerator<RecordBatch> {
  for (const part of [rows.slice(0, 1), rows.slice(1)])
    if (part.length > 0) yield recordBatchOf(schema, part);
}

async function* rowsIn(given: AsyncIterable<RecordBatch>): AsyncGenerator<NamedRow> {
  for await (const batch of given) yield* rowsOf(batch);
}

function checkedMessage(message: unknown): JsonValue {
  const problem = message === undefined ? undefined : findNonJson(message, "message");
  if (problem === undefined) return throughJson((message ?? null) as JsonValue);
  throw new MillraceError(
    "MESSAGE_NOT_JSON",
    `write() must give a JSON value as its message, but gave ${problem}`,
    { hint: "Give plain JSON: the message is stored, and commit() reads it on another machine." },
  );
}

/** Calls `commit`. Returns false if it threw. `named` is the problem to report in that case. */
export async function commit(
  sink: SinkSubject,
  attempt: Attempt,
  messages: Messages,
  what: string,
  { overwrite = false, named }: { overwrite?: boolean; named?: Omit<CodedProblem, "message"> } = {},
): Promise<boolean> {
  return await sink.findings.check(what, () => callCommit(sink, attempt, messages, overwrite), named);
}

/**
 * Calls `commit` of a batch that does not fit what the sink has. Returns whether it committed,
 * refused because of that, or failed in another way, which is reported.
 */
export async function commitOrRefuse(
  sink: SinkSubject,
  attempt: Attempt,
  messages: Messages,
  what: string,
  named?: Omit<CodedProblem, "message">,
): Promise<"committed" | "refused" | "failed"> {
  let isRefused = false;
  const call = async () => {
    try {
      await callCommit(sink, attempt, messages, false);
    } catch (error) {
      isRefused = isMismatch(error);
      if (!isRefused) throw error;
    }
  };
  if (!(await sink.findings.check(what, call, named))) return "failed";
  return isRefused ? "refused" : "committed";
}

async function callCommit(
  sink: SinkSubject,
  attempt: Attempt,
  messages: Messages,
  overwrite: boolean,
): Promise<void> {
  const writer = await sink.factory.make(sink.schema, overwrite);
  // A stream's `commit` gets the batch id as its second argument. If it declares only one
  // parameter, it cannot use the id.
  sink.knowsBatch ||= !writesBatches(writer) && writer.commit.length !== 1;
  const context = recordingBatchUse(sink, batchOf(sink, attempt, true));
  await (writesBatches(writer)
    ? writer.commit(throughJson(messages), context)
    : writer.commit(throughJson(messages), attempt.batchId, context));
}

/**
 * Returns the context in a proxy that records whether the sink reads the batch id, the incarnation
 * or the plan id.
 */
function recordingBatchUse(sink: SinkSubject, batch: BatchContext): BatchContext {
  return new Proxy(batch, {
    get: (target, key, receiver) => {
      if (key === "batchId" || key === "incarnation") sink.knowsBatch = true;
      if (key === "planId") sink.knowsPlan = true;
      return Reflect.get(target, key, receiver) as unknown;
    },
  });
}

/** Calls `abort`. Returns false if it threw. */
export async function abort(
  sink: SinkSubject,
  attempt: Attempt,
  messages: Messages,
  what: string,
  hint: string,
): Promise<boolean> {
  const call = async () => {
    const writer = await sink.factory.make(sink.schema, false);
    const context = batchOf(sink, attempt, false);
    await (writesBatches(writer)
      ? writer.abort(throughJson(messages), context)
      : writer.abort(throughJson(messages), attempt.batchId, context));
  };
  return await sink.findings.check(what, call, { code: "ABORT_INCOMPLETE", hint });
}
