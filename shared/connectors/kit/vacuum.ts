import type { ObjectInfo, ObjectStore, UnfinishedUpload } from "../../contract/object-store.ts";
import type { OpenBatch, VacuumContext, VacuumResult } from "../../contract/stream-writer.ts";
import { parseAttempt, type StagedAttempt, stagingOf } from "./staging.ts";

/** What tasks left in a folder, as far as it is old enough to be removed. */
export interface Leftovers {
  readonly files: readonly ObjectInfo[];
  readonly uploads: readonly UnfinishedUpload[];
}

/** Lists a folder, whose name ends with a slash. To be done before anything else is asked. */
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

/** The unfinished uploads below a prefix that are old enough to be removed. */
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

/** Removes the leftovers whose keys are dead; a dry run only counts them. */
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
 * has, if the sink can tell; otherwise the ledger is believed. In this order: what is staged, what
 * is open, what has landed; so that a batch that lands meanwhile is seen as open, or as landed.
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
  return await removeDead(store, leftovers, isDeadKey, context);
}

/**
 * True if no commit can come to name what was staged. Once its batch has landed, the sink keeps any
 * other commit of the batch out. Before that, an attempt is dead when it is over and no commit of
 * it was ever begun: one that was begun may be under way in a process that sleeps, for however
 * long. A batch that the ledger calls closed and the sink does not have is not touched: the sink
 * may be the one that is wrong.
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
