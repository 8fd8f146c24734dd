import { isUtcTime } from "../contract/iso.ts";
import type { Offset } from "../contract/offset.ts";
import type { RowTexts } from "./rows.ts";

const INTEGER = /^-?\d+$/;
const UNITS = [86_400_000, 3_600_000, 60_000, 1000];

/**
 * Returns at most two offsets between two offsets that each consist of one integer or one time. The
 * first is a value from a row near the middle, which tests a row exactly at a boundary; the second
 * is the middle. Returns none for other offsets.
 */
export function middlesOf(a: Offset, b: Offset, rows: RowTexts): readonly Offset[] {
  const [[name = "", from] = [], ...others] = Object.entries(a);
  const to = b[name];
  if (others.length > 0 || Object.keys(b).length !== 1) return [];
  const values = rows.flatMap((row) => [...leaves(JSON.parse(row))]);
  const between =
    typeof from === "string" && typeof to === "string" && isUtcTime(from) && from.length === to.length
      ? timesBetween(from, to, values)
      : integersBetween(from, to, values);
  return between.map((value) => ({ [name]: value }));
}

function integersBetween(from: unknown, to: unknown, values: readonly unknown[]): (number | string)[] {
  const [first, last] = [integerOf(from), integerOf(to)];
  if (first === undefined || last === undefined || typeof from !== typeof to || last - first < 2n) return [];
  const middle = (first + last) / 2n;
  const distance = (n: bigint) => (n > middle ? n - middle : middle - n);
  let nearest: bigint | undefined;
  for (const value of values) {
    const n = integerOf(value);
    if (n === undefined || n <= first || n >= last) continue;
    if (nearest === undefined || distance(n) < distance(nearest)) nearest = n;
  }
  return [...new Set([nearest ?? middle, middle])].map((n) =>
    typeof from === "string" ? `${n}` : Number(n),
  );
}

function integerOf(value: unknown): bigint | undefined {
  const isInteger = typeof value === "string" ? INTEGER.test(value) : Number.isSafeInteger(value);
  return isInteger ? BigInt(value as string | number) : undefined;
}

function timesBetween(from: string, to: string, values: readonly unknown[]): string[] {
  const digits = partsOfTime(from).fraction.length;
  const middle = (Date.parse(from) + Date.parse(to)) / 2;
  const isWithin = (time: string) => time > from && time < to;
  const [nearest] = values
    .flatMap((value) => inForm(value, digits) ?? [])
    .filter(isWithin)
    .sort((x, y) => Math.abs(Date.parse(x) - middle) - Math.abs(Date.parse(y) - middle));
  // The time is rounded as much as possible, because many sources have only whole days or hours.
  const round = UNITS.map((unit) => new Date(middle - (middle % unit)).toISOString())
    .flatMap((time) => inForm(time, digits) ?? [])
    .find(isWithin);
  return [...new Set([nearest, round])].filter((time) => time !== undefined);
}

/**
 * Formats a time with this number of fractional digits. Returns `undefined` if the value is not a
 * time or has more digits.
 */
function inForm(value: unknown, digits: number): string | undefined {
  if (typeof value !== "string" || !isUtcTime(value)) return undefined;
  const { second, fraction } = partsOfTime(value);
  const significant = fraction.replace(/0+$/, "");
  if (significant.length > digits) return undefined;
  return digits === 0 ? `${second}Z` : `${second}.${significant.padEnd(digits, "0")}Z`;
}

/** Splits a UTC time into its seconds and their fraction. */
function partsOfTime(time: string): { readonly second: string; readonly fraction: string } {
  const [second = "", fraction = ""] = time.slice(0, -1).split(".");
  return { second, fraction };
}

function* leaves(value: unknown): Generator<unknown> {
  if (typeof value === "object" && value !== null)
    for (const item of Object.values(value)) yield* leaves(item);
  else yield value;
}
