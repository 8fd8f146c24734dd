import { DataType, type Field, type Schema } from "apache-arrow";
import { fieldOf } from "../../arrow/builders/nested.ts";
import { isPlainObject } from "../../contract/json.ts";
import type { Row } from "../../contract/stream-reader.ts";
import { JsonNumber } from "./json-text.ts";

type Convert = (value: unknown) => unknown;

const INTEGER = /^-?\d+$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Turns a JSON object, as sinks of rows get them, into a row of `schema`, by position. What is not there is null; what does not fit is left for the conversion to Arrow. */
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
  // Beyond 2^53 many write them as text.
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

/** Names in JSON are text, whatever the map's keys are. */
function ofKey(type: DataType): Convert {
  if (DataType.isInt(type)) return toBigInt;
  if (DataType.isFloat(type)) return Number;
  return (text) => text;
}

function toBigInt(value: unknown): unknown {
  return typeof value === "string" && INTEGER.test(value) ? BigInt(value) : value;
}
