import type { Row as InputRow } from "../../../shared/contract/stream-reader.ts";
import type { Row } from "./readers.ts";

const MAX_INT64 = 2n ** 63n - 1n;
const NINES = "9".repeat(38);
/** Its bound is cut after 16 code points, of which each is two UTF-16 units. */
const LONG_TEXT = "😀".repeat(40);

/** Values of each type of Spark: extremes, and what a careless reader or writer changes. */
const VALUES: Readonly<Record<string, readonly unknown[]>> = {
  boolean: [true, false],
  tinyint: [-128, 127],
  smallint: [-32768, 32767],
  int: [-(2 ** 31), 2 ** 31 - 1],
  bigint: [-MAX_INT64 - 1n, MAX_INT64, 2n ** 53n + 1n],
  float: [3.4028234663852886e38, -1.401298464324817e-45, Number.NaN, -0, Number.NEGATIVE_INFINITY],
  double: [Number.MAX_VALUE, -Number.MIN_VALUE, Number.NaN, -0, Number.POSITIVE_INFINITY],
  "decimal(9,2)": ["9999999.99", "-9999999.99", "0.01"],
  "decimal(18,4)": ["99999999999999.9999", "-99999999999999.9999", "0.0001"],
  "decimal(38,10)": [`${"9".repeat(28)}.${"9".repeat(10)}`, `-${"9".repeat(28)}.${"9".repeat(10)}`],
  "decimal(38,0)": [NINES, `-${NINES}`],
  string: ["", "aé€😀", LONG_TEXT, "x".repeat(70_000)],
  "varchar(3)": ["abc", "é😀"],
  binary: [new Uint8Array(), Uint8Array.of(0, 255), new Uint8Array(100).fill(255)],
  date: ["0001-01-01", "9999-12-31", "1969-12-31"],
  timestamp: ["0001-01-01T00:00:00.000001Z", "9999-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"],
  timestamp_ntz: ["0001-01-01T00:00:00.000001", "9999-12-31T23:59:59.999999", "1969-12-31T23:59:59.999999"],
  "array<bigint>": [[], [1n, null, MAX_INT64]],
  "array<array<string>>": [[[], null, ["a", null]]],
  "array<struct<x:int,raw:binary>>": [[], [{ x: 1, raw: Uint8Array.of(0) }, null]],
  "map<string,double>": [{}, { a: 1.5, b: null, "": -0 }],
  "struct<x:int,y:struct<z:array<decimal(3,1)>,d:date>>": [
    { x: 1, y: null },
    { x: null, y: { z: ["1.5", null], d: "2026-11-21" } },
  ],
  "map<int,struct<at:timestamp,raw:binary>>": [
    new Map([
      [7, { at: "2026-01-01T00:00:00.123456Z", raw: Uint8Array.of(1) }],
      [-8, null],
    ]),
  ],
};
export const TYPES: readonly string[] = Object.keys(VALUES);
/** A null list or map of structs is an empty one for pyiceberg, also in its own files. */
export const asInPyiceberg = (row: Row): Row => {
  const nullAs = (type: string, empty: object) => {
    const name = `c${TYPES.findIndex((one) => one.startsWith(type))}`;
    return { [name]: row[name] ?? empty };
  };
  return { ...row, ...nullAs("array<struct", []), ...nullAs("map<int,struct", {}) };
};

/** One row for each value of the type that has most, and a row of nulls. */
export function rowsOfExtremes(): InputRow[] {
  const length = Math.max(...Object.values(VALUES).map((values) => values.length)) + 1;
  return Array.from({ length }, (_, row) => [row, ...TYPES.map((type) => VALUES[type]?.[row] ?? null)]);
}

/** A column whose values rise with the row's number, and the literal of such a value in SQL. */
interface RisingColumn {
  readonly name: string;
  readonly type: string;
  readonly value: (row: number) => unknown;
  readonly literal: (row: number) => string;
  /** How a filter names the column, if it is not by `name`. */
  readonly path?: string;
  /** True if DuckDB does not skip files by this column. */
  readonly isReadByDuckdb?: true;
}

const dateOf = (row: number) => new Date(Date.UTC(1970, 0, row - 15)).toISOString().slice(0, 10);
const quoted = (text: string) => `'${text}'`;
export const RISING: readonly RisingColumn[] = [
  { name: "i", type: "int", value: (row) => row - 20, literal: (row) => String(row - 20) },
  {
    name: "l",
    type: "bigint",
    value: (row) => BigInt(row) * 10n ** 17n,
    literal: (row) => `${row}${"0".repeat(17)}`,
  },
  { name: "d", type: "double", value: (row) => row / 8 - 2, literal: (row) => String(row / 8 - 2) },
  {
    name: "n",
    type: "decimal(18,4)",
    value: (row) => `${row}99999999999.0001`,
    literal: (row) => `${row}99999999999.0001`,
  },
  {
    name: "t",
    type: "string",
    value: (row) => `${"😀".repeat(14)}${row}`,
    literal: (row) => quoted(`${"😀".repeat(14)}${row}`),
  },
  { name: "day", type: "date", value: dateOf, literal: (row) => quoted(dateOf(row)) },
  {
    name: "moment",
    type: "timestamp",
    value: (row) => `${dateOf(row)}T00:00:00Z`,
    literal: (row) => quoted(`${dateOf(row)}T00:00:00+00:00`),
  },
  {
    name: "local",
    type: "timestamp_ntz",
    value: (row) => `${dateOf(row)}T12:00:00`,
    literal: (row) => quoted(`${dateOf(row)}T12:00:00`),
  },
  {
    name: "s",
    path: "s.x",
    type: "struct<x:int>",
    value: (row) => ({ x: row }),
    literal: String,
    isReadByDuckdb: true, // It has statistics of whole columns only.
  },
];
/** Rows of the file with this number. Numbers have two digits, so that texts rise, too. */
const FILE_ROWS = 10;
export const rowsOfFile = (file: number): InputRow[] =>
  Array.from({ length: FILE_ROWS }, (_, i) => {
    const row = file * FILE_ROWS + i;
    return [row, ...RISING.map(({ value }) => value(row))];
  });
