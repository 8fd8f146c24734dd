import type { ObjectStore } from "../../contract/object-store.ts";
import type { VacuumContext, VacuumResult } from "../../contract/stream-writer.ts";
import { isDead, parseAttempt } from "../kit/staging.ts";
import { dataFolder } from "./data-files.ts";
import { LOG_FOLDER, lastLanded, latestVersion, liveFiles, versionOf } from "./log.ts";

/** A put of a log entry takes milliseconds; one that is older has failed. */
const PUT_MILLISECONDS = 3_600_000;

/**
 * Removes files of this pipeline that no commit names and no living attempt needs. Three steps in this order: list the files, read
 * what is open, read the log; so a file that is committed meanwhile is seen as one that is open or named.
 */
export async function vacuumTable(table: ObjectStore, context: VacuumContext): Promise<VacuumResult> {
  const folder = dataFolder(context);
  const isOld = (since: number) => context.now - since >= context.olderThan;
  const files = (await Array.fromAsync(table.list(folder))).filter((file) => isOld(file.modifiedAt));
  const uploads = (await Array.fromAsync(table.listUnfinished(folder))).filter((upload) =>
    isOld(upload.startedAt),
  );
  const entries = (await Array.fromAsync(table.listUnfinished(LOG_FOLDER))).filter((upload) =>
    isOld(upload.startedAt),
  );

  const open = await context.readOpenBatch();
  const latest = await latestVersion(table);
  const landed = await lastLanded(table, latest, context);
  const named = new Set((await liveFiles(table, context.now - context.olderThan)).map(({ path }) => path));
  const dead = files.filter(
    (file) => !named.has(file.key) && isDead(parseAttempt(file.key, folder), landed, open),
  );
  if (!context.dryRun) {
    await table.delete(dead.map((file) => file.key));
    for (const upload of uploads)
      if (isDead(parseAttempt(upload.key, folder), landed, open)) await table.abandon(upload);
    for (const upload of entries) {
      const isTaken = (versionOf(upload.key) ?? -1) <= latest;
      if (isTaken || context.now - upload.startedAt >= PUT_MILLISECONDS) await table.abandon(upload);
    }
  }
  return { files: dead.length, bytes: dead.reduce((sum, file) => sum + file.bytes, 0) };
}
