import type { Schema } from "apache-arrow";
import type { ObjectStore } from "../../contract/object-store.ts";
import type { LogHead } from "./log.ts";
import { brokenLog } from "./log-entry.ts";
import { liveFiles } from "./open-state.ts";
import { readFiles } from "./read.ts";
import { decodedSchema } from "./stored-schema.ts";

/**
 * Returns the schema of a table. Entries of older versions have no `arrowSchema`; if their types
 * are not those of the DDL, a data file has them. Error: `TABLE_LOG_BROKEN` if no file has them.
 */
export async function readTableSchema(table: ObjectStore, { version, schema }: LogHead): Promise<Schema> {
  const decoded = decodedSchema(schema);
  if (decoded !== undefined) return decoded;
  for await (const file of liveFiles(table))
    for await (const batch of readFiles(table, [file])) return batch.schema;
  throw brokenLog(table, version, "has a schema with a type that is not known, and no file has it");
}
