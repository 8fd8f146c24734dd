import { DataType } from "apache-arrow";
import { typeName } from "../../contract/ddl/print.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { EpochUnit } from "../kit/epoch.ts";
import { bytesOf } from "./binary-text.ts";
import { epochOf } from "./epoch.ts";
import { TextMismatch } from "./text-mismatch.ts";

const SPACE = 0x20;

/** How the text of a column is read. */
export interface TextForm {
  /** The unit of numbers in columns of the type `timestamp`. Without it they are an error. */
  readonly epoch?: EpochUnit | undefined;
  /** How bytes are written. Default `base64`. */
  readonly binary?: "base64" | "hex" | undefined;
}

/**
 * Returns a function that converts the text of a column to a value. Text that does not fit the type
 * is returned unchanged, and the conversion to Arrow reports its row and field; if an option may
 * help, it throws a `TextMismatch`. Error: `TYPE_NOT_SUPPORTED` for nested types.
 */
export function textConverter(type: DataType, name: string, form: TextForm): (text: string) => unknown {
  if (DataType.isUtf8(type)) return (text) => text;
  if (DataType.isBinary(type)) return (text) => bytesOf(text, name, form.binary);
  const convert = textParser(type, name, form);
  if (convert === undefined) {
    throw new MillraceError("TYPE_NOT_SUPPORTED", `CSV has no values of the type ${typeName(type)}`, {
      where: { field: name },
      hint: `Make "${name}" a string in .schema(…), or leave it out.`,
    });
  }
  return (text) => {
    // Many programs quote every field, including empty ones, so a quoted empty field is null here.
    if (text === "") return null;
    const trimmed = withoutSpaces(text);
    if (trimmed !== "") return convert(trimmed);
    throw new TextMismatch(
      name,
      typeName(type),
      text,
      "only spaces",
      "Set `trim: true` to take fields of spaces for empty ones, which are null.",
    );
  };
}

/** Removes spaces and tabs around a value. Other white space is part of it, and then an error. */
function withoutSpaces(text: string): string {
  const isPlain = text.charCodeAt(0) > SPACE && text.charCodeAt(text.length - 1) > SPACE;
  return isPlain ? text : text.replace(/^[ \t]+|[ \t]+$/g, "");
}

function textParser(type: DataType, name: string, form: TextForm): ((text: string) => unknown) | undefined {
  if (DataType.isInt(type)) return toInteger;
  if (DataType.isFloat(type)) return (text) => toFloat(text, name);
  if (DataType.isBool(type)) {
    return (text) => (/^true$/i.test(text) ? true : /^false$/i.test(text) ? false : text);
  }
  if (DataType.isTimestamp(type) && type.timezone) return (text) => toInstant(text, name, form.epoch);
  const isTime = DataType.isTimestamp(type) || DataType.isDate(type) || DataType.isTime(type);
  return isTime || DataType.isDuration(type) || DataType.isDecimal(type) ? (text) => text : undefined;
}

/** A number with at most this many characters is exact as a double. */
const EXACT_CHARACTERS = 15;

function toInteger(text: string): unknown {
  if (!/^[+-]?\d+$/.test(text)) return text;
  // Adding 0 turns -0 into 0.
  return text.length <= EXACT_CHARACTERS ? Number(text) + 0 : BigInt(text.replace("+", ""));
}

const FLOAT = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

/**
 * Accepts the words for infinity and NaN that Spark accepts. A number that a double can only hold
 * as infinity, or as 0 though it is not, is an error.
 */
function toFloat(text: string, name: string): unknown {
  if (FLOAT.test(text)) {
    const value = Number(text);
    const isLost = !Number.isFinite(value) || (value === 0 && /^[^e]*[1-9]/i.test(text));
    if (!isLost) return value;
    throw new TextMismatch(
      name,
      "double",
      text,
      "a number outside it",
      `Make "${name}" a string or a decimal in .schema(…), or take the file away, set \`ignoreMissingFiles: true\`, and run again.`,
    );
  }
  if (/^[+-]?inf(?:inity)?$/i.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  return /^nan$/i.test(text) ? Number.NaN : text;
}

function toInstant(text: string, name: string, unit: EpochUnit | undefined): unknown {
  // A time in ISO 8601 has its second `-` or `:` before any digit beyond the fourth.
  return /^[+-]?\d+(?:\.\d+)?$/.test(text) ? epochOf(text, name, unit, text) : text;
}
