import { MillraceError } from "./errors.ts";

const UNITS = new Map<string, number>(
  Object.entries({
    ms: 1,
    millisecond: 1,
    milliseconds: 1,
    s: 1000,
    second: 1000,
    seconds: 1000,
    m: 60_000,
    min: 60_000,
    minute: 60_000,
    minutes: 60_000,
    h: 3_600_000,
    hour: 3_600_000,
    hours: 3_600_000,
    d: 86_400_000,
    day: 86_400_000,
    days: 86_400_000,
  }),
);

/**
 * Parses a duration such as `"10s"`, `"1.5 hours"` or `"500 milliseconds"` into milliseconds. No
 * library is used, because these few lines accept Spark's spelling as well as `10s` and refuse
 * everything else. Throws `DURATION_INVALID`.
 */
export function parseDuration(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*$/i.exec(text);
  const unit = UNITS.get(match?.[2]?.toLowerCase() ?? "");
  if (match === null || unit === undefined) {
    throw new MillraceError("DURATION_INVALID", `"${text}" is not a duration`, {
      hint: "Write a number and a unit: 500ms, 10s, 5m, 2h, 7d.",
    });
  }
  return Math.round(Number(match[1]) * unit);
}
