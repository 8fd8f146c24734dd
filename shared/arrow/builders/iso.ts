import { type IsoMoment, IsoScanner, scanMoment } from "../../contract/iso.ts";
import { ValueMismatch } from "./builder.ts";

/**
 * Parses a time such as `2026-11-21T03:04:05.678901+01:00`. Seconds, fraction and zone are
 * optional. Returns `undefined` for text of another form. Throws `ValueMismatch` for a date or zone
 * that does not exist, and for a time with nanoseconds; `type` and `value` are for this error.
 */
export function parseMoment(text: string, type: string, value: unknown): IsoMoment | undefined {
  const moment = scanMoment(text);
  if (moment === undefined) return undefined;
  if (Number.isNaN(moment.seconds)) throw new ValueMismatch(type, value, "a date that does not exist");
  if (Number.isNaN(moment.offset)) throw new ValueMismatch(type, value, "a zone that does not exist");
  if (moment.isFiner) throw new ValueMismatch(`${type} (microseconds)`, value, "a time with nanoseconds");
  return moment;
}

/**
 * Parses a date such as `2026-11-21` into days since 1970-01-01. Other text and errors are handled
 * as in `parseMoment`.
 */
export function parseDate(text: string, type: string, value: unknown): number | undefined {
  const scanner = new IsoScanner(text);
  const days = scanner.date();
  if (days === undefined || !scanner.isEnd) return undefined;
  if (Number.isNaN(days)) throw new ValueMismatch(type, value, "a date that does not exist");
  return days;
}

/**
 * Parses a time of day such as `03:04:05.678901` into microseconds since midnight. Other text and
 * errors are handled as in `parseMoment`.
 */
export function parseTime(text: string, type: string, value: unknown): number | undefined {
  const scanner = new IsoScanner(text);
  const time = scanner.time();
  if (time === undefined || !scanner.isEnd) return undefined;
  if (Number.isNaN(time)) throw new ValueMismatch(type, value, "a time that does not exist");
  if (scanner.isFiner) throw new ValueMismatch(`${type} (microseconds)`, value, "a time with nanoseconds");
  return time * 1_000_000 + scanner.micros;
}
