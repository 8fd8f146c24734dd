import type { MillraceError } from "../../contract/errors.ts";
import { firstOverlap, type Interval } from "../../contract/intervals.ts";
import { epochMicros, exists, scanMoment } from "../../contract/iso.ts";
import { canonicalJson, isPlainObject, type JsonValue } from "../../contract/json.ts";
import { rangesOverlap } from "../../engine/overlap.ts";

/**
 * Common names for the two ends of a range. The rest of the name, such as `Time` or `_id`, must be
 * the same for both.
 */
const ENDS: readonly (readonly [string, string])[] = [
  ["from", "to"],
  ["from", "until"],
  ["start", "end"],
  ["start", "stop"],
  ["begin", "end"],
  ["lo", "hi"],
  ["low", "high"],
  ["lower", "upper"],
  ["min", "max"],
  ["since", "until"],
  ["after", "before"],
  ["after", "upto"],
  ["first", "last"],
  ["gte", "lt"],
  ["gt", "lte"],
];

/** Common names for the start and the length of a range. */
const LENGTHS: readonly (readonly [string, string])[] = [
  ["offset", "limit"],
  ["offset", "length"],
  ["offset", "count"],
  ["offset", "size"],
  ["start", "length"],
  ["start", "count"],
  ["start", "size"],
];

/**
 * Field names under which partitions are usually numbered. `shard`, `table` and `worker` are not
 * included, because each of these may have its own ranges.
 */
const NUMBERED: ReadonlySet<string> = new Set(["index", "idx", "i", "seq", "ordinal", "part"]);
/**
 * Names for which only a numbered label such as `p0` counts. A plain number may identify something
 * with its own ranges: a partition of a log, a customer.
 */
const NAMED: ReadonlySet<string> = new Set([...NUMBERED, "id", "partition", "partitionid"]);
const RUNNING_NAME = /^(?:p|part|partition|slice|chunk|range|task)?[-_ #]?(\d{1,9})$/i;

type End = number | bigint | string;

interface Range extends Interval<End> {
  /** Index of the partition. */
  readonly index: number;
  /** The range if its fields have another meaning, such as text instead of numbers. */
  readonly otherwise?: Interval<End>;
  /** The length, if its name (`size` or `count`) may mean the length of the whole data. */
  readonly whole?: number;
}

/** The range of a partition and its number. */
interface Numbered {
  readonly number: number;
  readonly range: Range;
}

/** The range in a partition, and the partition's other fields. */
interface FoundRange {
  readonly range: Omit<Range, "index">;
  readonly rest: Readonly<Record<string, unknown>>;
  /**
   * Where the range was found and which type its ends have. Only ranges of the same form are
   * compared.
   */
  readonly form: string;
}

/**
 * Returns an error if the ranges of partitions seem to overlap, so that rows would be read twice.
 * It recognizes ranges by common names and forms, and compares partitions whose other fields are
 * equal or a running number. Ranges are half-open: one may start where another ends. Returns
 * `undefined` for fields that may have another meaning.
 */
export function guessOverlap(partitions: readonly unknown[]): MillraceError | undefined {
  const alike = new Map<string, Range[]>();
  const numbered = new Map<string, Numbered[]>();
  partitions.forEach((partition, index) => {
    const found = rangeIn(partition);
    if (found === undefined) return;
    const range = { index, ...found.range };
    addToGroup(alike, canonicalJson([found.form, found.rest as JsonValue]), range);
    for (const [name, value] of Object.entries(found.rest)) {
      const number = runningNumber(name, value);
      if (number === undefined) continue;
      const { [name]: _number, ...rest } = found.rest;
      addToGroup(numbered, canonicalJson([found.form, name, rest as JsonValue]), { number, range });
    }
  });
  const chains = [...numbered.values()].map(inNumberOrder).filter(isChain);
  for (const ranges of [...alike.values(), ...chains]) {
    const [a, b] = overlapOf(ranges) ?? [];
    if (a !== undefined && b !== undefined) return rangesOverlap(partitions, a.index, b.index);
  }
  return undefined;
}

/**
 * Returns the ranges in the order of their numbers, or none if the numbers are not consecutive from
 * 0 or 1.
 */
function inNumberOrder(group: readonly Numbered[]): readonly Range[] {
  const sorted = group.toSorted((a, b) => a.number - b.number);
  const isRunning = sorted.every(({ number }, i) => number - i === sorted[0]?.number && number - i <= 1);
  return isRunning ? sorted.map(({ range }) => range) : [];
}

function addToGroup<T>(groups: Map<string, T[]>, key: string, item: T): void {
  const group = groups.get(key);
  if (group === undefined) groups.set(key, [item]);
  else group.push(item);
}

/**
 * Returns two ranges that overlap, or `undefined` if another meaning of the fields explains them.
 */
function overlapOf(ranges: readonly Range[]): readonly [Range, Range] | undefined {
  const found = firstOverlap(ranges);
  if (found === undefined) return undefined;
  const others = ranges.flatMap(({ otherwise }) => otherwise ?? []);
  const fits =
    others.length === ranges.length &&
    others.every(({ from, to }) => from < to) &&
    firstOverlap(others) === undefined;
  const [{ whole }] = found;
  const isWhole =
    whole !== undefined && ranges.every((range) => range.whole === whole && Number(range.from) < whole);
  return fits || isWhole ? undefined : found;
}

/**
 * Returns true if each range continues the one before and shares at most half of it. Otherwise the
 * numbers probably identify independent things.
 */
function isChain(ranges: readonly Range[]): boolean {
  return ranges.every((range, i) => {
    const before = ranges[i - 1];
    if (before === undefined) return true;
    if (range.from <= before.from || range.to <= before.to) return false;
    const common = distance(range.from, before.to);
    return common <= Math.min(distance(range.from, range.to), distance(before.from, before.to)) / 2;
  });
}

function distance(from: End, to: End): number {
  return typeof from === "bigint" && typeof to === "bigint" ? Number(to - from) : Number(to) - Number(from);
}

function runningNumber(name: string, value: unknown): number | undefined {
  const key = name.toLowerCase().replace(/_/g, "");
  if (typeof value === "number") return NUMBERED.has(key) && Number.isInteger(value) ? value : undefined;
  if (typeof value !== "string" || !NAMED.has(key)) return undefined;
  const [, digits] = RUNNING_NAME.exec(value) ?? [];
  return digits === undefined || (digits === value && !NUMBERED.has(key)) ? undefined : Number(digits);
}

/**
 * Finds the range in a partition: in two of its fields, in one of its fields, or in the partition
 * itself.
 */
function rangeIn(value: unknown): FoundRange | undefined {
  const own = ownRange(value);
  if (own !== undefined || !isPlainObject(value)) return own;
  for (const [key, item] of Object.entries(value)) {
    const inner = ownRange(item);
    if (inner === undefined) continue;
    const { [key]: _inner, ...rest } = value;
    const form = canonicalJson([key, inner.form, inner.rest as JsonValue]);
    return { range: inner.range, rest, form };
  }
  return undefined;
}

function ownRange(value: unknown): FoundRange | undefined {
  if (typeof value === "string") {
    const [from, to, ...more] = value.split("/");
    return more.length === 0 ? timesOf("text", from, to) : undefined;
  }
  // Only pairs of times are recognized, because a pair of numbers can mean anything.
  if (Array.isArray(value)) return value.length === 2 ? timesOf("pair", value[0], value[1]) : undefined;
  return isPlainObject(value) ? (rangeOfEnds(value) ?? rangeOfLength(value)) : undefined;
}

function timesOf(form: string, from: unknown, to: unknown): FoundRange | undefined {
  const [first, last] = [endOf(from), endOf(to)];
  if (first?.kind !== "time" || last?.kind !== "time") return undefined;
  return { range: { from: first.value, to: last.value }, rest: {}, form };
}

function rangeOfEnds(partition: Readonly<Record<string, unknown>>): FoundRange | undefined {
  const [fromKey, toKey] = endsOf(Object.keys(partition)) ?? [];
  if (fromKey === undefined || toKey === undefined) return undefined;
  const { [fromKey]: from, [toKey]: to, ...rest } = partition;
  const [start, end] = [endOf(from), endOf(to)];
  if (start === undefined || start.kind !== end?.kind) return undefined;
  // If the column is text, its values are ordered as text. The range in that order is kept as an
  // alternative.
  const { text } = start;
  const otherwise =
    text === undefined || end.text === undefined ? {} : { otherwise: { from: text, to: end.text } };
  const range = { from: start.value, to: end.value, ...otherwise };
  return { range, rest, form: `${fromKey} ${start.kind}` };
}

/** Returns the first two keys that are the ends of a range. */
function endsOf(keys: readonly string[]): readonly [string, string] | undefined {
  for (const [first, last] of ENDS) {
    for (const fromKey of keys) {
      const other = withEnd(fromKey, first, last);
      const toKey = keys.find((key) => key !== fromKey && key.toLowerCase() === other);
      if (toKey !== undefined) return [fromKey, toKey];
    }
  }
  return undefined;
}

function rangeOfLength(partition: Readonly<Record<string, unknown>>): FoundRange | undefined {
  for (const [first, second] of LENGTHS) {
    const { [first]: from, [second]: length, ...rest } = partition;
    if (typeof from !== "number" || typeof length !== "number") continue;
    // `limit` may also be the end of the range, and `size` or `count` may be the length of the
    // whole data.
    const whole = second === "size" || second === "count" ? { whole: length } : {};
    const range = { from, to: from + length, otherwise: { from, to: length }, ...whole };
    return { range, rest, form: `${first} ${second}` };
  }
  return undefined;
}

/**
 * Returns the lower-case key of the other end: `startTime` has `endtime`, `start_time` has
 * `end_time`, and `fromId` or `idFrom` likewise.
 */
function withEnd(key: string, first: string, last: string): string | undefined {
  const lower = key.toLowerCase();
  if (lower.startsWith(first)) return last + lower.slice(first.length);
  if (lower.endsWith(first)) return lower.slice(0, -first.length) + last;
  return undefined;
}

/**
 * Returns a value that has an order: a number, an integer as text, or a time. An object with a
 * single field of this kind, such as an offset, counts as the value of the field.
 */
function endOf(
  value: unknown,
  within = "",
): { readonly kind: string; readonly value: number | bigint; readonly text?: string } | undefined {
  if (typeof value === "number") return { kind: `${within}number`, value };
  if (isPlainObject(value) && within === "") {
    const [[name, item] = [], ...more] = Object.entries(value);
    return name === undefined || more.length > 0 ? undefined : endOf(item, `${name}: `);
  }
  if (typeof value !== "string") return undefined;
  if (/^-?\d+$/.test(value)) return { kind: `${within}number`, value: BigInt(value), text: value };
  const moment = scanMoment(value) ?? scanMoment(`${value}T00:00`);
  if (moment === undefined || !exists(moment)) return undefined;
  return { kind: `${within}time`, value: epochMicros(moment) };
}
