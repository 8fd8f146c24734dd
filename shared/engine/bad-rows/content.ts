import { isPlainObject, JsonNumber } from "../../contract/json.ts";

/*
 * Rows as JSON. A value that JSON lacks is an object with one property, whose name tells what it
 * is: {"$bigint":"12"}. An object that looks like one of these is {"$object":[[name,value],…]}.
 */

type Decode = (content: unknown) => unknown;

const DECODERS: Readonly<Record<string, Decode>> = {
  $bigint: (text) => BigInt(String(text)),
  $binary: (text) => new Uint8Array(Buffer.from(String(text), "base64")),
  $date: (milliseconds) => new Date(milliseconds === null ? Number.NaN : Number(milliseconds)),
  $double: (text) => Number(text),
  $map: (entries) =>
    new Map(
      (entries as readonly (readonly [unknown, unknown])[]).map(([key, value]) => [
        decodeContent(key),
        decodeContent(value),
      ]),
    ),
  $number: (text) => new JsonNumber(String(text)),
  $object: (entries) =>
    Object.fromEntries(
      (entries as readonly (readonly [string, unknown])[]).map(([name, value]) => [
        name,
        decodeContent(value),
      ]),
    ),
  $text: (text) => text,
  $undefined: () => undefined,
};

/** Returns a JSON value from which `decodeContent` makes the value again. */
export function encodeContent(value: unknown): unknown {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0) ? value : { $double: doubleText(value) };
    case "bigint":
      return { $bigint: String(value) };
    case "undefined":
      return { $undefined: true };
    case "object":
      return value === null ? null : encodeObject(value);
    default:
      return { $text: String(value) };
  }
}

function doubleText(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

function encodeObject(value: object): unknown {
  if (Array.isArray(value)) return value.map(encodeContent);
  if (value instanceof JsonNumber) return { $number: value.source };
  if (value instanceof Date) return { $date: Number.isNaN(value.getTime()) ? null : value.getTime() };
  if (value instanceof Map)
    return { $map: [...value].map(([key, item]) => [encodeContent(key), encodeContent(item)]) };
  if (ArrayBuffer.isView(value))
    return { $binary: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64") };
  // A `Temporal` value has its ISO text.
  if (!isPlainObject(value)) return { $text: String(value) };
  const entries = Object.entries(value).map(([name, item]) => [name, encodeContent(item)] as const);
  const isAmbiguous = entries.some(([name]) => name.startsWith("$") || name === "__proto__");
  return isAmbiguous ? { $object: entries } : Object.fromEntries(entries);
}

/** Returns the value that `encodeContent` was given. */
export function decodeContent(content: unknown): unknown {
  if (Array.isArray(content)) return content.map(decodeContent);
  if (!isPlainObject(content)) return content;
  const [[name, value] = ["", undefined]] = Object.entries(content);
  const decode = name.startsWith("$") ? DECODERS[name] : undefined;
  if (decode !== undefined) return decode(value);
  return Object.fromEntries(Object.entries(content).map(([field, item]) => [field, decodeContent(item)]));
}
