import type { RecordBatch } from "apache-arrow";
import { decodeFile } from "../../arrow/ipc-file.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { liveFiles } from "./log.ts";

/** The record batches of a table, in the order of its commits. Error: `TABLE_FILE_MISSING`. */
export async function* readTable(table: ObjectStore): AsyncGenerator<RecordBatch> {
  for (const file of await liveFiles(table)) {
    const bytes = await table.get(file.path);
    if (bytes === undefined) {
      throw new MillraceError("TABLE_FILE_MISSING", `the log names ${file.path}, which is gone`, {
        where: { path: `${table.location}/${file.path}` },
        hint: "Somebody deleted it: restore it from a backup, or read the batch again into another table.",
      });
    }
    yield* decodeFile(bytes);
  }
}
