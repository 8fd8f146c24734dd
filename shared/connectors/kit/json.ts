import { DataType, type Field, type Schema } from "apache-arrow";
import { KnownFields, type LeftOutFields } from "../../arrow/left-out.ts";
import { MillraceError, show } from "../../contract/errors.ts";
import { isPlainObject, JsonNumber, kindOf } from "../../contract/json.ts";
import type { Row } from "../../contract/stream-reader.ts";
import { bytesIn } from "./binary-text.ts";
import { checkColumnNames } from "./column-names.ts";
import { firstNamesOf, flattened, type JsonColumns } from "./json-columns.ts";
import { isExactNumber, nearestDouble, plainText, wholeNumber } from "./json-number.ts";
import { JsonFault, parseJson } from "./json-parser.ts";

/**
 * Returns a function that converts a message with one JSON object to a row of `schema`. Missing
 * columns are null. `name` is the message's name in errors. `leftOut` collects the fields that the
 * schema lacks. Errors: `RECORD_NOT_JSON`,
 * `COLUMN_MISNAMED`, `PATH_AMBIGUOUS`.
 */
export function jsonRecord(
  schema: Schema,
  columns: JsonColumns = {},
  leftOut?: LeftOutFields,
): (message: string | Uint8Array, name: string) => Row {
  const names = schema.fields.map((field) => field.name).filter((each) => !Object.hasOwn(columns, each));
  const known = [...names, ...firstNamesOf(columns)];
  const taken = new KnownFields(schema.fields, known);
  // Columns with paths are chosen from what there is, so the other fields are left out on purpose.
  const tells = Object.keys(columns).length === 0;
  const flat = flattened(columns);
  const toRow = jsonRow(schema);
  const utf8 = new TextDecoder("utf-8", { fatal: true });
  return (message, name) => {
    const value = parsed(message, name, utf8);
    if (!isPlainObject(value)) throw notJson(`${name} is ${kindOf(value)}, not an object`, message);
    checkColumnNames(names, Object.keys(value), { prefix: `${name}: `, known });
    if (tells) leftOut?.lookAtRecord(value, taken);
    return toRow(flat(value, name));
  };
}

function parsed(
  message: string | Uint8Array,
  name: string,
  utf8: { decode(bytes: Uint8Array): string },
): unknown {
  let text: string;
  try {
    text = typeof message === "string" ? message : utf8.decode(message);
  } catch {
    throw notJson(`${name} is not UTF-8`, message);
  }
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    throw notJson(`${name} is not JSON: ${error.message}`, message);
  }
}

function notJson(problem: string, message: string | Uint8Array): MillraceError {
  const text = typeof message === "string" ? message : Buffer.from(message).toString();
  return new MillraceError("RECORD_NOT_JSON", problem, {
    hint: 'Correct what writes it, or read it as it is: format: "raw".',
    found: show(text),
  });
}

type Convert = (value: unknown) => unknown;

const INTEGER = /^-?\d+$/;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/**
 * Returns a function that converts a JSON object to a row with values in the order of `schema`.
 * Missing columns are null. A value that does not fit its type is returned unchanged; the
 * conversion to Arrow reports it.
 */
export function jsonRow(schema: Schema): (record: Readonly<Record<string, unknown>>) => Row {
  return fieldsReader(schema.fields);
}

function fieldsReader(fields: readonly Field[]): (record: Readonly<Record<string, unknown>>) => unknown[] {
  const converters = fields.map(({ name, type }) => [name, jsonValue(type)] as const);
  // Every object has some names, such as `constructor`, by inheritance.
  return (record) =>
    converters.map(([name, convert]) => (Object.hasOwn(record, name) ? convert(record[name]) : null));
}

/**
 * Returns a function that converts a value of `parseJson` to one that a column of this type takes.
 * `undefined` becomes null. All connectors that read JSON use it, so they follow the same rules:
 *
 * - A number keeps its digits. `1.0` and `1e2` are whole numbers. A number that a column cannot
 *   hold, or that a double or float would make infinite, is an error.
 * - A `bigint` may also be a string of digits, because many programs write integers beyond 2^53 as
 *   text.
 * - A number is no time, because it does not say its unit.
 * - Bytes are base64 as RFC 4648 has it in section 4: with its padding, without line breaks, and
 *   not in the alphabet for URLs.
 *
 * A value that does not fit is returned unchanged; the conversion to Arrow reports it.
 */
export function jsonValue(type: DataType): Convert {
  const convert = ofValue(type);
  return (value) => (value === undefined || value === null ? null : convert(value));
}

function ofValue(type: DataType): Convert {
  if (DataType.isFloat(type)) return toDouble;
  if (DataType.isDecimal(type))
    return (value) => (value instanceof JsonNumber ? (plainText(value) ?? value) : value);
  if (DataType.isInt(type)) return toInteger(type.bitWidth === 64);
  if (isTime(type)) return (value) => (typeof value === "bigint" ? new JsonNumber(String(value)) : value);
  if (DataType.isBinary(type)) return toBytes;
  return ofNested(type) ?? ((value) => value);
}

function ofNested(type: DataType): Convert | undefined {
  if (DataType.isList(type)) {
    const item = jsonValue(type.valueType);
    return (value) => (Array.isArray(value) ? value.map(item) : value);
  }
  if (DataType.isStruct(type)) {
    const read = fieldsReader(type.children);
    const names = type.children.map(({ name }) => name);
    return (value) => {
      if (!isPlainObject(value)) return value;
      const values = read(value);
      return Object.fromEntries(names.map((name, i) => [name, values[i]]));
    };
  }
  return DataType.isMap(type) ? toMap(jsonKey(type.keyType), jsonValue(type.valueType)) : undefined;
}

function toMap(key: Convert, item: Convert): Convert {
  return (value) => {
    if (!isPlainObject(value)) return value;
    const entries = Object.entries(value);
    const map = new Map(entries.map(([name, one]) => [key(name), item(one)]));
    // Keys such as "1" and "1.0" are one number. The object itself is then reported as no such map.
    return map.size === entries.length ? map : value;
  };
}

/** The keys of a JSON object are always text, so they are converted to the map's key type. */
function jsonKey(type: DataType): Convert {
  if (DataType.isInt(type)) return toInteger(true);
  if (!DataType.isFloat(type)) return (text) => text;
  return (text) =>
    typeof text === "string" && NUMBER.test(text) ? (nearestDouble(new JsonNumber(text)) ?? text) : text;
}

function toDouble(value: unknown): unknown {
  return isExactNumber(value) ? (nearestDouble(value) ?? new JsonNumber(String(value))) : value;
}

function toInteger(takesText: boolean): Convert {
  return (value) => {
    if (value instanceof JsonNumber) return wholeNumber(value) ?? value;
    return takesText && typeof value === "string" && INTEGER.test(value) ? BigInt(value) : value;
  };
}

/** True for types whose values are times, of which some count from an epoch as a bigint. */
function isTime(type: DataType): boolean {
  return (
    DataType.isTimestamp(type) || DataType.isDate(type) || DataType.isTime(type) || DataType.isDuration(type)
  );
}

function toBytes(value: unknown): unknown {
  return typeof value === "string" ? (bytesIn(value, "base64") ?? value) : value;
}
