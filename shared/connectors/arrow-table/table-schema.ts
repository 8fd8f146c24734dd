import type { Schema } from "apache-arrow";
import { decodeSchema, encodeSchema } from "../../arrow/ipc-file.ts";
import { isSameType } from "../../arrow/same-type.ts";
import { schemaToJson, toDdl } from "../../contract/ddl/json.ts";
import { parseDdl } from "../../contract/ddl/parse.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { optional } from "../../contract/optional.ts";
import type { LogHead } from "./log.ts";
import { brokenLog } from "./log-entry.ts";
import { liveFiles } from "./open-state.ts";
import { readFiles } from "./read.ts";
import type { TableSchema } from "./table-state.ts";

/** Returns schema and partition columns for a log entry. */
export function tableSchemaOf(schema: Schema, partitionBy?: readonly string[]): TableSchema {
  const json = schemaToJson(schema);
  const encoded = encodeSchema(schema);
  const isDdl = encoded === encodedDdl(toDdl(json));
  return {
    schema: json,
    ...(isDdl ? {} : { arrowSchema: encoded }),
    ...optional("partitionBy", partitionBy),
  };
}

function encodedDdl(ddl: string): string | undefined {
  const schema = parsedDdl(ddl);
  return schema === undefined ? undefined : encodeSchema(schema);
}

function parsedDdl(ddl: string): Schema | undefined {
  try {
    return parseDdl(ddl);
  } catch (error) {
    if (MillraceError.is(error)) return undefined;
    throw error;
  }
}

/** True if rows of both schemas may be in one table. */
export function isSameTable(one: TableSchema, other: TableSchema): boolean {
  if (JSON.stringify(one.schema) !== JSON.stringify(other.schema)) return false;
  if (one.arrowSchema === undefined || other.arrowSchema === undefined) return true;
  const [own, theirs] = [decodeSchema(one.arrowSchema).fields, decodeSchema(other.arrowSchema).fields];
  return own.every(({ type }, i) => theirs[i] !== undefined && isSameType(type, theirs[i].type));
}

/**
 * Returns the schema of a table. Entries of older versions have no `arrowSchema`; if their types
 * are not those of the DDL, a data file has them. Error: `TABLE_LOG_BROKEN` if no file has them.
 */
export async function readTableSchema(table: ObjectStore, { version, schema }: LogHead): Promise<Schema> {
  if (schema.arrowSchema !== undefined) return decodeSchema(schema.arrowSchema);
  const ddl = toDdl(schema.schema);
  const parsed = parsedDdl(ddl);
  if (parsed !== undefined) return parsed;
  for await (const file of liveFiles(table))
    for await (const batch of readFiles(table, [file])) return batch.schema;
  throw brokenLog(table, version, "has a schema with a type that is not known, and no file has it");
}
