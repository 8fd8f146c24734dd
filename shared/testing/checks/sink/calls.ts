import type { RecordBatch, Schema } from "apache-arrow";
import { recordBatchOf } from "../../../arrow/record-batches.ts";
import { rowsOf } from "../../../arrow/rows.ts";
import { takesRows, writesBatches } from "../../../contract/batch-writer.ts";
import type { BatchContext, TaskContext } from "../../../contract/context.ts";
import { MillraceError } from "../../../contract/errors.ts";
import { findNonJson, type JsonValue } from "../../../contract/json.ts";
import type { NamedRow } from "../../../contract/stream-reader.ts";
import type { Trapped } from "../../report.ts";
import { throughJson } from "../../through-json.ts";
import { type Attempt, batchOf, type Messages, rowsFor, type SinkSubject, taskOf } from "./subject.ts";

/** Two partitions; `undefined` if that fails. */
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

/** The message of a partition. Errors: `ROWS_NOT_CONSUMED`, `MESSAGE_NOT_JSON`. */
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

/** What a writer gives for these batches, of which it may take rows. */
export async function writeBatches(
  { maker, schema }: SinkSubject,
  given: AsyncIterable<RecordBatch>,
  task: TaskContext,
  { overwrite = false, onRows = () => {} }: { overwrite?: boolean; onRows?(count: number): void } = {},
): Promise<unknown> {
  const writer = await maker.make(schema, overwrite);
  return takesRows(writer)
    ? await writer.write(
        told(rowsIn(given), () => onRows(1)),
        task,
      )
    : await writer.write(
        told(given, ({ numRows }) => onRows(numRows)),
        task,
      );
}

async function* told<T>(items: AsyncIterable<T>, tell: (item: T) => void): AsyncGenerator<T> {
  for await (const item of items) {
    tell(item);
    yield item;
  }
}

/** Two, so that a writer that takes the first only is seen. */
async function* batches(schema: Schema, rows: readonly NamedRow[]): AsyncGenerator<RecordBatch> {
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

/** False if `commit` threw, which is `named` if it is known what that means. */
export async function commit(
  sink: SinkSubject,
  attempt: Attempt,
  messages: Messages,
  what: string,
  { overwrite = false, named }: { overwrite?: boolean; named?: Omit<Trapped, "message"> } = {},
): Promise<boolean> {
  const call = async () => {
    const writer = await sink.maker.make(sink.schema, overwrite);
    // The id is an argument of a stream's commit: one that does not declare it cannot go by it.
    sink.knowsBatch ||= !writesBatches(writer) && writer.commit.length !== 1;
    const context = watched(sink, batchOf(sink, attempt, true));
    await (writesBatches(writer)
      ? writer.commit(throughJson(messages), context)
      : writer.commit(throughJson(messages), attempt.batchId, context));
  };
  return await sink.findings.check(what, call, named);
}

/** Notes whether the sink asks which batch it is. */
function watched(sink: SinkSubject, batch: BatchContext): BatchContext {
  return new Proxy(batch, {
    get: (target, key, receiver) => {
      if (key === "batchId" || key === "incarnation") sink.knowsBatch = true;
      return Reflect.get(target, key, receiver) as unknown;
    },
  });
}

/** False if `abort` threw. */
export async function abort(
  sink: SinkSubject,
  attempt: Attempt,
  messages: Messages,
  what: string,
  hint: string,
): Promise<boolean> {
  const call = async () => {
    const writer = await sink.maker.make(sink.schema, false);
    const context = batchOf(sink, attempt, false);
    await (writesBatches(writer)
      ? writer.abort(throughJson(messages), context)
      : writer.abort(throughJson(messages), attempt.batchId, context));
  };
  return await sink.findings.check(what, call, { code: "ABORT_INCOMPLETE", hint });
}
