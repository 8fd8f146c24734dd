import {
  type Duration,
  type Interval,
  IntervalUnit,
  type Time,
  type Timestamp,
  TimeUnit,
} from "apache-arrow";

/** Number of time units in a second, and number of fractional digits of a second, by time unit. */
const FRACTIONS: Readonly<Record<TimeUnit, { readonly parts: bigint; readonly digits: number }>> = {
  [TimeUnit.SECOND]: { parts: 1n, digits: 0 },
  [TimeUnit.MILLISECOND]: { parts: 1000n, digits: 3 },
  [TimeUnit.MICROSECOND]: { parts: 1_000_000n, digits: 6 },
  [TimeUnit.NANOSECOND]: { parts: 1_000_000_000n, digits: 9 },
};

const DAY_SECONDS = 86_400n;
const DAY_MILLIS = 86_400_000n;

/**
 * Formats a date as ISO 8601. A date outside the range of JavaScript's Date is written as its
 * number of days.
 */
export function formatDate(days: bigint): string {
  const date = new Date(Number(days) * 86_400_000);
  if (Number.isNaN(date.getTime())) return `${days} days since 1970-01-01`;
  return date.toISOString().slice(0, -"T00:00:00.000Z".length);
}

/** Formats a date in milliseconds: as a date, or with the time of day that it should not have. */
export function formatDateMillis(millis: bigint): string {
  if (millis % DAY_MILLIS === 0n) return formatDate(millis / DAY_MILLIS);
  return formatTimestamp({ unit: TimeUnit.MILLISECOND, timezone: null }, millis);
}

export function formatTimestamp(type: Pick<Timestamp, "unit" | "timezone">, value: bigint): string {
  const micros = Number(value);
  // Most times are of this kind. Without bigints they take a third of the time.
  if (type.unit === TimeUnit.MICROSECOND && Number.isSafeInteger(micros) && micros % 1000 === 0) {
    const text = new Date(micros / 1000).toISOString();
    return type.timezone ? text : text.slice(0, -1);
  }
  const { parts } = FRACTIONS[type.unit];
  const fraction = ((value % parts) + parts) % parts;
  const date = new Date(Number((value - fraction) / parts) * 1000);
  if (Number.isNaN(date.getTime())) return `${value} ${TimeUnit[type.unit].toLowerCase()}s since 1970-01-01`;
  return `${date.toISOString().slice(0, -5)}${formatFraction(type, fraction)}${type.timezone ? "Z" : ""}`;
}

export function formatTime(type: Time, value: bigint): string {
  const { parts } = FRACTIONS[type.unit];
  if (value < 0n || value >= DAY_SECONDS * parts)
    return `${value} ${TimeUnit[type.unit].toLowerCase()}s since midnight`;
  const second = new Date(Number(value / parts) * 1000).toISOString().slice(11, 19);
  return `${second}${formatFraction(type, value % parts)}`;
}

/**
 * Formats the fraction of a second. Milliseconds are always written if the unit has them, smaller
 * digits only if they are not zero.
 */
function formatFraction({ unit }: { readonly unit: TimeUnit }, fraction: bigint): string {
  const { digits } = FRACTIONS[unit];
  if (digits === 0) return "";
  const shown = String(fraction).padStart(digits, "0");
  return `.${shown.replace(/(?<=^\d{6})000$/, "").replace(/(?<=^\d{3})000$/, "")}`;
}

export function formatDuration(type: Duration, value: bigint): string {
  const { parts, digits } = FRACTIONS[type.unit];
  const size = value < 0n ? -value : value;
  const fraction =
    digits === 0
      ? ""
      : String(size % parts)
          .padStart(digits, "0")
          .replace(/0+$/, "");
  const seconds = size / parts;
  const part = (count: bigint | string, unit: string) =>
    count === 0n || count === "0" ? "" : `${count}${unit}`;
  const time = [
    part((seconds / 3600n) % 24n, "H"),
    part((seconds / 60n) % 60n, "M"),
    part(`${seconds % 60n}${fraction === "" ? "" : `.${fraction}`}`, "S"),
  ].join("");
  const text = `${part(seconds / 86_400n, "D")}${time === "" ? "" : `T${time}`}`;
  return `${value < 0n ? "-" : ""}P${text === "" ? "T0S" : text}`;
}

/**
 * Formats an interval as ISO 8601. Its months, days and time are separate numbers, each with its
 * own sign, because a month has no fixed length: `P1M-2DT0.5S`.
 */
export function formatInterval({ unit }: Interval, values: Int32Array, index: number): string {
  if (unit === IntervalUnit.YEAR_MONTH) return intervalText(values[index] ?? 0, 0, 0n, 0);
  if (unit === IntervalUnit.DAY_TIME) {
    return intervalText(0, values[2 * index] ?? 0, BigInt(values[2 * index + 1] ?? 0), 3);
  }
  const view = new DataView(values.buffer, values.byteOffset + 16 * index, 16);
  return intervalText(view.getInt32(0, true), view.getInt32(4, true), view.getBigInt64(8, true), 9);
}

/** `time` is a number of seconds with `digits` fractional digits. */
function intervalText(months: number, days: number, time: bigint, digits: number): string {
  const size = (time < 0n ? -time : time).toString().padStart(digits + 1, "0");
  const split = size.length - digits;
  const fraction = size.slice(split).replace(/0+$/, "");
  const seconds = `${time < 0n ? "-" : ""}${size.slice(0, split)}${fraction === "" ? "" : `.${fraction}`}`;
  const text = `${months === 0 ? "" : `${months}M`}${days === 0 ? "" : `${days}D`}${time === 0n ? "" : `T${seconds}S`}`;
  return `P${text === "" ? "T0S" : text}`;
}
