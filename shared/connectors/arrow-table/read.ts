import type { RecordBatch } from "apache-arrow";
import { withReadAhead } from "../../arrow/stored-bytes.ts";
import { type RecordedFile, StoredFile } from "../../arrow/stored-file.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { liveFiles } from "./open-state.ts";

/** Number of data files whose names are taken from the log before the first is read. */
const READ_AHEAD_FILES = 32;

/**
 * Reads all record batches of a table in the order of its commits. Errors: `TABLE_FILE_MISSING`,
 * `TABLE_FILE_DAMAGED`.
 */
export async function* readTable(table: ObjectStore): AsyncGenerator<RecordBatch> {
  let group: RecordedFile[] = [];
  for await (const file of liveFiles(table)) {
    group.push(file);
    if (group.length < READ_AHEAD_FILES) continue;
    yield* readFiles(table, group);
    group = [];
  }
  yield* readFiles(table, group);
}

/**
 * Reads the record batches of the given data files, in the given order. Errors:
 * `TABLE_FILE_MISSING`, `TABLE_FILE_DAMAGED`.
 */
export async function* readFiles(
  table: ObjectStore,
  files: readonly RecordedFile[],
): AsyncGenerator<RecordBatch> {
  for (const file of withReadAhead(storedFiles(table, files))) yield* file.batches();
}

function* storedFiles(table: ObjectStore, files: readonly RecordedFile[]): Generator<StoredFile> {
  for (const file of files) {
    yield new StoredFile(table, file, {
      missing: "TABLE_FILE_MISSING",
      damaged: "TABLE_FILE_DAMAGED",
      kind: "the data file",
      hint: "The log names it. Restore it from a backup, or read the batch again into another table.",
    });
  }
}
