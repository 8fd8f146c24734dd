import { styleText } from "node:util";
import type { Offset } from "../../shared/contract/offset.ts";

type Style = Parameters<typeof styleText>[0];

/** Colours `text` for a stream that is a terminal; NO_COLOR and FORCE_COLOR are honoured. */
export function styled(style: Style, text: string, stream: NodeJS.WriteStream): string {
  return styleText(style, text, { stream, validateStream: true });
}

/** `1,707`. */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** `86.1 KiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]}`;
}

/** `1.3 s`, `2 m 05 s`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)} m ${String(seconds % 60).padStart(2, "0")} s`;
}

/** An offset of one field as its value alone, any other as JSON. */
export function formatOffset(offset: Offset | undefined): string {
  if (offset === undefined) return "-";
  const values = Object.values(offset);
  const [only] = values;
  return values.length === 1 && (typeof only === "string" || typeof only === "number")
    ? String(only)
    : JSON.stringify(offset);
}

/** Columns aligned with spaces; those whose cells are all numbers, to the right. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, i) =>
    rows.reduce((width, row) => Math.max(width, row[i]?.length ?? 0), title.length),
  );
  const isNumeric = header.map(
    (_, i) => rows.length > 0 && rows.every((row) => /^[\d,.]*( ([KMGT]i)?B| s)?$|^-$/.test(row[i] ?? "")),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (isNumeric[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd();
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}
