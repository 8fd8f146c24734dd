import type { Schema } from "apache-arrow";
import { decodeSchema, encodeSchema } from "../../arrow/ipc-file.ts";
import { schemaToJson, toDdl } from "../../contract/ddl/json.ts";
import { parseDdl } from "../../contract/ddl/parse.ts";
import { MillraceError } from "../../contract/errors.ts";
import { optional } from "../../contract/optional.ts";
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

/**
 * Returns the schema of a log entry. Entries of older versions have no `arrowSchema`: then it is
 * `undefined` if its types are not those of the DDL.
 */
export function decodedSchema({ arrowSchema, schema }: TableSchema): Schema | undefined {
  return arrowSchema === undefined ? parsedDdl(toDdl(schema)) : decodeSchema(arrowSchema);
}
