import { ArrowFormatError } from "../../arrow/ipc/format-error.ts";
import { decodeSchema } from "../../arrow/ipc-file.ts";
import { exists, isUtcTime, scanMoment } from "../../contract/iso.ts";
import { isPlainObject, kindOf } from "../../contract/json.ts";
import { TABLE_FOLDER } from "../../contract/store-layout.ts";

/**
 * Checks of log entries. They are written by hand because a table may have 200,000 entries of many
 * files each, and because a problem must be told without the bytes of the entry.
 */

type Fields = Readonly<Record<string, unknown>>;
/** Returns what is wrong with a value, such as `must be a string, but is null`. */
type Check = (value: unknown) => string | undefined;

const CONTROL = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u;
/**
 * A path whose parts have only these characters needs no further look. No part begins with a dot.
 */
const PLAIN_PATH = /^data(?:\/[A-Za-z0-9_-][A-Za-z0-9._=%-]*)+$/;
/** S3 has no longer keys. */
const MAX_PATH_BYTES = 1024;
const RESERVED: readonly string[] = [TABLE_FOLDER.log, TABLE_FOLDER.checkpoints];

const REQUIRED: Readonly<Record<string, Check>> = {
  timestamp: timeProblem,
  operation: operationProblem,
  pipeline: nameProblem,
  incarnation: nameProblem,
  batchId: countProblem,
  schema: schemaProblem,
  add: addProblem,
  remove: removeProblem,
};

/** Fields that an entry may lack. Entries of format 1 had none of the first three. */
const OPTIONAL: Readonly<Record<string, Check>> = {
  planId: nameProblem,
  start: offsetProblem,
  end: offsetProblem,
  arrowSchema: (value) => (typeof value === "string" ? undefined : mustBe("a string", value)),
  partitionBy: partitionByProblem,
};

/** Returns the format of an entry: 1 if it names none, `undefined` if it is no format. */
export function formatOf(value: unknown): number | undefined {
  if (!isPlainObject(value)) return undefined;
  const { format = 1 } = value as { readonly format?: unknown };
  return typeof format === "number" && Number.isSafeInteger(format) && format > 0 ? format : undefined;
}

/**
 * Returns what is wrong with the entry of a version, or `undefined` if it is right. Fields that are
 * not known are allowed.
 */
export function entryProblem(value: unknown, version: number): string | undefined {
  if (!isPlainObject(value)) return mustBe("an object", value);
  const entry = value as Fields;
  const format = formatOf(entry);
  if (format === undefined) return `format ${mustBe("a whole number from 1", entry["format"])}`;
  if (countProblem(entry["version"]) !== undefined) return `version ${countProblem(entry["version"])}`;
  if (entry["version"] !== version) return `version is ${entry["version"]}, not that of its name`;
  for (const [name, check] of Object.entries(REQUIRED)) {
    const problem = check(entry[name]);
    if (problem !== undefined) return joined(name, problem);
  }
  for (const [name, check] of Object.entries(OPTIONAL)) {
    const problem = Object.hasOwn(entry, name) ? check(entry[name]) : undefined;
    if (problem !== undefined) return joined(name, problem);
  }
  if (format > 1 && !Object.hasOwn(entry, "planId")) return "planId is missing";
  return arrowSchemaProblem(entry) ?? bothProblem(entry) ?? partitionsProblem(entry, format);
}

function mustBe(expected: string, found: unknown): string {
  return found === undefined ? "is missing" : `must be ${expected}, but is ${kindOf(found)}`;
}

/** Joins the name of a field with a problem, which may begin with the rest of a path. */
function joined(name: string, problem: string): string {
  return problem.startsWith("[") || problem.startsWith(".") ? name + problem : `${name} ${problem}`;
}

function countProblem(value: unknown): string | undefined {
  const isCount = typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
  if (isCount) return undefined;
  return typeof value === "number" ? "must be a whole number from 0 to 2^53 - 1" : mustBe("a number", value);
}

function timeProblem(value: unknown): string | undefined {
  if (typeof value !== "string") return mustBe("a time", value);
  const moment = isUtcTime(value) ? scanMoment(value) : undefined;
  const isTime = moment !== undefined && exists(moment) && !Number.isNaN(Date.parse(value));
  return isTime ? undefined : "must be a UTC time in ISO 8601";
}

function operationProblem(value: unknown): string | undefined {
  if (typeof value !== "string") return mustBe("a string", value);
  const isKnown = value === "append" || value === "overwrite" || value === "overwritePartitions";
  return isKnown ? undefined : "must be append, overwrite or overwritePartitions";
}

function nameProblem(value: unknown): string | undefined {
  if (typeof value !== "string") return mustBe("a string", value);
  if (value === "") return "must not be empty";
  return CONTROL.test(value) || !value.isWellFormed() ? "has control characters" : undefined;
}

function offsetProblem(value: unknown): string | undefined {
  return isPlainObject(value) ? undefined : mustBe("an object", value);
}

function schemaProblem(value: unknown): string | undefined {
  if (!isPlainObject(value)) return mustBe("an object", value);
  const { fields } = value as Fields;
  if (!Array.isArray(fields)) return `.fields ${mustBe("an array", fields)}`;
  for (const [i, field] of fields.entries()) {
    const problem = fieldProblem(field);
    if (problem !== undefined) return joined(`.fields[${i}]`, problem);
  }
  return undefined;
}

function fieldProblem(field: unknown): string | undefined {
  if (!isPlainObject(field)) return mustBe("an object", field);
  const { name, type, nullable } = field as Fields;
  if (typeof name !== "string") return `.name ${mustBe("a string", name)}`;
  if (typeof type !== "string") return `.type ${mustBe("a string", type)}`;
  if (type === "" || CONTROL.test(type)) return ".type must be the name of a type";
  return typeof nullable === "boolean" ? undefined : `.nullable ${mustBe("a boolean", nullable)}`;
}

function addProblem(value: unknown): string | undefined {
  return listProblem(value, (file) => {
    const rows = countProblem(file["rows"]);
    if (rows !== undefined) return `.rows ${rows}`;
    const bytes = countProblem(file["bytes"]);
    return bytes === undefined ? undefined : `.bytes ${bytes}`;
  });
}

function removeProblem(value: unknown): string | undefined {
  return listProblem(value, () => undefined);
}

/** Checks a list of files whose paths differ. */
function listProblem(value: unknown, check: (file: Fields) => string | undefined): string | undefined {
  if (!Array.isArray(value)) return mustBe("an array", value);
  const seen = new Set<unknown>();
  for (const [i, file] of value.entries()) {
    const problem = isPlainObject(file)
      ? fileProblem(file as Fields, seen, check)
      : mustBe("an object", file);
    if (problem !== undefined) return joined(`[${i}]`, problem);
  }
  return undefined;
}

function fileProblem(
  file: Fields,
  seen: Set<unknown>,
  check: (file: Fields) => string | undefined,
): string | undefined {
  const { path } = file;
  const problem = pathProblem(path);
  if (problem !== undefined) return `.path ${problem}`;
  if (seen.has(path)) return ".path is there twice";
  seen.add(path);
  return check(file);
}

/** Returns what is wrong with the path of a data file, which must stay in the table's folder. */
export function pathProblem(path: unknown): string | undefined {
  if (typeof path !== "string") return mustBe("a string", path);
  if (path.length > MAX_PATH_BYTES / 4 && Buffer.byteLength(path) > MAX_PATH_BYTES) return "is too long";
  if (PLAIN_PATH.test(path)) return undefined;
  if (path === "") return "must not be empty";
  if (CONTROL.test(path) || !path.isWellFormed()) return "has control characters";
  if (path.includes("\\")) return "has a backslash";
  const parts = path.split("/");
  if (parts.some((part) => part === "" || part === "." || part === ".."))
    return "must be relative to the table's folder, without empty, . or .. parts";
  return RESERVED.includes(parts[0] ?? "") ? `must not be in ${parts[0]}` : undefined;
}

/**
 * The last text that was decoded without an error: most tables have the same one in all entries.
 */
let lastDecoded: { readonly text: string; readonly names: readonly string[] } | undefined;

function arrowSchemaProblem(entry: Fields): string | undefined {
  const { arrowSchema: text, schema } = entry as {
    readonly arrowSchema?: string;
    readonly schema: { readonly fields: readonly { readonly name: string }[] };
  };
  if (text === undefined) return undefined;
  if (lastDecoded?.text !== text) {
    try {
      lastDecoded = { text, names: decodeSchema(text).fields.map(({ name }) => name) };
    } catch (error) {
      if (!(error instanceof ArrowFormatError)) throw error;
      return "arrowSchema is not the schema of an Arrow file";
    }
  }
  const { names } = lastDecoded;
  const isSame =
    names.length === schema.fields.length && schema.fields.every(({ name }, i) => name === names[i]);
  return isSame ? undefined : "arrowSchema has other fields than schema";
}

/** A file that an entry both adds and removes could be live or not. */
function bothProblem(entry: Fields): string | undefined {
  const { add, remove } = entry as Record<"add" | "remove", readonly { readonly path: string }[]>;
  if (add.length === 0 || remove.length === 0) return undefined;
  const added = new Set(add.map(({ path }) => path));
  const at = remove.findIndex(({ path }) => added.has(path));
  return at < 0 ? undefined : `remove[${at}].path is also in add`;
}

function partitionByProblem(value: unknown): string | undefined {
  if (!Array.isArray(value)) return mustBe("an array", value);
  if (value.length === 0) return "must not be empty";
  const at = value.findIndex((name, i) => typeof name !== "string" || value.indexOf(name) < i);
  return at < 0 ? undefined : `[${at}] must be a name that is not there yet`;
}

/** In a table with partitions, each file says which values its rows have in these columns. */
function partitionsProblem(entry: Fields, format: number): string | undefined {
  const { partitionBy, schema, add, operation } = entry as {
    readonly partitionBy?: readonly string[];
    readonly schema: { readonly fields: readonly { readonly name: string }[] };
    readonly add: readonly Fields[];
    readonly operation: string;
  };
  if (format < 3) {
    if (operation === "overwritePartitions") return "operation must be append or overwrite";
    return partitionBy === undefined ? undefined : `partitionBy is there, and format is ${format}`;
  }
  if (partitionBy === undefined) return "partitionBy is missing";
  const unknown = partitionBy.find((name) => !schema.fields.some((field) => field.name === name));
  if (unknown !== undefined) return "partitionBy has a name that is not in schema";
  for (const [i, { partition }] of add.entries()) {
    const problem = partitionProblem(partition);
    if (problem !== undefined) return joined(`add[${i}].partition`, problem);
    if (!hasNames(partition as Fields, partitionBy))
      return `add[${i}].partition must have the names of partitionBy`;
  }
  return undefined;
}

function hasNames(partition: Fields, names: readonly string[]): boolean {
  return (
    Object.keys(partition).length === names.length && names.every((name) => Object.hasOwn(partition, name))
  );
}

/** Returns what is wrong with the values of the partition columns of a file. */
function partitionProblem(partition: unknown): string | undefined {
  if (!isPlainObject(partition)) return mustBe("an object", partition);
  const isValue = (value: unknown) =>
    value === null || typeof value === "string" || typeof value === "boolean" || Number.isSafeInteger(value);
  return Object.values(partition).every(isValue)
    ? undefined
    : "must have values that are texts, booleans, whole numbers up to 2^53 - 1, or null";
}
