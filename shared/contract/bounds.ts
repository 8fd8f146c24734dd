import { MillraceError } from "./errors.ts";
import { epochMicros, exists, scanMoment } from "./iso.ts";
import { stepMicros, toIso, toMicros } from "./time.ts";

/*
 * The bounds of a backfill, as text: ISO 8601 in UTC as `toIso` writes it, or a whole number. Two
 * equal bounds have equal text.
 */

const NUMBER = /^-?\d+$/;

/** What the bounds of a range are. */
export type BoundKind = "time" | "number";

export function kindOfBound(bound: string): BoundKind {
  return NUMBER.test(bound) ? "number" : "time";
}

/**
 * Returns the bound that a person gives: a date such as `2026-01-01`, which begins at midnight UTC,
 * an ISO 8601 time, which is UTC unless it has a zone, or a whole number. Throws
 * `BACKFILL_RANGE_INVALID`.
 */
export function parseBound(text: string, flag: string): string {
  const given = text.trim();
  if (NUMBER.test(given)) return String(BigInt(given));
  const moment = scanMoment(/^\d{4}-\d{2}-\d{2}$/.test(given) ? `${given}T00:00` : given);
  if (moment !== undefined && !moment.isFiner && exists(moment)) return toIso(epochMicros(moment));
  throw rangeInvalid(
    `${flag} is "${text}", which is neither a time nor a whole number`,
    "Write a date such as 2026-01-01, a time such as 2026-01-01T06:30:00Z (UTC unless it has a zone), or a whole number.",
  );
}

/** Returns microseconds since 1970, or the number. Bounds of one kind compare by it. */
export function valueOfBound(bound: string): bigint {
  return kindOfBound(bound) === "number" ? BigInt(bound) : toMicros(bound);
}

function boundOf(value: bigint, kind: BoundKind): string {
  return kind === "number" ? String(value) : toIso(value);
}

/**
 * Returns the length of a chunk: a duration such as `1d` in microseconds, or a whole number. Throws
 * `BACKFILL_RANGE_INVALID` or `DURATION_INVALID`.
 */
export function lengthOfChunk(chunk: string, kind: BoundKind): bigint {
  if (kind === "time") return stepMicros(chunk);
  if (/^\d+$/.test(chunk) && BigInt(chunk) > 0n) return BigInt(chunk);
  throw rangeInvalid(
    `--chunk is "${chunk}", and the range is one of numbers`,
    "Give how many numbers one batch covers, such as 100000.",
  );
}

/** Returns the bound one chunk after `bound`, but not after `last`. */
export function nextBound(bound: string, chunk: string, last: string): string {
  const kind = kindOfBound(bound);
  const next = valueOfBound(bound) + lengthOfChunk(chunk, kind);
  return next < valueOfBound(last) ? boundOf(next, kind) : last;
}

export function rangeInvalid(problem: string, hint: string): MillraceError {
  return new MillraceError("BACKFILL_RANGE_INVALID", problem, { hint });
}
