import type { Offset } from "../../shared/contract/offset.ts";
import type { Action } from "../../shared/engine/ports/manual-operations.ts";
import { printable } from "./terminal.ts";

/** Formats a count: `1,707`. */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** Formats a rate: `1,707`, or with one decimal below ten: `0.3`. */
export function formatRate(rate: number): string {
  return rate < 10 ? String(Math.round(rate * 10) / 10) : formatCount(Math.round(rate));
}

/** Formats a count with a noun: `1 row`, `2 rows`. */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** Formats a size: `86.1 KiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]}`;
}

/** Formats a duration: `312 ms`, `1.3 s`, `2 m 05 s`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)} m ${String(seconds % 60).padStart(2, "0")} s`;
}

/** Formats how long ago something was: `12 s ago`, `5 m ago`, `3 h ago`, `2 d ago`. */
export function formatAge(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ago`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h ago` : `${Math.floor(seconds / 86_400)} d ago`;
}

/** Formats an offset: only the value if it has a single field, otherwise JSON. */
export function formatOffset(offset: Offset | undefined): string {
  if (offset === undefined) return "-";
  const values = Object.values(offset);
  const [only] = values;
  return values.length === 1 && (typeof only === "string" || typeof only === "number")
    ? printable(String(only))
    : printable(JSON.stringify(offset));
}

/** Formats a time: `2026-11-21 03:00:00Z`. */
export function formatTime(time: number | string): string {
  return new Date(time).toISOString().replace(/T(.*)\.\d+Z/, " $1Z");
}

/** Formats the time of day where the command runs: `03:12:05`. */
export function formatTimeOfDay(time: number): string {
  return parts(new Date(time), "getHours", "getMinutes", "getSeconds").join(":");
}

/** Formats the day where the command runs: `2026-11-21`. */
export function formatDay(time: number): string {
  const date = new Date(time);
  const [day] = parts(date, "getDate");
  return `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, "0")}-${day}`;
}

function parts(
  date: Date,
  ...names: readonly ("getDate" | "getHours" | "getMinutes" | "getSeconds")[]
): string[] {
  return names.map((name) => String(date[name]()).padStart(2, "0"));
}

/** Formats a time without its year, for a table: `11-21 03:00:00Z`. */
export function formatShortTime(time: number | string): string {
  return formatTime(time).slice(5);
}

/** Formats an action: `by ann@desk at 2026-11-21 03:00:00Z (the source is down)`. */
export function describeAction({
  by,
  at,
  why,
}: Omit<Action, "at"> & { readonly at: number | string }): string {
  return `by ${printable(by)} at ${formatTime(at)}${why === undefined ? "" : ` (${printable(why)})`}`;
}

/** Formats names and values as indented, aligned lines. */
export function formatFields(fields: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `  ${name.padEnd(width)} ${value}`).join("\n");
}

/**
 * Formats a table with columns aligned by spaces. Columns with only numbers are aligned to the
 * right.
 */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const layout = new TableLayout(header, rows);
  return [...layout.head(), ...rows.map((row) => layout.line(row))].join("\n");
}

/**
 * Computes the column widths of a table from a sample of its rows. Libraries need all rows at once,
 * but `cat` prints tables larger than memory, line by line.
 */
export class TableLayout {
  readonly #header: readonly string[];
  readonly #widths: readonly number[];
  readonly #isNumeric: readonly boolean[];

  constructor(header: readonly string[], sample: readonly (readonly string[])[]) {
    const column = (i: number) => sample.map((row) => row[i] ?? "");
    this.#header = header;
    this.#widths = header.map((title, i) => Math.max(title.length, ...column(i).map((cell) => cell.length)));
    this.#isNumeric = header.map(
      (_, i) => sample.length > 0 && column(i).every((cell) => NUMERIC.test(cell)),
    );
  }

  head(): string[] {
    return [this.line(this.#header), this.line(this.#widths.map((width) => "-".repeat(width)))];
  }

  line(cells: readonly string[]): string {
    const pad = (cell: string, i: number) =>
      this.#isNumeric[i] ? cell.padStart(this.#widths[i] ?? 0) : cell.padEnd(this.#widths[i] ?? 0);
    return cells.map(pad).join("  ").trimEnd();
  }
}

const NUMERIC = /^-?[\d,.]*( ([KMGT]i)?B| m?s)?$/;
