import type { ObjectInfo, ObjectStore, UnfinishedUpload } from "../../contract/object-store.ts";
import type { OpenBatch, VacuumContext, VacuumResult } from "../../contract/stream-writer.ts";
import { parseAttempt, type StagedAttempt, stagingOf } from "./staging.ts";

/** Number of files that are listed before some of them are deleted. */
const PAGE_FILES = 10_000;

/** Tells which keys are dead. They are in order, and in one folder. */
export type Judge = (keys: readonly string[]) => Promise<(key: string) => boolean>;

/** A folder with staged files. Its name ends with a slash. */
export interface StagedFolder {
  readonly folder: string;
  /**
   * Called after a page of files was listed. Only then it reads the open batch, and after that the
   * sink's state: a file that is committed in the meantime is found in one of them.
   */
  readonly judge: Judge;
}

/** A place in a list of folders: the last key that was looked at, or "" if none was. */
export interface VacuumPosition {
  readonly folder: string;
  readonly after: string;
}

/** What a vacuum of folders did, and where it stopped because its time was over. */
export type FoldersResult = VacuumResult & { readonly stopped?: VacuumPosition };

/**
 * Deletes the dead files of folders that are old enough, page by page: memory is bounded, and what
 * is done is done if the time runs out. Begins at `from`, if that is in one of the folders.
 */
export async function vacuumFolders(
  store: ObjectStore,
  folders: readonly StagedFolder[],
  context: VacuumContext,
  from?: VacuumPosition,
): Promise<FoldersResult> {
  const first = Math.max(
    0,
    folders.findIndex(({ folder }) => folder === from?.folder),
  );
  let sum: VacuumResult = { files: 0, bytes: 0 };
  for (const staged of folders.slice(first)) {
    const { folder, judge } = staged;
    if (context.signal?.aborted) return { ...sum, stopped: { folder, after: "" } };
    await vacuumUploads(store, staged, context);
    const after = folder === from?.folder ? from.after : "";
    for await (const { files, last } of pagesOf(store, folder, after)) {
      const old = files.filter(({ modifiedAt }) => isOld(modifiedAt, context));
      sum = sumOf(sum, await removeDead(store, old, context, judge));
      if (context.signal?.aborted) return { ...sum, stopped: { folder, after: last } };
    }
  }
  return sum;
}

async function vacuumUploads(
  store: ObjectStore,
  { folder, judge }: StagedFolder,
  context: VacuumContext,
): Promise<void> {
  const uploads = await listOldUploads(store, folder, context);
  if (uploads.length === 0 || context.dryRun) return;
  const isDeadKey = await judge(uploads.map(({ key }) => key));
  for (const upload of uploads) if (isDeadKey(upload.key)) await store.abandon(upload);
}

/** Yields the files of a folder in pages. */
async function* pagesOf(
  store: ObjectStore,
  folder: string,
  after: string,
): AsyncGenerator<{ readonly files: readonly ObjectInfo[]; readonly last: string }> {
  let files: ObjectInfo[] = [];
  for await (const file of store.list(folder, after === "" ? {} : { startAfter: after })) {
    files.push(file);
    if (files.length < PAGE_FILES) continue;
    yield { files, last: file.key };
    files = [];
  }
  const last = files.at(-1);
  if (last !== undefined) yield { files, last: last.key };
}

/** Returns the unfinished uploads below a prefix that are old enough to be removed. */
export async function listOldUploads(
  store: ObjectStore,
  prefix: string,
  context: VacuumContext,
): Promise<UnfinishedUpload[]> {
  const old: UnfinishedUpload[] = [];
  for await (const upload of store.listUnfinished(prefix))
    if (isOld(upload.startedAt, context)) old.push(upload);
  return old;
}

export function isOld(since: number, { now, olderThan }: VacuumContext): boolean {
  return now - since >= olderThan;
}

/** Deletes the dead files of a page. A dry run only counts them. */
async function removeDead(
  store: ObjectStore,
  page: readonly ObjectInfo[],
  { dryRun }: VacuumContext,
  judge: Judge,
): Promise<VacuumResult> {
  if (page.length === 0) return { files: 0, bytes: 0 };
  const isDeadKey = await judge(page.map(({ key }) => key));
  const dead = page.filter(({ key }) => isDeadKey(key));
  if (!dryRun) await store.delete(dead.map(({ key }) => key));
  return { files: dead.length, bytes: dead.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/**
 * Removes staged files that no commit will read. `landed` returns the newest batch that the sink
 * has committed, if the sink knows it; otherwise the ledger decides.
 */
export async function vacuumStaged(
  context: VacuumContext,
  landed?: () => Promise<number>,
): Promise<VacuumResult> {
  const store = stagingOf(context);
  const folder = `${context.incarnation}/`;
  const judge: Judge = async () => {
    const open = await context.readOpenBatch();
    const newest = (await landed?.()) ?? (open === undefined ? Number.POSITIVE_INFINITY : open.batchId - 1);
    return (key) => isDead(parseAttempt(key, folder), newest, open);
  };
  const former = context.formerIncarnations.map((incarnation) => ({
    folder: `${incarnation}/`,
    judge: async () => () => true,
  }));
  // Nearly all files that are listed are deleted, so each vacuum begins at the start.
  const { files, bytes, stopped } = await vacuumFolders(store, [{ folder, judge }, ...former], context);
  return { files, bytes, ...(stopped === undefined ? {} : { more: true }) };
}

/** Adds up the files of two results. */
export function sumOf(a: VacuumResult, b: VacuumResult): VacuumResult {
  return { files: a.files + b.files, bytes: a.bytes + b.bytes };
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
