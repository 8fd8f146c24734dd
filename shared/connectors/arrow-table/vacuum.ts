import type { ObjectStore } from "../../contract/object-store.ts";
import type { OpenBatch, VacuumContext, VacuumResult } from "../../contract/stream-writer.ts";
import { dataFolder, parseDataKey } from "./data-files.ts";
import { liveFiles } from "./log.ts";

/**
 * An aborted attempt of a batch that is still open may have a commit under way, in a process that lives on. No Lambda lives longer
 * than 15 minutes; once the batch has landed, no such commit can take effect any more, and age does not matter.
 */
const ZOMBIE_MILLISECONDS = 3_600_000;

/**
 * Removes files of this pipeline that no commit names and no living attempt needs. Three steps in this order: list the files, read
 * what is open, read the log; so a file that is committed meanwhile is seen as one that is open or named.
 */
export async function vacuumTable(table: ObjectStore, context: VacuumContext): Promise<VacuumResult> {
  const folder = dataFolder(context);
  const age = (since: number) => context.now - since;
  const files = [];
  for await (const file of table.list(folder))
    if (age(file.modifiedAt) >= context.olderThan) files.push(file);
  const uploads = [];
  for await (const upload of table.listUnfinished(folder))
    if (age(upload.startedAt) >= context.olderThan) uploads.push(upload);

  const open = await context.readOpenBatch();
  const named = new Set((await liveFiles(table)).map((file) => file.path));
  const dead = files.filter((file) => !named.has(file.key) && isDead(file.key, age(file.modifiedAt), open));
  if (!context.dryRun) {
    await table.delete(dead.map((file) => file.key));
    for (const upload of uploads) {
      if (isDead(upload.key, age(upload.startedAt), open)) await table.abandon(upload);
    }
  }
  return { files: dead.length, bytes: dead.reduce((sum, file) => sum + file.bytes, 0) };
}

function isDead(key: string, age: number, open: OpenBatch | undefined): boolean {
  const staged = parseDataKey(key);
  if (staged === undefined) return false;
  if (staged.batchId !== open?.batchId) return true;
  const isLiving = staged.attempt === open.attempt && !open.aborted;
  return !isLiving && age >= ZOMBIE_MILLISECONDS;
}
