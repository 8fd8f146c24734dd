import { StoredFile } from "../arrow/stored-file.ts";
import { type ErrorLocation, MillraceError } from "../contract/errors.ts";
import type { ObjectStore } from "../contract/object-store.ts";

/**
 * Returns the file with the rows that a simple reader returned while planning. Error of its
 * methods: `STAGED_FILE_MISSING`, also for a damaged file.
 */
export function rowsFile(store: ObjectStore, key: string, where: ErrorLocation): StoredFile {
  return new StoredFile(
    store,
    { path: key },
    {
      missing: "STAGED_FILE_MISSING",
      damaged: "STAGED_FILE_MISSING",
      kind: "the rows file",
      where,
      hint: "Restore it, or delete it: its rows are then read from the source again.",
    },
  );
}

/**
 * Returns the error if the file is gone or damaged, as far as that can be seen before its rows are
 * read. The rows must then be read from the source again.
 */
export async function findRowsProblem(file: StoredFile): Promise<MillraceError | undefined> {
  try {
    await file.check();
    return undefined;
  } catch (error) {
    if (MillraceError.is(error) && error.code === "STAGED_FILE_MISSING") return error;
    throw error;
  }
}
