import { type IsoMoment, IsoScanner, scanMoment } from "../../contract/iso.ts";
import { ValueMismatch } from "./builder.ts";

/**
 * The moment of `2026-11-21T03:04:05.678901+01:00`; seconds, fraction and zone may be missing.
 * `undefined` for other text; errors: `ValueMismatch` for a moment that is in no calendar, or finer
 * than a microsecond. `type` and `value` are for the error.
 */
export function parseMoment(text: string, type: string, value: unknown): IsoMoment | undefined {
  const moment = scanMoment(text);
  if (moment === undefined) return undefined;
  if (Number.isNaN(moment.seconds)) throw new ValueMismatch(type, value, "a date that does not exist");
  if (Number.isNaN(moment.offset)) throw new ValueMismatch(type, value, "a zone that does not exist");
  if (moment.isFiner) throw new ValueMismatch(`${type} (microseconds)`, value, "a time with nanoseconds");
  return moment;
}

/** Days from 1970-01-01 to `2026-11-21`. Otherwise as `parseMoment`. */
export function parseDate(text: string, type: string, value: unknown): number | undefined {
  const scanner = new IsoScanner(text);
  const days = scanner.date();
  if (days === undefined || !scanner.isEnd) return undefined;
  if (Number.isNaN(days)) throw new ValueMismatch(type, value, "a date that does not exist");
  return days;
}

/** Microseconds from midnight to `03:04:05.678901`. Otherwise as `parseMoment`. */
export function parseTime(text: string, type: string, value: unknown): number | undefined {
  const scanner = new IsoScanner(text);
  const time = scanner.time();
  if (time === undefined || !scanner.isEnd) return undefined;
  if (Number.isNaN(time)) throw new ValueMismatch(type, value, "a time that does not exist");
  if (scanner.isFiner) throw new ValueMismatch(`${type} (microseconds)`, value, "a time with nanoseconds");
  return time * 1_000_000 + scanner.micros;
}
