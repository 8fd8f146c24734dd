import type { RecordBatch, Schema } from "apache-arrow";
import { decodeFile, encodeFile } from "../../arrow/ipc-file.ts";
import type { BatchContext, SinkContext, TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { batchDigits, partitionDigits } from "../../contract/keys.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { STORE_FOLDER } from "../../contract/store-layout.ts";

/** An Arrow file in the pipeline's own store; `path` is `null` for a task that had no rows. */
export type StagedRows = { readonly path: string | null; readonly rows: number; readonly bytes: number };

/**
 * Where sinks without a place of their own stage what their commit then writes: tasks on AWS may
 * write below `staging/`.
 */
export function stagingOf(context: SinkContext): ObjectStore {
  return context.store.at(STORE_FOLDER.staging);
}

/** The batch attempt that a file was staged for. */
export interface StagedAttempt {
  readonly batchId: number;
  readonly attempt: number;
}

/** A file's name that no other attempt ever uses: batch, partition, attempts, and a random id. */
export function attemptName(task: TaskContext, id: string): string {
  const batch = batchDigits(task.batchId);
  const partition = partitionDigits(task.partitionId);
  return `${batch}-${partition}-${task.attempt}-${task.attemptNumber}-${id}.arrow`;
}

/** Batch and attempt of a file in `folder`, `undefined` for a file of another making. */
export function parseAttempt(key: string, folder: string): StagedAttempt | undefined {
  const name = key.startsWith(folder) ? key.slice(folder.length) : "";
  const match = /^(\d{12})-\d{6}-(\d+)-\d+-[0-9a-f-]+\.arrow$/.exec(name);
  return match === null ? undefined : { batchId: Number(match[1]), attempt: Number(match[2]) };
}

/** Stages the rows of a task under a name that no other attempt ever uses. */
export async function stageRows(
  schema: Schema,
  batches: AsyncIterable<RecordBatch>,
  task: TaskContext,
  id: string,
): Promise<StagedRows> {
  return await putRows(stagingOf(task), `${task.incarnation}/${attemptName(task, id)}`, schema, batches);
}

/** Puts an Arrow IPC file; none if there are no rows. What an error leaves behind is removed. */
export async function putRows(
  store: ObjectStore,
  path: string,
  schema: Schema,
  batches: AsyncIterable<RecordBatch>,
): Promise<StagedRows> {
  const source = batches[Symbol.asyncIterator]();
  const first = await source.next();
  if (first.done) return { path: null, rows: 0, bytes: 0 };
  let rows = 0;
  let bytes = 0;
  async function* counted(): AsyncGenerator<RecordBatch> {
    for (let next: IteratorResult<RecordBatch> = first; !next.done; next = await source.next()) {
      rows += next.value.numRows;
      yield next.value;
    }
  }
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for await (const chunk of encodeFile(schema, counted())) {
      bytes += chunk.length;
      yield chunk;
    }
  }
  try {
    await store.put(path, chunks());
  } catch (error) {
    // Nobody was told of the file, so nobody can come to name it.
    await store.delete([path]).catch(() => undefined);
    throw error;
  } finally {
    await source.return?.();
  }
  return { path, rows, bytes };
}

/** What tasks staged, in the order of the partitions. Error: `STAGED_FILE_MISSING`. */
export async function* readStaged(
  messages: readonly (StagedRows | null)[],
  context: SinkContext,
): AsyncGenerator<{ readonly partition: number; readonly batch: RecordBatch }> {
  const store = stagingOf(context);
  for (const [partition, message] of messages.entries()) {
    if (message?.path == null) continue;
    const bytes = await store.get(message.path);
    if (bytes === undefined) {
      throw new MillraceError("STAGED_FILE_MISSING", `the staged file ${message.path} is gone`, {
        where: { partition, path: `${store.location}/${message.path}` },
        hint: "Somebody deleted it from the pipeline's store. Nothing was written: restore it, and run again.",
      });
    }
    for (const batch of decodeFile(bytes)) yield { partition, batch };
  }
}

/** Deletes what these messages name. */
export async function dropStaged(
  messages: readonly (StagedRows | null)[],
  context: SinkContext,
): Promise<void> {
  await stagingOf(context).delete(messages.flatMap((message) => message?.path ?? []));
}

/**
 * What `abort` deletes of an attempt: nothing if a commit of it was tried, which may still be under
 * way and must then find its files.
 */
export async function dropAborted(
  messages: readonly (StagedRows | null)[],
  batch: BatchContext,
): Promise<void> {
  if (!batch.commitTried) await dropStaged(messages, batch);
}
