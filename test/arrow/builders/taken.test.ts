import { type DataType, Field, Int32, Map_, Struct, Uint8, Uint16, Uint32, Uint64, Utf8 } from "apache-arrow";
import { Temporal } from "temporal-polyfill";
import { describe, expect, it } from "vitest";
import { bytes, refusal, stored, words } from "./column.ts";

class Point {
  readonly x = 1;
  get y(): string {
    return "p";
  }
}

describe("values that a column takes", () => {
  it.each<[string, unknown[], unknown[]]>([
    ["boolean", [true, false], [true, false]],
    ["tinyint", [-128, 127, 5n, -0], [-128, 127, 5, 0]],
    ["smallint", [-32768, 32767], [-32768, 32767]],
    ["int", [-(2 ** 31), 2 ** 31 - 1, 7n], [-(2 ** 31), 2 ** 31 - 1, 7]],
    ["bigint", [0, -5, 2 ** 53 - 1, 9007199254740993n], [0, -5, 2 ** 53 - 1, "9007199254740993"]],
    ["bigint", [-(2n ** 63n), 2n ** 63n - 1n], ["-9223372036854775808", "9223372036854775807"]],
    ["float", [0.5, 1e-50, Number.NEGATIVE_INFINITY], [0.5, 0, Number.NEGATIVE_INFINITY]],
    ["float", [0.1, Number.NaN, 3.4e38], [Math.fround(0.1), Number.NaN, Math.fround(3.4e38)]],
    ["double", [0.1, 2 ** 60, -0, Number.MAX_VALUE], [0.1, 2 ** 60, -0, Number.MAX_VALUE]],
    ["double", [Number.NaN, Number.POSITIVE_INFINITY], [Number.NaN, Number.POSITIVE_INFINITY]],
    ["string", ["", "aé€😀\u0000", "x".repeat(5000)], ["", "aé€😀\u0000", "x".repeat(5000)]],
    ["binary", [bytes(), bytes(0, 255), Buffer.from("hi")], ["", "AP8=", "aGk="]],
    ["date", ["2026-11-21", "0001-01-01", "2024-02-29"], ["2026-11-21", "0001-01-01", "2024-02-29"]],
    ["date", [new Date("1969-12-31"), new Date(0)], ["1969-12-31", "1970-01-01"]],
    [
      "date",
      [Temporal.PlainDate.from("2026-11-21"), Temporal.PlainDate.from("2026-11-21").withCalendar("gregory")],
      ["2026-11-21", "2026-11-21"],
    ],
    ["varchar(3)", ["", "abc", "a😀b"], ["", "abc", "a😀b"]],
    ["char(2)", ["a", "ab"], ["a", "ab"]],
    ["time", ["03:04", "23:59:59.999999", "00:00:00,5"], ["03:04:00.000", "23:59:59.999999", "00:00:00.500"]],
    ["time(6)", [Temporal.PlainTime.from("03:04:05.000001"), 1n], ["03:04:05.000001", "00:00:00.000001"]],
    [
      "interval day to second",
      ["P1DT2H3M4.5S", "-PT0.000001S", "P2W", "PT1M", "P0Y0M1D", 90_000_000n, 0n],
      ["P1DT2H3M4.5S", "-PT0.000001S", "P14D", "PT1M", "P1D", "PT1M30S", "PT0S"],
    ],
    [
      "interval day to second",
      [Temporal.Duration.from({ days: -1, hours: -30, microseconds: -1 })],
      ["-P2DT6H0.000001S"],
    ],
    ["void", [null], [null]],
    ["array<float>", [Float32Array.of(1, 0.5), new Int8Array()], [[1, 0.5], []]],
    ["array<bigint>", [BigInt64Array.of(2n ** 60n)], [["1152921504606846976"]]],
    ["decimal(5,2)", ["999.99", "-0.01", "+7", ".5", "5."], ["999.99", "-0.01", "7.00", "0.50", "5.00"]],
    ["decimal(5,2)", [1.25, 12n, "1.5000", -0.1, -0], ["1.25", "12.00", "1.50", "-0.10", "0.00"]],
    [
      "decimal(26,10)",
      [1e-7, -1.5e-9, 2 ** 53 - 1],
      ["0.0000001000", "-0.0000000015", "9007199254740991.0000000000"],
    ],
    ["decimal(38,0)", ["9".repeat(38), -(10n ** 38n - 1n)], ["9".repeat(38), `-${"9".repeat(38)}`]],
    [
      "decimal(38,38)",
      ["-0.00000000000000000000000000000000000001"],
      ["-0.00000000000000000000000000000000000001"],
    ],
    ["array<int>", [[], [1, null, 3]], [[], [1, null, 3]]],
    ["array<array<string>>", [[["a"], [], null], []], [[["a"], [], null], []]],
    ["map<string,int>", [{ a: 1, b: null }, new Map([["c", 3]]), {}], [{ a: 1, b: null }, { c: 3 }, {}]],
    ["map<int,string>", [new Map([[1, "x"]])], [{ 1: "x" }]],
    [
      "struct<x:int,y:string>",
      [{ x: 1, y: null }, { y: "b", x: null, z: 0 }, [2, "c"], new Point()],
      [
        { x: 1, y: null },
        { x: null, y: "b" },
        { x: 2, y: "c" },
        { x: 1, y: "p" },
      ],
    ],
    [
      "struct<a:array<struct<m:map<string,date>>>>",
      [{ a: [{ m: { d: "2026-01-01" } }, null] }],
      [{ a: [{ m: { d: "2026-01-01" } }, null] }],
    ],
  ])("A column of type %s takes %o", (type, values, expected) => {
    expect(stored(type, values)).toEqual(expected);
    expect(stored(type, [null, ...values, null])).toEqual([null, ...expected, null]);
  });

  it.each<[DataType, number | bigint, unknown]>([
    [new Uint8(), 255, 255],
    [new Uint16(), 65535, 65535],
    [new Uint32(), 2 ** 32 - 1, 2 ** 32 - 1],
    [new Uint64(), 2n ** 64n - 1n, "18446744073709551615"],
  ])(
    "An unsigned column of type %s takes its greatest value and refuses values below 0 or above it",
    (type, greatest, expected) => {
      expect(stored(type, [0, greatest, null])).toEqual([0, expected, null]);
      expect(refusal(type, -1).message).toContain("found a number outside it");
      expect(refusal(type, BigInt(greatest) + 1n).message).toContain("found a number outside it");
    },
  );

  it.each<[string, unknown, bigint]>([
    ["timestamp", new Date("2026-11-21T03:00:00.123Z"), 1795230000123000n],
    ["timestamp", new Date(-1), -1000n],
    ["timestamp", "2026-11-21T03:00:00.123456Z", 1795230000123456n],
    ["timestamp", "2026-11-21t03:00:00,5z", 1795230000500000n],
    ["timestamp", "2026-11-21 03:00Z", 1795230000000000n],
    ["timestamp", "2026-11-21T03:00:00.000001+05:30", 1795210200000001n],
    ["timestamp", "2026-11-21T03:00:00-0800", 1795258800000000n],
    ["timestamp", "2026-11-21T03:00:00+02", 1795222800000000n],
    ["timestamp", "2026-11-21T03:00:00.123456000Z", 1795230000123456n],
    ["timestamp", "1969-12-31T23:59:59.999999Z", -1n],
    ["timestamp", "0001-01-01T00:00:00.000001Z", -62135596799999999n],
    ["timestamp", "9999-12-31T23:59:59.999999Z", 253402300799999999n],
    ["timestamp", 1795230000123456n, 1795230000123456n],
    ["timestamp", -(2n ** 63n), -(2n ** 63n)],
    ["timestamp", "2026-11-21T03:00:00.1234560000000000Z", 1795230000123456n],
    ["timestamp", "+012026-11-21T03:00:00Z", 317364750000000000n],
    ["timestamp", "-000001-12-31T00:00:00Z", -62167305600000000n],
    ["timestamp", new Date(8.64e15), 8640000000000000000n],
    ["timestamp", new Date(-8.64e15), -8640000000000000000n],
    ["timestamp", new Date("2255-06-05T23:47:34Z"), 9007199254000000n],
    ["timestamp", Temporal.Instant.from("2026-11-21T03:00:00.000001Z"), 1795230000000001n],
    ["timestamp", Temporal.Instant.from("1969-12-31T23:59:59.999999Z"), -1n],
    [
      "timestamp",
      Temporal.ZonedDateTime.from("2026-11-21T03:00:00.5+01:00[Europe/Paris]"),
      1795226400500000n,
    ],
    ["timestamp_ntz", "2026-11-21T03:00:00.123456", 1795230000123456n],
    ["timestamp_ntz", "2026-11-21 03:00", 1795230000000000n],
    ["timestamp_ntz", 2n ** 63n - 1n, 2n ** 63n - 1n],
    ["timestamp_ntz", Temporal.PlainDateTime.from("2026-11-21T03:00:00.5"), 1795230000500000n],
    ["timestamp_ntz", Temporal.PlainDateTime.from("-271821-04-20T00:00"), -8640000000000000000n + 0n],
  ])("A column of type %s keeps %o to the microsecond", (type, value, micros) => {
    expect(words(type, [value])).toEqual([micros]);
  });

  it("A string column keeps strings apart that are encoded together, whatever their characters", () => {
    const units = ["x", "é", "€", "😀", ""];
    const values = Array.from({ length: 400 }, (_, i) =>
      i % 9 === 0 ? null : (units[i % 5] ?? "").repeat((i * 37) % 3000),
    );
    const all = [...values, "y".repeat(600_000), ...values, "é".repeat(600_000), null, ...values];
    expect(stored("string", all)).toEqual(all);
  });

  it("A builder grows beyond the values of 10,000 rows, also if some are null", () => {
    for (const [type, value] of [
      ["boolean", true],
      ["smallint", 7],
      ["bigint", -1],
      ["decimal(9,1)", "1.5"],
      ["string", "é"],
      ["array<int>", [1]],
      ["struct<x:date>", { x: "2026-01-01" }],
      ["map<string,int>", { k: 1 }],
      ["timestamp", "2026-01-01T00:00:00.000Z"],
      ["time", "00:00:01.000"],
      ["binary", bytes(1)],
    ] as const) {
      const long = Array.from({ length: 25_000 }, (_, i) => (i % 3 === 1 || i === 24_999 ? null : value));
      const shown = long.map((item) => (item instanceof Uint8Array ? "AQ==" : item));
      expect(stored(`array<${type}>`, [long, [], long])).toEqual([shown, [], shown]);
    }
  });
});

it("A map column takes maps even if their Arrow type has other names for key and value", () => {
  const entries = new Struct<{ keys: Utf8; values: Int32 }>([
    new Field("keys", new Utf8(), false),
    new Field("values", new Int32(), true),
  ]);
  const type = new Map_(new Field("entries", entries as never, false));
  expect(stored(type, [{ a: 1 }])).toEqual([{ a: 1 }]);
});
