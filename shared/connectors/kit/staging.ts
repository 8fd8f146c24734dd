import type { RecordBatch, Schema } from "apache-arrow";
import { decodeFile, encodeFile } from "../../arrow/ipc-file.ts";
import type { BatchContext, SinkContext, TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { batchDigits, partitionDigits } from "../../contract/keys.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import type { OpenBatch, VacuumContext, VacuumResult } from "../../contract/stream-writer.ts";

/** An Arrow file in the pipeline's own store; `path` is `null` for a task that had no rows. */
export type StagedRows = { readonly path: string | null; readonly rows: number; readonly bytes: number };

/** Where sinks without a place of their own stage what their commit then writes: tasks on AWS may write below `staging/`. */
function stagingOf(context: SinkContext): ObjectStore {
  return context.store.at("staging");
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

/** Puts an Arrow IPC file; none, where there are no rows. What an error leaves behind is removed. */
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

/** What `abort` deletes of an attempt: nothing where a commit of it was tried, which may still be under way and must then find its files. */
export async function dropAborted(
  messages: readonly (StagedRows | null)[],
  batch: BatchContext,
): Promise<void> {
  if (!batch.commitTried) await dropStaged(messages, batch);
}

/**
 * Removes staged files that no commit will read. `landed` gives the newest batch that the sink has, where it can tell; else the ledger is believed. In this order: what is staged,
 * what is open, what has landed; so that a batch that lands meanwhile is seen as open, or as landed.
 */
export async function vacuumStaged(
  context: VacuumContext,
  landed?: () => Promise<number>,
): Promise<VacuumResult> {
  const store = stagingOf(context);
  const folder = `${context.incarnation}/`;
  const isOld = (since: number) => context.now - since >= context.olderThan;
  const files = (await Array.fromAsync(store.list(folder))).filter((file) => isOld(file.modifiedAt));
  const uploads = (await Array.fromAsync(store.listUnfinished(folder))).filter((upload) =>
    isOld(upload.startedAt),
  );
  const open = await context.readOpenBatch();
  const newest = (await landed?.()) ?? (open === undefined ? Number.POSITIVE_INFINITY : open.batchId - 1);
  const dead = files.filter((file) => isDead(parseAttempt(file.key, folder), newest, open));
  if (!context.dryRun) {
    await store.delete(dead.map((file) => file.key));
    for (const upload of uploads)
      if (isDead(parseAttempt(upload.key, folder), newest, open)) await store.abandon(upload);
  }
  return { files: dead.length, bytes: dead.reduce((sum, file) => sum + file.bytes, 0) };
}

/** The batch attempt that a file was staged for. */
export interface StagedAttempt {
  readonly batchId: number;
  readonly attempt: number;
}

/**
 * True where no commit can come to name what was staged. Once its batch has landed, the sink keeps any other commit of the batch out. Before that, an
 * attempt is dead when it is over and no commit of it was ever begun: one that was begun may be under way in a process that sleeps, for however long.
 * A batch that the ledger calls closed and the sink does not have is not touched: the sink may be the one that is wrong.
 */
export function isDead(
  staged: StagedAttempt | undefined,
  landed: number,
  open: OpenBatch | undefined,
): boolean {
  if (staged === undefined) return false;
  if (staged.batchId <= landed) return true;
  if (staged.batchId !== open?.batchId) return false;
  const isOver = staged.attempt < open.attempt || (staged.attempt === open.attempt && open.aborted);
  return isOver && staged.attempt > open.lastTriedAttempt;
}
