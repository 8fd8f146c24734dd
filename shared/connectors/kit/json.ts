import { DataType, type Field, type Schema } from "apache-arrow";
import { fieldOf } from "../../arrow/builders/nested.ts";
import { MillraceError, show } from "../../contract/errors.ts";
import { isPlainObject, kindOf } from "../../contract/json.ts";
import type { Row } from "../../contract/stream-reader.ts";
import { checkColumnNames } from "./column-names.ts";

/** The text of a JSON number that a double would round. */
export class JsonNumber {
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }
}

/**
 * Parses JSON without losing digits. Integers beyond 2^53 become bigint. With `decimals`, fractions
 * with more than 15 characters become `JsonNumber`.
 */
export function parseJson(text: string, { decimals = false }: { readonly decimals?: boolean } = {}): unknown {
  if (!(decimals ? /[\d.]{16}/ : /\d{16}/).test(text)) return JSON.parse(text);
  const revive = (_key: string, value: unknown, context?: { readonly source?: string }): unknown => {
    if (typeof value !== "number") return value;
    const source = context?.source ?? "";
    if (/^-?\d+$/.test(source)) return Number.isSafeInteger(value) ? value : BigInt(source);
    return decimals && source.length > 15 ? new JsonNumber(source) : value;
  };
  return JSON.parse(text, revive);
}

/**
 * Returns a function that converts a message with one JSON object to a row of `schema`. Missing
 * columns are null. `name` is the message's name in errors. Errors: `RECORD_NOT_JSON`,
 * `COLUMN_MISNAMED`.
 */
export function jsonRecord(schema: Schema): (message: string | Uint8Array, name: string) => Row {
  const names = schema.fields.map((field) => field.name);
  const toRow = jsonRow(schema);
  const utf8 = new TextDecoder("utf-8", { fatal: true });
  return (message, name) => {
    let value: unknown;
    try {
      value = parseJson(typeof message === "string" ? message : utf8.decode(message), { decimals: true });
    } catch {
      // The parser's error is dropped because it quotes the message.
      throw notJson(`${name} is not JSON`, message);
    }
    if (!isPlainObject(value)) throw notJson(`${name} is ${kindOf(value)}, not an object`, message);
    checkColumnNames(names, Object.keys(value), { prefix: `${name}: ` });
    return toRow(value);
  };
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
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/**
 * Returns a function that converts a JSON object to a row with values in the order of `schema`.
 * Missing columns are null. A value that does not fit its type is returned unchanged; the
 * conversion to Arrow reports it.
 */
export function jsonRow(schema: Schema): (record: Readonly<Record<string, unknown>>) => Row {
  const read = fieldsReader(schema.fields);
  return (record) => read(record);
}

function fieldsReader(fields: readonly Field[]): (record: Readonly<Record<string, unknown>>) => unknown[] {
  const converters = fields.map(({ name, type }) => [name, converter(type)] as const);
  return (record) => converters.map(([name, convert]) => convert(fieldOf(record, name)));
}

function converter(type: DataType): Convert {
  const convert = ofValue(type);
  return (value) => (value === undefined || value === null ? null : convert(value));
}

function ofValue(type: DataType): Convert {
  if (DataType.isFloat(type)) {
    return (value) =>
      typeof value === "bigint" ? Number(value) : value instanceof JsonNumber ? Number(value.source) : value;
  }
  if (DataType.isDecimal(type)) return (value) => (value instanceof JsonNumber ? value.source : value);
  // Many programs write integers beyond 2^53 as text.
  if (DataType.isInt(type) && type.bitWidth === 64) return toBigInt;
  if (DataType.isBinary(type)) {
    return (value) =>
      typeof value === "string" && BASE64.test(value) ? Buffer.from(value, "base64") : value;
  }
  if (DataType.isList(type)) {
    const item = converter(type.valueType);
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
  if (DataType.isMap(type)) {
    const key = ofKey(type.keyType);
    const item = converter(type.valueType);
    return (value) =>
      isPlainObject(value) ? new Map(Object.entries(value).map(([k, v]) => [key(k), item(v)])) : value;
  }
  return (value) => value;
}

/** The keys of a JSON object are always text, so they are converted to the map's key type. */
function ofKey(type: DataType): Convert {
  if (DataType.isInt(type)) return toBigInt;
  if (DataType.isFloat(type)) return Number;
  return (text) => text;
}

function toBigInt(value: unknown): unknown {
  return typeof value === "string" && INTEGER.test(value) ? BigInt(value) : value;
}
