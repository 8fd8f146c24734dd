import type { Schema } from "apache-arrow";
import { MillraceError, show } from "../../contract/errors.ts";
import { isPlainObject, kindOf } from "../../contract/json.ts";
import type { Row } from "../../contract/stream-reader.ts";
import { checkColumnNames } from "./column-names.ts";
import { parseJson } from "./json-text.ts";
import { jsonRow } from "./json-values.ts";

/**
 * Turns a message that is one JSON object into a row of `schema`; `name` is what an error calls it. What is not there is null. Error:
 * `RECORD_NOT_JSON`, `COLUMN_MISNAMED`.
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
      // The parser's error quotes the message.
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
