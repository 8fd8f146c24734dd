import { DataType, type Field, type Schema } from "apache-arrow";
import { parse } from "postgres-array";
import type { Row } from "../../contract/stream-reader.ts";
import type { Cells } from "./session.ts";

/** The object ids of `json` and `jsonb`. */
const JSON_TYPES: ReadonlySet<number> = new Set([114, 3802]);

type Converter = (text: string) => unknown;

/**
 * Returns a function that converts PostgreSQL's text output to a row. A text that does not fit its
 * field is returned unchanged; adding the row to a record batch then fails.
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
function textConverter({ type }: Field, oid: number): Converter | undefined {
  if (DataType.isBool(type)) return (text) => (text === "t" ? true : text === "f" ? false : text);
  if (DataType.isInt(type)) return (text) => (/^-?\d+$/.test(text) ? BigInt(text) : text);
  if (DataType.isFloat(type)) return numberOf;
  if (DataType.isBinary(type)) return (text) => Buffer.from(text.replace(/^\\x/, ""), "hex");
  if (JSON_TYPES.has(oid) && !DataType.isUtf8(type)) return (text) => JSON.parse(text) as unknown;
  if (!DataType.isList(type)) return undefined;
  const [element] = type.children;
  const convert = element === undefined ? undefined : textConverter(element, 0);
  return (text) =>
    elementsOf(text).map((item) =>
      typeof item === "string" && convert !== undefined ? convert(item) : item,
    );
}

/** Parses an array. NULL elements become null; further dimensions become nested arrays. */
function elementsOf(text: string): readonly unknown[] {
  return parse(text);
}

function numberOf(text: string): unknown {
  const number = Number(text);
  return Number.isNaN(number) && text !== "NaN" ? text : number;
}
