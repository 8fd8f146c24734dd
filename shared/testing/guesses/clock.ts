import { epochMilliseconds, scanMoment } from "../../contract/iso.ts";
import { isPlainObject } from "../../contract/json.ts";
import type { Offset } from "../../contract/offset.ts";

/** An end that the source returned, and when. */
export interface ObservedEnd {
  readonly end: Offset;
  /** Time of the check's simulated clock, in epoch milliseconds. */
  readonly now: number;
  /** The system clock after the call, epoch milliseconds. */
  readonly realNow: number;
  /** Real time before and after the call, from `performance.now()`. */
  readonly from: number;
  readonly to: number;
}

/**
 * Why repeated calls return different ends: they follow the clock, data arrives, or they have no
 * order.
 */
export type OffsetDrift = "clock" | "growth" | "chance";

type Leaf = number | string;

const NEAR_MILLISECONDS = 5000;
/** Milliseconds per unit: milliseconds, seconds, microseconds, nanoseconds. */
const UNITS = [1, 1000, 1e-3, 1e-6];
const DIGITS = /^-?\d+$/;

/**
 * Determines why ends differ. The two calls of each pair had a pause between them; `all` also has
 * calls without a pause, in order.
 */
export function driftOf(
  pairs: readonly (readonly [ObservedEnd, ObservedEnd])[],
  all: readonly ObservedEnd[],
  compare: ((a: Offset, b: Offset) => number) | undefined,
): OffsetDrift {
  if (pairs.every(([first, second]) => followsClock(first, second))) return "clock";
  const isOrdered = all.every((asked, i) => {
    const before = all[i - 1];
    return before === undefined || isInOrder(before.end, asked.end, compare);
  });
  return isOrdered ? "growth" : "chance";
}

function followsClock(first: ObservedEnd, second: ObservedEnd): boolean {
  const earlier = leavesOf(first.end);
  return [...leavesOf(second.end)].some(([path, value]) => {
    const before = earlier.get(path);
    if (before === undefined || before === value) return false;
    if (isNear(before, first.now) && isNear(value, second.now)) return true;
    if (isNear(before, first.realNow) && isNear(value, second.realNow)) return true;
    const passed = numberOf(value) - numberOf(before);
    return UNITS.some((unit) => {
      const milliseconds = passed * unit;
      const isReal = milliseconds >= second.from - first.to - 1 && milliseconds <= second.to - first.from + 1;
      return isReal || milliseconds === second.now - first.now;
    });
  });
}

/** Returns true if a number, a string of digits or a time is within a few seconds of `now`. */
function isNear(value: Leaf, now: number): boolean {
  return timesOf(value).some((time) => Math.abs(time - now) <= NEAR_MILLISECONDS);
}

/**
 * Returns true if an end has a single field, and this is the current second of one of the clocks
 * (epoch milliseconds).
 */
export function isPresentSecond(end: Offset, clocks: readonly number[]): boolean {
  const [value, ...others] = leavesOf(end).values();
  if (value === undefined || others.length > 0) return false;
  return clocks.some((clock) =>
    timesOf(value).some((time) => time % 1000 === 0 && time <= clock && clock - time <= 1100),
  );
}

function timesOf(value: Leaf): number[] {
  const moment = typeof value === "string" ? scanMoment(value) : undefined;
  if (moment !== undefined) return [epochMilliseconds(moment)];
  return UNITS.map((unit) => numberOf(value) * unit);
}

function numberOf(value: Leaf): number {
  if (typeof value === "number") return value;
  return DIGITS.test(value) ? Number(value) : Number.NaN;
}

function isInOrder(a: Offset, b: Offset, compare: ((a: Offset, b: Offset) => number) | undefined): boolean {
  if (compare !== undefined) return compare(a, b) <= 0;
  const earlier = leavesOf(a);
  return [...leavesOf(b)].every(([path, value]) => {
    const before = earlier.get(path);
    if (before === undefined || typeof before !== typeof value) return true;
    const [x, y] = [numberOf(before), numberOf(value)];
    return Number.isNaN(x) || Number.isNaN(y) ? before <= value : x <= y;
  });
}

/** Returns all numbers and strings in a value, keyed by their path. */
function leavesOf(value: unknown, path = "$", found = new Map<string, Leaf>()): Map<string, Leaf> {
  if (typeof value === "number" || typeof value === "string") found.set(path, value);
  else if (Array.isArray(value) || isPlainObject(value))
    for (const [key, item] of Object.entries(value)) leavesOf(item, `${path}.${key}`, found);
  return found;
}
