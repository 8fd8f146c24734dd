import type { ObjectStore } from "../../contract/object-store.ts";
import type { VacuumContext, VacuumResult } from "../../contract/stream-writer.ts";
import { parseAttempt } from "../kit/staging.ts";
import { isDead, listLeftovers, listOldUploads, removeDead, sumOf } from "../kit/vacuum.ts";
import { dataFolder } from "./data-files.ts";
import { LOG_FOLDER, lastCommittedBatch, latestVersion, liveFiles, versionOf } from "./log.ts";

/** A put of a log entry takes milliseconds. An upload that is older than this has failed. */
const PUT_MILLISECONDS = 3_600_000;

/**
 * Removes this pipeline's files that no commit names and no running attempt needs. The order
 * matters: list the files, then read the open batch, then read the log. A file that is committed in
 * the meantime is then found either in the open batch or in the log.
 */
export async function vacuumTable(table: ObjectStore, context: VacuumContext): Promise<VacuumResult> {
  const folder = dataFolder(context);
  const leftovers = await listLeftovers(table, folder, context);
  const former = await Promise.all(
    context.formerIncarnations.map((incarnation) =>
      listLeftovers(table, dataFolder({ ...context, incarnation }), context),
    ),
  );
  const entries = await listOldUploads(table, LOG_FOLDER, context);

  const open = await context.readOpenBatch();
  const latest = await latestVersion(table);
  const lastCommitted = await lastCommittedBatch(table, latest, context);
  const named = new Set((await liveFiles(table, context.now - context.olderThan)).map(({ path }) => path));

  const isDeadKey = (key: string) =>
    !named.has(key) && isDead(parseAttempt(key, folder), lastCommitted, open);
  const removed = [await removeDead(table, leftovers, isDeadKey, context)];
  for (const files of former) removed.push(await removeDead(table, files, (key) => !named.has(key), context));
  for (const upload of context.dryRun ? [] : entries) {
    const isTaken = (versionOf(upload.key) ?? -1) <= latest;
    if (isTaken || context.now - upload.startedAt >= PUT_MILLISECONDS) await table.abandon(upload);
  }
  return sumOf(removed);
}
