import { outputWidth } from "./terminal.ts";
import { formatTable } from "./text.ts";

/** Cells are cut to this many characters before a column is left out: a time up to its minute. */
const LONG_CELL = 17;
/** Cells are never shorter than this. */
const SHORT_CELL = 6;

interface Fitting {
  /** Titles of the columns whose cells may be cut, such as offsets. */
  readonly cut: readonly string[];
  /** Titles of the columns that may be left out, the least important one first. */
  readonly drop?: readonly string[];
  /** Number of characters in a line. Default: that of the terminal, or 80. */
  readonly width?: number;
}

/**
 * Formats a table whose lines fit the terminal, or 80 columns. Times lose their zeros first, then
 * long cells are cut, then columns are left out, then cells are cut more. `--json` and
 * `millrace batch N` have everything.
 */
export function fitTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  { cut, drop = [], width = outputWidth() }: Fitting,
): string {
  const cutTo = (table: Table, most: number) => withCutCells(table, cut, most);
  let table: Table = { header, rows };
  if (widthOf(table) <= width) return textOf(table);
  table = withCells(table, cut, withoutZeros);
  const cutLong = (each: Table) => cutTo(each, Math.max(LONG_CELL, roomIn(each, cut, width)));
  for (const title of [undefined, ...drop]) {
    table = withoutColumn(table, title);
    const fitting = [table, cutLong(table)].find((each) => widthOf(each) <= width);
    if (fitting !== undefined) return textOf(fitting);
  }
  return textOf(cutTo(table, Math.max(SHORT_CELL, roomIn(table, cut, width))));
}

interface Table {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

function textOf({ header, rows }: Table): string {
  return formatTable(header, rows);
}

function columnWidth({ header, rows }: Table, i: number): number {
  return Math.max(header[i]?.length ?? 0, ...rows.map((row) => row[i]?.length ?? 0));
}

function widthOf(table: Table): number {
  const widths = table.header.map((_, i) => columnWidth(table, i));
  return widths.reduce((sum, each) => sum + each + 2, -2);
}

/** Returns how wide each of the columns that may be cut can be. */
function roomIn(table: Table, cut: readonly string[], width: number): number {
  const indexes = table.header.flatMap((title, i) => (cut.includes(title) ? [i] : []));
  const taken = indexes.reduce((sum, i) => sum + columnWidth(table, i), 0);
  return Math.floor((width - (widthOf(table) - taken)) / Math.max(1, indexes.length));
}

function withCutCells(table: Table, cut: readonly string[], most: number): Table {
  return withCells(table, cut, (text) => (text.length > most ? `${text.slice(0, most - 1)}…` : text));
}

function withCells(
  { header, rows }: Table,
  titles: readonly string[],
  change: (text: string) => string,
): Table {
  const changed = (text: string, i: number) => (titles.includes(header[i] ?? "") ? change(text) : text);
  return { header, rows: rows.map((row) => row.map(changed)) };
}

/** Returns `2018-01-31T00:00Z` for `2018-01-31T00:00:00.000Z`: the same time, shorter. */
function withoutZeros(text: string): string {
  return text.replaceAll(/(\dT\d\d:\d\d)(:\d\d)?\.000Z/g, (_, minute: string, second?: string) =>
    second === undefined || second === ":00" ? `${minute}Z` : `${minute}${second}Z`,
  );
}

function withoutColumn({ header, rows }: Table, title: string | undefined): Table {
  const index = title === undefined ? -1 : header.indexOf(title);
  const without = (cells: readonly string[]) => cells.filter((_, i) => i !== index);
  return { header: without(header), rows: rows.map(without) };
}
