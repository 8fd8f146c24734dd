import type { RecordBatch } from "apache-arrow";
import { withReadAhead } from "../../arrow/stored-bytes.ts";
import { type RecordedFile, StoredFile } from "../../arrow/stored-file.ts";
import { withColumns } from "../../arrow/with-columns.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { readHead } from "./log.ts";
import { liveFiles } from "./open-state.ts";
import { decodedSchema } from "./stored-schema.ts";

/**
 * Reads all record batches of a table in the order of its commits, all with the columns that the
 * table has now. Errors: `TABLE_FILE_MISSING`, `TABLE_FILE_DAMAGED`.
 */
export async function* readTable(table: ObjectStore): AsyncGenerator<RecordBatch> {
  const head = await readHead(table);
  if (head === undefined) return;
  const schema = decodedSchema(head.schema);
  const conformed = schema === undefined ? (batch: RecordBatch) => batch : withColumns(schema);
  for await (const batch of readFiles(table, liveFiles(table))) yield conformed(batch);
}

/**
 * Reads the record batches of the given data files, in the given order. Errors:
 * `TABLE_FILE_MISSING`, `TABLE_FILE_DAMAGED`.
 */
export async function* readFiles(
  table: ObjectStore,
  files: Iterable<RecordedFile> | AsyncIterable<RecordedFile>,
): AsyncGenerator<RecordBatch> {
  for await (const file of withReadAhead(storedFiles(table, files))) yield* file.batches();
}

async function* storedFiles(
  table: ObjectStore,
  files: Iterable<RecordedFile> | AsyncIterable<RecordedFile>,
): AsyncGenerator<StoredFile> {
  for await (const file of files) {
    yield new StoredFile(table, file, {
      missing: "TABLE_FILE_MISSING",
      damaged: "TABLE_FILE_DAMAGED",
      kind: "the data file",
      hint: "The log names it. Restore it from a backup, or read the batch again into another table.",
    });
  }
}
