import { DataType, type Field, type Schema } from "apache-arrow";
import { parse } from "postgres-array";
import { MillraceError } from "../../contract/errors.ts";
import type { Row } from "../../contract/stream-reader.ts";
import { jsonValue } from "../kit/json.ts";
import { JsonFault, parseJson } from "../kit/json-parser.ts";
import type { Cells } from "../kit/postgres/session.ts";

/** The object ids of `json` and `jsonb`. */
const JSON_TYPES: ReadonlySet<number> = new Set([114, 3802]);
/** The object ids of `json[]` and `jsonb[]`, and those of their elements. */
const JSON_ARRAYS: ReadonlyMap<number, number> = new Map([
  [199, 114],
  [3807, 3802],
]);

const NUMBER = /^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const NOT_FINITE: ReadonlyMap<string, number> = new Map([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
]);
const BYTES = /^\\x(?:[0-9a-f]{2})*$/;

type Converter = (text: string) => unknown;

/**
 * Returns a function that converts PostgreSQL's text output to a row. A text that does not fit its
 * field is returned unchanged; adding the row to a record batch then fails. Error: `ROW_MISMATCH`
 * for a `json` value that has a name twice.
 */
export function rowConverter(schema: Schema, types: readonly number[]): (cells: Cells) => Row {
  const converters = schema.fields.map((field, i) => textConverter(field, types[i] ?? 0));
  return (cells) =>
    cells.map((text, i) => {
      const convert = converters[i];
      return text === null || convert === undefined ? text : convert(text);
    });
}

/**
 * Returns `undefined` for types whose value is the text itself: strings, decimals, dates and times.
 */
function textConverter(field: Field, oid: number): Converter | undefined {
  const { type } = field;
  if (DataType.isUtf8(type)) return undefined;
  if (JSON_TYPES.has(oid)) return jsonConverter(field);
  if (DataType.isBool(type)) return (text) => (text === "t" ? true : text === "f" ? false : text);
  if (DataType.isInt(type)) return (text) => (/^-?\d+$/.test(text) ? BigInt(text) : text);
  if (DataType.isFloat(type)) return numberOf;
  if (DataType.isBinary(type)) return bytesOf;
  if (!DataType.isList(type)) return undefined;
  const [element] = type.children;
  const convert = element === undefined ? undefined : textConverter(element, JSON_ARRAYS.get(oid) ?? 0);
  return (text) => elementsOf(text).map((item) => itemOf(item, convert));
}

function jsonConverter({ name, type }: Field): Converter {
  const convert = jsonValue(type);
  return (text) => {
    try {
      return convert(parseJson(text));
    } catch (error) {
      if (!(error instanceof JsonFault)) throw error;
      throw new MillraceError("ROW_MISMATCH", `field "${name}": the JSON is in doubt: ${error.message}`, {
        where: { field: name },
        hint: "Correct the row, make the column jsonb, or read it as a string.",
      });
    }
  };
}

/** Parses an array. NULL elements become null; further dimensions become nested arrays. */
function elementsOf(text: string): readonly unknown[] {
  return parse(text);
}

function itemOf(item: unknown, convert: Converter | undefined): unknown {
  return typeof item === "string" && convert !== undefined ? convert(item) : item;
}

/** A finite number that a double would make infinite, and any text that is no number, stay text. */
function numberOf(text: string): unknown {
  const known = NOT_FINITE.get(text);
  if (known !== undefined) return known;
  const number = NUMBER.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(number) ? number : text;
}

/** A text that is not the output of a `bytea` stays text. */
function bytesOf(text: string): unknown {
  return BYTES.test(text) ? Buffer.from(text.slice(2), "hex") : text;
}
