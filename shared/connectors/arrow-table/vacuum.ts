import type { ObjectStore } from "../../contract/object-store.ts";
import { TABLE_FOLDER } from "../../contract/store-layout.ts";
import type { VacuumContext, VacuumResult } from "../../contract/stream-writer.ts";
import type { StagedAttempt } from "../kit/staging.ts";
import {
  type FoldersResult,
  isDead,
  isOld,
  listOldUploads,
  type StagedFolder,
  vacuumFolders,
} from "../kit/vacuum.ts";
import { listCheckpoints, readCheckpoint } from "./checkpoint.ts";
import { attemptOf, dataFolder } from "./data-files.ts";
import { LOG_FOLDER } from "./log-entry.ts";
import { lookThrough } from "./log-window.ts";
import { NeededFiles } from "./needed-files.ts";
import { type OpenState, withState } from "./open-state.ts";
import { SEGMENT_FOLDER } from "./segments.ts";
import { StoredPosition, TABLE_START } from "./vacuum-position.ts";

/** A put of a log entry takes milliseconds. An upload that is older than this has failed. */
const PUT_MILLISECONDS = 3_600_000;

/** Number of log entries whose names one vacuum looks at. */
const NAMES_AT_ONCE = 100_000;

/**
 * Removes this pipeline's files that no commit names and no running attempt needs, and checkpoints
 * that are not used any more. Goes on where the last vacuum ran out of time. Error:
 * `TABLE_LOG_BROKEN`, also if an entry is missing that a checkpoint has made needless.
 */
export async function vacuumTable(table: ObjectStore, context: VacuumContext): Promise<VacuumResult> {
  const stored = new StoredPosition(context, table);
  const from = context.dryRun ? TABLE_START : await stored.read();
  const version = await lookThrough(table, from.version, NAMES_AT_ONCE);
  const options = { mayWrite: !context.dryRun, signal: context.signal };
  const { files, bytes, stopped } = await withState(table, options, (open) =>
    vacuumData(table, context, open, from.files),
  );
  if (!context.dryRun) {
    await vacuumUploads(table, context);
    if (stopped === undefined) await vacuumSegments(table, context);
    await stored.write({ version, files: stopped });
  }
  return { files, bytes, ...(stopped === undefined ? {} : { more: true }) };
}

/**
 * Removes data files. The log is opened first. It is read on after each page was listed and the
 * open batch was read, so that a file that is committed meanwhile is found in one of them.
 */
async function vacuumData(
  table: ObjectStore,
  context: VacuumContext,
  open: OpenState,
  from: FoldersResult["stopped"],
): Promise<FoldersResult> {
  const own = dataFolder(context);
  if (open.state.version < open.latest)
    return { files: 0, bytes: 0, stopped: from ?? { folder: own, after: "" } };
  const needed = new NeededFiles(table, open);
  await needed.readRemovals(context.now - context.olderThan);
  const folders: StagedFolder[] = [
    stagedFolder(needed, own, async () => {
      const batch = await context.readOpenBatch();
      return (attempt) => isDead(attempt, needed.lastBatchOf(context), batch);
    }),
    // No run of an earlier incarnation is at work.
    ...context.formerIncarnations.map((incarnation) =>
      stagedFolder(needed, dataFolder({ ...context, incarnation }), async () => () => true),
    ),
  ];
  return await vacuumFolders(table, folders, context, from);
}

/** Judges the files of a folder: one is dead if its attempt is, and if it is not needed. */
function stagedFolder(
  needed: NeededFiles,
  folder: string,
  readLife: () => Promise<(attempt: StagedAttempt) => boolean>,
): StagedFolder {
  const walk = needed.walk(folder);
  return {
    folder,
    judge: async (keys) => {
      const isOver = await readLife();
      await needed.refresh();
      await walk.advance(keys);
      return (key) => {
        const attempt = attemptOf(key, folder);
        return attempt !== undefined && !walk.has(key) && isOver(attempt);
      };
    },
  };
}

/** Removes what is left of puts that failed. */
async function vacuumUploads(table: ObjectStore, context: VacuumContext): Promise<void> {
  for (const folder of [LOG_FOLDER, `${TABLE_FOLDER.checkpoints}/`])
    for (const upload of await listOldUploads(table, folder, context)) {
      const isTaken = folder === LOG_FOLDER && (await table.stat([upload.key])).size > 0;
      if (isTaken || context.now - upload.startedAt >= PUT_MILLISECONDS) await table.abandon(upload);
    }
}

/**
 * Removes segments that no checkpoint names. They are listed before the checkpoints are read, and
 * young ones stay, because a checkpoint that is being written may name them.
 */
async function vacuumSegments(table: ObjectStore, context: VacuumContext): Promise<void> {
  const segments: string[] = [];
  for await (const { key, modifiedAt } of table.list(SEGMENT_FOLDER))
    if (isOld(modifiedAt, context) && context.now - modifiedAt >= PUT_MILLISECONDS) segments.push(key);
  const named = new Set<string>();
  for (const { key } of await listCheckpoints(table))
    for (const segment of (await readCheckpoint(table, key))?.segments ?? []) named.add(segment.key);
  await table.delete(segments.filter((key) => !named.has(key)));
}
