import { mkdir, open } from "node:fs/promises";
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
 * Creates a folder and its parents with these rights, and syncs the parent of each new folder, so
 * that they survive a power failure.
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
  if (firstNew === undefined) return;
  for (let made = folder; made.length >= firstNew.length; made = dirname(made))
    await syncFolder(dirname(made));
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
