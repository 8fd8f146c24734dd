import type { ErrorOrigin } from "../../contract/error-origin.ts";
import type { ErrorRecord } from "../../contract/errors.ts";

/** Longest texts of an error in the ledger, in bytes of JSON. */
const MESSAGE_BYTES = 8 * 1024;
const HINT_BYTES = 4 * 1024;
const WHERE_BYTES = 2 * 1024;
/** How many frames of a stack are kept, and the longest text of each. */
const MOST_FRAMES = 4;
const FRAME_BYTES = 512;
/** How many later errors are kept, and the longest texts of each. */
const MOST_LATER = 3;
const LATER_BYTES = 2 * 1024;

/**
 * Returns the error with texts of bounded length, so that it fits into an item of any ledger. A
 * text that is cut says so, and how long it was.
 */
export function boundedError(error: ErrorRecord): ErrorRecord {
  const { also, ...first } = error;
  const kept = also?.slice(0, MOST_LATER).map(({ also: _later, ...each }) => bounded(each, LATER_BYTES));
  return { ...bounded(first, MESSAGE_BYTES), ...(kept === undefined ? {} : { also: kept }) };
}

function bounded(
  { code, message, where, hint, retryable, origin }: ErrorRecord,
  messageBytes: number,
): ErrorRecord {
  return {
    code: cut(code, WHERE_BYTES),
    message: cut(message, messageBytes),
    where: Object.fromEntries(
      Object.entries(where).map(([name, value]: [string, string | number]) => [
        name,
        typeof value === "string" ? cut(value, WHERE_BYTES) : value,
      ]),
    ),
    ...(hint === undefined ? {} : { hint: cut(hint, Math.min(HINT_BYTES, messageBytes)) }),
    ...(retryable === undefined ? {} : { retryable }),
    ...(origin === undefined ? {} : { origin: boundedOrigin(origin) }),
  };
}

function boundedOrigin({ name, frames, ...codes }: ErrorOrigin): ErrorOrigin {
  return {
    name: cut(name, WHERE_BYTES),
    ...codes,
    ...(frames === undefined
      ? {}
      : { frames: frames.slice(0, MOST_FRAMES).map((each) => cut(each, FRAME_BYTES)) }),
  };
}

/** Cuts a text to `most` bytes of JSON, and ends it with a mark that names its length. */
export function cut(text: string, most: number): string {
  if (jsonBytes(text) <= most) return text;
  const mark = `… (cut: it has ${text.length} characters)`;
  let kept = text.slice(0, most);
  for (let bytes = jsonBytes(kept + mark); bytes > most; bytes = jsonBytes(kept + mark))
    kept = kept.slice(0, Math.min(kept.length - 1, Math.floor((kept.length * most) / bytes)));
  return `${kept.toWellFormed()}${mark}`;
}

function jsonBytes(text: string): number {
  return Buffer.byteLength(JSON.stringify(text));
}
