import { DataType, type Field, type Schema } from "apache-arrow";
import { rowType } from "../../arrow/row-type.ts";
import { typeName } from "../../contract/ddl/print.ts";
import { MillraceError } from "../../contract/errors.ts";
import { suggest } from "../../contract/suggest.ts";

/**
 * A value of a partition column in JSON, in the same form as in rows: integers are numbers, or
 * strings if they are beyond 2^53; decimals, dates and times are strings.
 */
export type PartitionValue = string | number | boolean | null;

/** The values of all partition columns in the rows of one file, by the names of the columns. */
export type PartitionValues = Readonly<Record<string, PartitionValue>>;

/** The folder of null and of the empty text, as in Hive. */
const DEFAULT_PARTITION = "__HIVE_DEFAULT_PARTITION__";
/** Most file systems have no longer names. */
const MAX_NAME_BYTES = 255;
/** An object store has keys of 1024 bytes. The rest is for the names of pipeline and file. */
const MAX_FOLDER_BYTES = 640;
/** Characters that Hive escapes, and those that no path of a table may have. */
const ESCAPED = /["#%'*/:=?\\{[\]^]|[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** Checks that rows of a schema can be divided by these columns. Error: `OPTIONS_INVALID`. */
export function checkPartitionColumns(schema: Schema, partitionBy: readonly string[]): void {
  const names = schema.fields.map((field) => field.name);
  for (const name of partitionBy) {
    const field = schema.fields.find((one) => one.name === name);
    if (field === undefined) {
      throw invalid(
        `the rows have no field "${name}", which partitionBy names${suggest(name, names)}`,
        "Name fields of the rows.",
      );
    }
    if (hasNames(field)) continue;
    throw invalid(
      `partitionBy names the field "${name}", which is ${typeName(field.type)}`,
      "Partition columns are booleans, integers, decimals, strings, dates or timestamps.",
    );
  }
}

/** True if equal values of a field have equal texts. */
function hasNames(field: Field): boolean {
  const type = rowType(field.type);
  return (
    DataType.isBool(type) ||
    DataType.isInt(type) ||
    DataType.isDecimal(type) ||
    DataType.isUtf8(type) ||
    DataType.isDate(type) ||
    DataType.isTimestamp(type)
  );
}

function invalid(problem: string, hint: string): MillraceError {
  return new MillraceError("OPTIONS_INVALID", `arrow-table: ${problem}`, { hint });
}

/** Returns a text that is equal for equal values only. */
export function partitionKey(partitionBy: readonly string[], values: PartitionValues): string {
  return JSON.stringify(partitionBy.map((name) => values[name]));
}

/**
 * Returns the folder of the files with these values, such as `p=1/`. It is for people and for tools
 * that know Hive's layout: the log has the values. Error: `ROW_MISMATCH` if it is too long.
 */
export function partitionFolder(partitionBy: readonly string[], values: PartitionValues): string {
  let folder = "";
  for (const name of partitionBy) {
    const value = values[name] ?? "";
    const part = `${escaped(name)}=${value === "" ? DEFAULT_PARTITION : escaped(String(value))}`;
    folder += `${part}/`;
    if (Buffer.byteLength(part) <= MAX_NAME_BYTES && Buffer.byteLength(folder) <= MAX_FOLDER_BYTES) continue;
    throw new MillraceError("ROW_MISMATCH", `a value of the partition column "${name}" is too long`, {
      where: { field: name },
      hint: `It names a folder, which has at most ${MAX_NAME_BYTES} bytes, and ${MAX_FOLDER_BYTES} with those of the other columns. Partition by a column of shorter values.`,
    });
  }
  return folder;
}

function escaped(text: string): string {
  return text.replace(ESCAPED, (character) =>
    [...Buffer.from(character)]
      .map((byte) => `%${byte.toString(16).padStart(2, "0").toUpperCase()}`)
      .join(""),
  );
}
