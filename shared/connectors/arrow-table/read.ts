import type { RecordBatch } from "apache-arrow";
import { decodeStoredFile } from "../../arrow/ipc-file.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { liveFiles } from "./open-state.ts";

/**
 * Reads all record batches of a table in the order of its commits. Errors: `TABLE_FILE_MISSING`,
 * `TABLE_FILE_DAMAGED`.
 */
export async function* readTable(table: ObjectStore): AsyncGenerator<RecordBatch> {
  for await (const { path } of liveFiles(table)) yield* readFiles(table, [path]);
}

/**
 * Reads the record batches of the given data files, in the given order. Errors:
 * `TABLE_FILE_MISSING`, `TABLE_FILE_DAMAGED`.
 */
export async function* readFiles(table: ObjectStore, paths: readonly string[]): AsyncGenerator<RecordBatch> {
  for (const path of paths) {
    const bytes = await table.get(path);
    if (bytes === undefined) {
      throw new MillraceError("TABLE_FILE_MISSING", `the log names ${path}, which is gone`, {
        where: { path: `${table.location}/${path}` },
        hint: "Somebody deleted it: restore it from a backup, or read the batch again into another table.",
      });
    }
    yield* decodeStoredFile(bytes, {
      store: table,
      key: path,
      code: "TABLE_FILE_DAMAGED",
      hint: "Restore it from a backup, or read the batch again into another table.",
    });
  }
}
