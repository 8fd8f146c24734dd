import type { ObjectInfo, ObjectStore, UnfinishedUpload } from "../../contract/object-store.ts";
import type { OpenBatch, VacuumContext, VacuumResult } from "../../contract/stream-writer.ts";
import { parseAttempt, type StagedAttempt, stagingOf } from "./staging.ts";

/** Files and unfinished uploads in a folder that are old enough to be removed. */
export interface Leftovers {
  readonly files: readonly ObjectInfo[];
  readonly uploads: readonly UnfinishedUpload[];
}

/**
 * Lists the leftovers in a folder. `folder` ends with a slash. Call this before reading the open
 * batch or the sink's state, so that newer files are not considered.
 */
export async function listLeftovers(
  store: ObjectStore,
  folder: string,
  context: VacuumContext,
): Promise<Leftovers> {
  const files = (await Array.fromAsync(store.list(folder))).filter(({ modifiedAt }) =>
    isOld(modifiedAt, context),
  );
  return { files, uploads: await listOldUploads(store, folder, context) };
}

/** Returns the unfinished uploads below a prefix that are old enough to be removed. */
export async function listOldUploads(
  store: ObjectStore,
  prefix: string,
  context: VacuumContext,
): Promise<UnfinishedUpload[]> {
  const uploads = await Array.fromAsync(store.listUnfinished(prefix));
  return uploads.filter(({ startedAt }) => isOld(startedAt, context));
}

function isOld(since: number, { now, olderThan }: VacuumContext): boolean {
  return now - since >= olderThan;
}

/** Removes the leftovers for whose keys `isDeadKey` is true. A dry run only counts them. */
export async function removeDead(
  store: ObjectStore,
  { files, uploads }: Leftovers,
  isDeadKey: (key: string) => boolean,
  { dryRun }: VacuumContext,
): Promise<VacuumResult> {
  const dead = files.filter(({ key }) => isDeadKey(key));
  if (!dryRun) {
    await store.delete(dead.map(({ key }) => key));
    for (const upload of uploads) if (isDeadKey(upload.key)) await store.abandon(upload);
  }
  return { files: dead.length, bytes: dead.reduce((sum, file) => sum + file.bytes, 0) };
}

/**
 * Removes staged files that no commit will read. `landed` returns the newest batch that the sink
 * has committed, if the sink knows it; otherwise the ledger decides. The order matters: list the
 * staged files, then read the open batch, then ask the sink. A batch that is committed in the
 * meantime is then seen either as open or as committed.
 */
export async function vacuumStaged(
  context: VacuumContext,
  landed?: () => Promise<number>,
): Promise<VacuumResult> {
  const store = stagingOf(context);
  const folder = `${context.incarnation}/`;
  const leftovers = await listLeftovers(store, folder, context);
  const open = await context.readOpenBatch();
  const newest = (await landed?.()) ?? (open === undefined ? Number.POSITIVE_INFINITY : open.batchId - 1);
  const isDeadKey = (key: string) => isDead(parseAttempt(key, folder), newest, open);
  const removed = [await removeDead(store, leftovers, isDeadKey, context)];
  for (const incarnation of context.formerIncarnations) {
    const former = await listLeftovers(store, `${incarnation}/`, context);
    removed.push(await removeDead(store, former, () => true, context));
  }
  return sumOf(removed);
}

/** Adds up the results of several folders. */
export function sumOf(results: readonly VacuumResult[]): VacuumResult {
  return results.reduce((sum, { files, bytes }) => ({
    files: sum.files + files,
    bytes: sum.bytes + bytes,
  }));
}

/**
 * Returns true if no commit can still need a staged file. There are two cases. First, its batch is
 * committed: the sink rejects any other commit of that batch. Second, its attempt is over and no
 * commit of it was started; a started commit may still be running in a process that was suspended.
 * If the ledger says that a batch is closed but the sink does not have it, the files are kept,
 * because the sink may be wrong.
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
