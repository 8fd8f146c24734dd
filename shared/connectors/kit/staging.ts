import type { RecordBatch, Schema } from "apache-arrow";
import { decodeStoredFile, encodeFile } from "../../arrow/ipc-file.ts";
import type { BatchContext, SinkContext, TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { batchDigits, partitionDigits } from "../../contract/keys.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { STORE_FOLDER } from "../../contract/store-layout.ts";

/**
 * The commit message of a task: an Arrow file in the pipeline's own store. `path` is `null` for a
 * task without rows.
 */
export type StagedRows = { readonly path: string | null; readonly rows: number; readonly bytes: number };

/**
 * Returns the folder for staged files in the pipeline's store, for sinks without storage of their
 * own. On AWS, tasks have permission to write below `staging/`.
 */
export function stagingOf(context: SinkContext): ObjectStore {
  return context.store.at(STORE_FOLDER.staging);
}

/** The batch and attempt for which a file was staged. */
export interface StagedAttempt {
  readonly batchId: number;
  readonly attempt: number;
}

/**
 * Returns the name of a staged file. It is unique for each attempt: batch, partition, both attempt
 * numbers, and a random id.
 */
export function attemptName(task: TaskContext, id: string): string {
  const batch = batchDigits(task.batchId);
  const partition = partitionDigits(task.partitionId);
  return `${batch}-${partition}-${task.attempt}-${task.attemptNumber}-${id}.arrow`;
}

/**
 * Parses batch and attempt from the key of a file in `folder`. Returns `undefined` if another
 * program made the file.
 */
export function parseAttempt(key: string, folder: string): StagedAttempt | undefined {
  const name = key.startsWith(folder) ? key.slice(folder.length) : "";
  const match = /^(\d{12})-\d{6}-(\d+)-\d+-[0-9a-f-]+\.arrow$/.exec(name);
  return match === null ? undefined : { batchId: Number(match[1]), attempt: Number(match[2]) };
}

/** Writes a task's rows to a staged file whose name is unique for this attempt. */
export async function stageRows(
  schema: Schema,
  batches: AsyncIterable<RecordBatch>,
  task: TaskContext,
  id: string,
): Promise<StagedRows> {
  return await putRows(stagingOf(task), `${task.incarnation}/${attemptName(task, id)}`, schema, batches);
}

/**
 * Writes an Arrow IPC file, or no file if there are no rows. After an error, a partly written file
 * is deleted.
 */
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
    // The file is not in any commit message yet, so it is safe to delete.
    await store.delete([path]).catch(() => undefined);
    throw error;
  } finally {
    await source.return?.();
  }
  return { path, rows, bytes };
}

/**
 * Reads the staged rows of all tasks, in the order of the partitions. Error: `STAGED_FILE_MISSING`,
 * also for a damaged file.
 */
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
        hint: "Somebody deleted it from the pipeline's store. Nothing was written: restore it, and run again. To give the batch up: `millrace skip PIPELINE`.",
      });
    }
    const batches = decodeStoredFile(bytes, {
      store,
      key: message.path,
      code: "STAGED_FILE_MISSING",
      where: { partition },
      hint: "Nothing was written: restore it, and run again. To give the batch up: `millrace skip PIPELINE`.",
    });
    for (const batch of batches) yield { partition, batch };
  }
}

/** Deletes the staged files that these messages name. */
export async function dropStaged(
  messages: readonly (StagedRows | null)[],
  context: SinkContext,
): Promise<void> {
  await stagingOf(context).delete(messages.flatMap((message) => message?.path ?? []));
}

/**
 * Deletes an attempt's staged files when it is aborted. If a commit was tried, nothing is deleted,
 * because that commit may still be running and need the files.
 */
export async function dropAborted(
  messages: readonly (StagedRows | null)[],
  batch: BatchContext,
): Promise<void> {
  if (!batch.commitTried) await dropStaged(messages, batch);
}
