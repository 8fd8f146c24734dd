import { isPlainObject } from "../../../contract/json.ts";
import { valueAt } from "../json-path.ts";

/** Maximum number of characters of an excerpt. */
const LONGEST = 500;
/** How much of a body is looked at. A secret that is cut at its end must not be in the excerpt. */
const LOOKED_AT = 32 * 1024;

/**
 * Where APIs put the reason of an error: their own forms, `application/problem+json` (RFC 9457) and
 * OAuth2. All texts that are there are shown together.
 */
const REASONS: readonly (readonly string[])[] = [
  ...["error.code", "error.status", "error.message", "error", "error_description"],
  ...["code", "Code", "title", "message", "Message", "msg", "detail", "errorMessage"],
  ...["errors.0.code", "errors.0.field", "errors.0.title", "errors.0.message", "errors.0.detail", "errors.0"],
  ...["0.errorCode", "0.message", "fault.faultstring"],
].map((path) => path.split("."));

/**
 * Returns what a response says, for people: the reason if the body is JSON with one, otherwise the
 * start of the body. It is one line without control characters. `conceal` removes secrets.
 */
export function excerptOf(body: string, conceal: (text: string) => string): string | undefined {
  const text = reasonIn(body) ?? withoutTags(body.slice(0, LOOKED_AT * 2));
  const line = oneLine(conceal(text).slice(0, LOOKED_AT));
  if (line === "") return undefined;
  return line.length > LONGEST ? `${line.slice(0, LONGEST - 1)}…` : line;
}

function reasonIn(body: string): string | undefined {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (typeof json === "string") return json;
  if (!isPlainObject(json) && !Array.isArray(json)) return undefined;
  const texts = REASONS.map((path) => valueAt(json, path)).filter(isText);
  return texts.some((text) => typeof text === "string") ? [...new Set(texts)].join(": ") : undefined;
}

function isText(value: unknown): value is string | number {
  return (typeof value === "string" && value.trim() !== "") || typeof value === "number";
}

/** Returns the text of a page of HTML. Any other text is returned as it is. */
function withoutTags(text: string): string {
  if (!/^\s*<(?:!doctype\s|html|head|body)/i.test(text)) return text;
  return text.replace(/<(script|style)\b.*?<\/\1\s*>/gis, " ").replace(/<[^>]*>/g, " ");
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: it removes the sequences of a terminal.
const ESCAPES = /\u001B\[[0-?]*[ -/]*[@-~]|\u001B\][^\u0007\u001B]*(?:\u0007|\u001B\\)/g;

function oneLine(text: string): string {
  return text
    .replace(ESCAPES, " ")
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\s]+/gu, " ")
    .trim();
}
