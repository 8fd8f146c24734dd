import type { RecordBatch } from "apache-arrow";
import type { StoredFile } from "../../arrow/stored-file.ts";
import type { BadRowSink } from "../../contract/bad-rows.ts";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import type { TaskBadRows } from "../ports/tasks.ts";
import { decodeContent } from "./content.ts";
import { quarantineRows } from "./quarantine.ts";
import { badRowsKeys } from "./task-bad-rows.ts";

/** What a simple reader returned while the batch was planned. */
export interface StoredRows {
  readonly store: ObjectStore;
  readonly file: StoredFile;
  readonly misfits: TaskBadRows | undefined;
  readonly where: ErrorLocation;
}

/** True if the files of all rows that did not fit are there. */
export async function hasMisfits({ store, misfits }: StoredRows): Promise<boolean> {
  const keys = badRowsKeys(misfits);
  return keys.length === 0 || (await store.stat(keys)).size === keys.length;
}

/**
 * Yields the rows that fit, after it has given the others to `badRows`. Throws the error of the
 * first of them without it.
 */
export async function* storedRows(stored: StoredRows, badRows?: BadRowSink): AsyncGenerator<RecordBatch> {
  const { store, file, misfits, where } = stored;
  for (const key of badRowsKeys(misfits))
    for await (const { reason, row, raw } of quarantineRows(store, key, where)) {
      const error = MillraceError.from(reason);
      if (badRows === undefined) throw error.with({ where });
      badRows.add(error, raw === undefined ? { row: decodeContent(row) } : { raw: decodeContent(raw) });
    }
  yield* file.batches();
}
