import type { RecordBatch, Schema } from "apache-arrow";
import { encodeFile } from "../../arrow/ipc-file.ts";
import { splitBatch } from "../../arrow/split.ts";
import { withReadAhead } from "../../arrow/stored-bytes.ts";
import { StoredFile } from "../../arrow/stored-file.ts";
import type { BatchContext, SinkContext, TaskContext } from "../../contract/context.ts";
import { batchDigits, padded, partitionDigits } from "../../contract/keys.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { STORE_FOLDER } from "../../contract/store-layout.ts";
import type { DamagedFile } from "../../contract/stream-writer.ts";

/**
 * A file that has reached this size is closed, and the task goes on in the next one. So each file
 * can be read by any tool, and two of them in parallel.
 */
const FILE_BYTES = 128 * 1024 * 1024;
/** A larger record batch is written in several ones, so that readers need not hold all of it. */
const BATCH_BYTES = 8 * 1024 * 1024;

/** An Arrow file that a task wrote. `path` is relative to the store that it was written to. */
export type StagedFile = { readonly path: string; readonly rows: number; readonly bytes: number };

/**
 * The commit message of a task: its files in the order of its rows, none if it had no rows. Older
 * versions wrote one file, or `null` for a task without rows.
 */
export type StagedRows<F extends StagedFile = StagedFile> =
  | { readonly files: readonly F[] }
  | { readonly path: string | null; readonly rows: number; readonly bytes: number };

/** Returns the files that a commit message names. */
export function filesOf<F extends StagedFile = StagedFile>(
  message: StagedRows<F> | null,
): readonly (F | StagedFile)[] {
  if (message === null) return [];
  if ("files" in message) return message.files;
  const { path, rows, bytes } = message;
  return path === null ? [] : [{ path, rows, bytes }];
}

/** Returns the keys of the files that these messages name. */
export function pathsOf(messages: readonly (StagedRows | null)[]): string[] {
  return messages.flatMap(filesOf).map(({ path }) => path);
}

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
export function attemptName(task: TaskContext, id: string, suffix: string = ".arrow"): string {
  const batch = batchDigits(task.batchId);
  const partition = partitionDigits(task.partitionId);
  return `${batch}-${partition}-${task.attempt}-${task.attemptNumber}-${id}${suffix}`;
}

/**
 * Parses batch and attempt from the key of a file in `folder`. Returns `undefined` if another
 * program made the file.
 */
export function parseAttempt(
  key: string,
  folder: string,
  suffix: string = ".arrow",
): StagedAttempt | undefined {
  if (!key.startsWith(folder) || !key.endsWith(suffix)) return undefined;
  const name = key.slice(folder.length, -suffix.length);
  const match = /^(\d{12})-\d{6}-(\d+)-\d+-[0-9a-f-]+$/.exec(name);
  return match === null ? undefined : { batchId: Number(match[1]), attempt: Number(match[2]) };
}

/** Writes a task's rows to staged files whose names are unique for this attempt. */
export async function stageRows(
  schema: Schema,
  batches: AsyncIterable<RecordBatch>,
  task: TaskContext,
  id: string,
): Promise<StagedRows> {
  const keyOf = (fileId: string) => `${task.incarnation}/${attemptName(task, fileId)}`;
  return { files: await putRows(stagingOf(task), keyOf, id, schema, batches) };
}

/**
 * Writes Arrow IPC files, or none if there are no rows. `keyOf` returns the key of a file for an id
 * that begins with `id`. After an error, all files are deleted, also a partly written one. Error:
 * `RECORD_BATCH_TOO_LARGE`.
 */
export async function putRows(
  store: ObjectStore,
  keyOf: (fileId: string) => string,
  id: string,
  schema: Schema,
  batches: AsyncIterable<RecordBatch>,
  fileBytes: number = FILE_BYTES,
): Promise<readonly StagedFile[]> {
  const rows = new SharedBatches(piecesOf(schema, batches, Math.min(BATCH_BYTES, fileBytes)));
  const files: StagedFile[] = [];
  let path = "";
  try {
    while (!(await rows.isAtEnd())) {
      path = keyOf(files.length === 0 ? id : `${id}-${padded(files.length, 6)}`);
      files.push(await putFile(store, path, schema, rows, fileBytes));
    }
    return files;
  } catch (error) {
    // The files are not in any commit message yet, so it is safe to delete them.
    const written = new Set([...files.map((file) => file.path), path].filter(Boolean));
    await store.delete([...written]).catch(() => undefined);
    throw error;
  } finally {
    await rows.close();
  }
}

async function putFile(
  store: ObjectStore,
  path: string,
  schema: Schema,
  source: SharedBatches,
  fileBytes: number,
): Promise<StagedFile> {
  let rows = 0;
  let bytes = 0;
  async function* counted(): AsyncGenerator<RecordBatch> {
    for await (const batch of source.take()) {
      rows += batch.numRows;
      yield batch;
    }
  }
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for await (const chunk of encodeFile(schema, counted(), fileBytes)) {
      bytes += chunk.length;
      yield chunk;
    }
  }
  await store.put(path, chunks());
  return { path, rows, bytes };
}

async function* piecesOf(
  schema: Schema,
  batches: AsyncIterable<RecordBatch>,
  maxBytes: number,
): AsyncGenerator<RecordBatch, void, void> {
  for await (const batch of batches) yield* splitBatch(schema, batch, maxBytes);
}

/** Record batches for several files: each file takes those that the one before it has left. */
class SharedBatches {
  readonly #source: AsyncGenerator<RecordBatch, void, void>;
  #next: IteratorResult<RecordBatch, void> | undefined;

  constructor(source: AsyncGenerator<RecordBatch, void, void>) {
    this.#source = source;
  }

  async isAtEnd(): Promise<boolean> {
    return (await this.#peek()).done === true;
  }

  /** Yields the batches that are left. Those that were not asked for stay. */
  async *take(): AsyncGenerator<RecordBatch> {
    for (let next = await this.#peek(); !next.done; next = await this.#peek()) {
      this.#next = undefined;
      yield next.value;
    }
  }

  async close(): Promise<void> {
    await this.#source.return();
  }

  async #peek(): Promise<IteratorResult<RecordBatch, void>> {
    this.#next ??= await this.#source.next();
    return this.#next;
  }
}

/**
 * Compares the files that the messages name with those in the store. Returns the ones that are gone
 * or have another size. `messages` are in the order of the partitions.
 */
export async function findDamagedFiles(
  store: ObjectStore,
  messages: readonly (StagedRows | null)[],
): Promise<readonly DamagedFile[]> {
  const files = messages.flatMap((message, partition) =>
    filesOf(message).map((file) => ({ partition, ...file })),
  );
  if (files.length === 0) return [];
  const infos = await store.stat(files.map(({ path }) => path));
  return files.flatMap(({ partition, path, bytes }) => {
    const found = infos.get(path)?.bytes;
    if (found === bytes) return [];
    const problem =
      found === undefined
        ? `is gone (expected ${bytes} bytes)`
        : `has ${found} bytes, and ${bytes} were written`;
    return [{ partition, path: `${store.location}/${path}`, problem }];
  });
}

/** A staged file that a commit reads. */
interface FileToRead {
  readonly partition: number;
  readonly file: StoredFile;
  readAhead(): void;
}

/**
 * Reads the staged rows of all tasks, in the order of the partitions. Error: `STAGED_FILE_MISSING`,
 * also for a damaged file.
 */
export async function* readStaged(
  messages: readonly (StagedRows | null)[],
  context: SinkContext,
): AsyncGenerator<{ readonly partition: number; readonly batch: RecordBatch }> {
  for await (const { partition, file } of withReadAhead(filesToRead(messages, context)))
    for await (const batch of file.batches()) yield { partition, batch };
}

/**
 * Looks at each staged file, so that a commit that is not atomic does not begin if one is missing
 * or damaged. Error: `STAGED_FILE_MISSING`.
 */
export async function checkStaged(
  messages: readonly (StagedRows | null)[],
  context: SinkContext,
): Promise<void> {
  for await (const { file } of withReadAhead(filesToRead(messages, context))) await file.check();
}

function* filesToRead(messages: readonly (StagedRows | null)[], context: SinkContext): Generator<FileToRead> {
  const store = stagingOf(context);
  for (const [partition, message] of messages.entries()) {
    for (const recorded of filesOf(message)) {
      const file = new StoredFile(store, recorded, {
        missing: "STAGED_FILE_MISSING",
        damaged: "STAGED_FILE_MISSING",
        kind: "the staged file",
        where: { partition },
        hint: "Find out who changes files in the pipeline's store. The next `millrace run` writes the batch again.",
      });
      yield { partition, file, readAhead: () => file.readAhead() };
    }
  }
}

/** Deletes the staged files that these messages name. */
export async function dropStaged(
  messages: readonly (StagedRows | null)[],
  context: SinkContext,
): Promise<void> {
  await stagingOf(context).delete(pathsOf(messages));
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
