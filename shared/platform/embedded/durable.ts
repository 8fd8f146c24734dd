import { randomUUID } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { MillraceError } from "../../contract/errors.ts";
import { adviceFor, systemCodeOf } from "./advice.ts";

/** Rights of new folders. The process's umask takes away from them. */
const DEFAULT_RIGHTS = 0o777;

/** Returns the rights of files in folders with these rights. */
export function fileRights(folderRights: number): number {
  return folderRights & 0o666;
}

/**
 * The folders whose names are durable, as far as this process knows. A folder that exists may have
 * been made by a process that has not synced it yet, or that was killed before it could.
 */
const durableNames = new Map<string, Promise<void>>();

/**
 * Creates a folder and its parents with these rights if they do not exist, and syncs the parent of
 * each, so that they survive a power failure.
 */
export async function makeDurableFolder(folder: string, rights = DEFAULT_RIGHTS): Promise<void> {
  const firstNew = await mkdir(folder, { recursive: true, mode: rights }).catch((error: unknown) => {
    throw new MillraceError(
      "STORE_FAILED",
      `the folder cannot be made: ${error instanceof Error && "code" in error ? error.code : error}`,
      {
        where: { path: folder },
        ...adviceFor(systemCodeOf(error)),
        cause: error,
      },
    );
  });
  await makeNameDurable(folder, firstNew);
}

/**
 * Syncs the parents of a folder, each once in the life of this process. `firstNew` is the uppermost
 * folder that this process has just made, if any.
 */
async function makeNameDurable(folder: string, firstNew: string | undefined): Promise<void> {
  const isNew = firstNew !== undefined && folder.length >= firstNew.length;
  const known = isNew ? undefined : durableNames.get(folder);
  const parent = dirname(folder);
  if (known !== undefined || parent === folder) return await known;
  const synced = isNew ? syncFolder(parent) : syncIfPermitted(parent);
  const durable = synced.then(() => makeNameDurable(parent, firstNew));
  durableNames.set(folder, durable);
  durable.catch(() => durableNames.delete(folder));
  await durable;
}

/** What a system answers if a folder of another user, or of another file system, takes no sync. */
const NOT_PERMITTED: ReadonlySet<string | undefined> = new Set([
  "EACCES",
  "EPERM",
  "EINVAL",
  "EROFS",
  "ENOTSUP",
]);

/** Syncs a folder that this process has not made, and need not have a right to. */
async function syncIfPermitted(folder: string): Promise<void> {
  try {
    await syncFolder(folder);
  } catch (error) {
    if (!NOT_PERMITTED.has(systemCodeOf(error))) throw error;
  }
}

/**
 * Writes a file that replaces the one of this name. After a power failure there is the old file or
 * the new one, and only the new one once this has resolved. The folder must exist.
 */
export async function replaceDurably(path: string, text: string, rights: number): Promise<void> {
  const draft = `${path}.${randomUUID()}`;
  try {
    const file = await open(draft, "wx", rights);
    try {
      await file.writeFile(text);
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Syncs a folder, so that a file name added to it survives a power failure. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open a folder for syncing. Its file systems journal names themselves.
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
