import { describe, expect, it } from "vitest";
import type { FilesOptions } from "../../../shared/connectors/files/index.ts";
import { failure, folderOf, rowsIn } from "./folder-of-files.ts";

const csv = (body: string, options: Partial<FilesOptions> = {}) => ({
  path: folderOf({ "a.csv": body }),
  format: "csv" as const,
  ...options,
});
const jsonl = (body: string, options: Partial<FilesOptions> = {}) => ({
  path: folderOf({ "a.jsonl": body }),
  format: "jsonl" as const,
  ...options,
});
/** The value of a field in quotes, read as this type. */
const readAs = async (text: string, type: string, options: Partial<FilesOptions> = {}) => {
  const field = `"${text.replaceAll('"', '""')}"`;
  const [row] = await rowsIn(csv(`k,v\n1,${field}\n`, options), `k int, v ${type}`);
  return row?.["v"];
};

describe("the values of a CSV file", () => {
  it.each([
    ["bigint", "9223372036854775807", "9223372036854775807"],
    ["bigint", "-9223372036854775808", "-9223372036854775808"],
    ["bigint", "+9007199254740993", "9007199254740993"],
    ["bigint", "000000000000000000042", 42],
    ["int", "-0", 0],
    ["int", " 7\t", 7],
    ["decimal(38,10)", "1234567890123456789012345678.1234567891", "1234567890123456789012345678.1234567891"],
    ["decimal(30,0)", "-999999999999999999999999999999", "-999999999999999999999999999999"],
    ["decimal(5,2)", "1.500000", "1.50"],
    ["double", "-0", -0],
    ["double", "1e308", 1e308],
    ["double", "5e-324", 5e-324],
    ["double", "0e999", 0],
    ["double", "-0.000", -0],
    ["double", "nan", Number.NaN],
    ["double", "-INF", Number.NEGATIVE_INFINITY],
    ["timestamp", "2026-11-21T09:30:00.123456000Z", "2026-11-21T09:30:00.123456Z"],
    ["timestamp", "2026-11-21 09:30:00+01:00", "2026-11-21T08:30:00.000Z"],
    ["string", " 1 ", " 1 "],
    ["string", "\u0000\uFEFF\u00a0", "\u0000\uFEFF\u00a0"],
  ])("A CSV value of the type %s keeps all that %j says", async (type, text, value) => {
    expect(await readAs(text, type)).toEqual(value);
  });

  it.each([
    ["tinyint", "128"],
    ["bigint", "9223372036854775808"],
    ["bigint", "99999999999999999999999999"],
    ["bigint", "1e2"],
    ["bigint", "1.0"],
    ["int", "0x10"],
    ["int", "1_000"],
    ["int", "1,000"],
    ["int", "١"],
    ["int", "1\n"],
    ["int", "\u00a01"],
    ["int", "--1"],
    ["double", "1e309"],
    ["double", "-1e400"],
    ["double", "1e-400"],
    ["double", "0x1p3"],
    ["double", "1,5"],
    ["double", "1_0"],
    ["double", "."],
    ["double", "1e"],
    ["double", "Infinite"],
    ["float", "1e39"],
    ["decimal(4,2)", "123.45"],
    ["decimal(4,2)", "1.234"],
    ["decimal(4,2)", "1e1"],
    ["boolean", "1"],
    ["boolean", "yes"],
    ["date", "01/02/2026"],
    ["date", "2026-02-30"],
    ["date", "20260221"],
    ["date", "2026-11-21T00:00:00Z"],
    ["date", "20478"],
    ["timestamp", "2026-11-21T09:30:00"],
    ["timestamp", "2026-11-21T09:30:00.1234567Z"],
    ["timestamp", "2026-11-21T24:00:00Z"],
    ["timestamp", "11/21/2026 09:30 AM"],
    ["timestamp_ntz", "2026-11-21T09:30:00Z"],
    ["timestamp_ntz", "1700000000"],
    ["time", "86400"],
    ["int", "  "],
    ["double", "\t"],
  ])(
    "A CSV value that the type %s cannot hold is an error with file, row and field: %j",
    async (type, text) => {
      const error = await failure(readAs(text, type));
      expect(error).toMatchObject({
        code: "ROW_MISMATCH",
        where: { path: expect.stringMatching(/a\.csv$/), row: 1, field: "v" },
        message: expect.stringMatching(/^row 1, field "v": expected /),
        hint: expect.stringMatching(/`\w+: /),
      });
    },
  );

  it.each([
    ["seconds", "1700000000", "2023-11-14T22:13:20.000Z"],
    ["seconds", "1700000000.123456", "2023-11-14T22:13:20.123456Z"],
    ["milliseconds", "1700000000123", "2023-11-14T22:13:20.123Z"],
    ["milliseconds", "1700000000123.456000", "2023-11-14T22:13:20.123456Z"],
    ["microseconds", "1700000000123456", "2023-11-14T22:13:20.123456Z"],
    ["nanoseconds", "1700000000123456000", "2023-11-14T22:13:20.123456Z"],
    ["nanoseconds", "0", "1970-01-01T00:00:00.000Z"],
    ["seconds", "-0.000001", "1969-12-31T23:59:59.999999Z"],
    ["seconds", "2026-11-21T09:30:00Z", "2026-11-21T09:30:00.000Z"],
  ] as const)(
    "A number under timestamp is a time if an option says its unit, in CSV and JSON lines: %s %s",
    async (epoch, text, time) => {
      expect(await readAs(text, "timestamp", { epoch })).toBe(time);
      expect(await readAs(text, "timestamp", { epoch: { v: epoch } })).toBe(time);
      const value = text.includes("T") ? `"${text}"` : text;
      expect(await rowsIn(jsonl(`{"v":${value}}`, { epoch }), "v timestamp")).toEqual([{ v: time }]);
    },
  );

  it.each([
    ["1700000000", undefined, '`epoch: "seconds"`'],
    ["1700000000123456789", undefined, '`epoch: "nanoseconds"`'],
    ["1700000000123456789", "nanoseconds" as const, "bigint"],
    ["1", "nanoseconds" as const, "bigint"],
    ["1700000000.1234567", "seconds" as const, "bigint"],
    ["-1", undefined, '`epoch: "seconds"`'],
    ["1700000000123", "seconds" as const, '`epoch: "milliseconds"`'],
    ["-62135596800001", "milliseconds" as const, '`epoch: "microseconds"`'],
    ["253402300800000000", "microseconds" as const, '`epoch: "nanoseconds"`'],
  ])(
    "A number under timestamp without a unit, with nanoseconds or of other years is an error in CSV and JSON lines: %j %j",
    async (text, epoch, hint) => {
      const options = epoch === undefined ? {} : { epoch };
      for (const read of [
        () => readAs(text, "timestamp", options),
        () => rowsIn(jsonl(`{"v":${text}}`, options), "v timestamp"),
      ]) {
        expect(await failure(read())).toMatchObject({
          code: "ROW_MISMATCH",
          where: { path: expect.stringContaining("/a."), row: 1, field: "v" },
          hint: expect.stringContaining(hint),
        });
      }
    },
  );

  it("A number with an exponent is a time of JSON lines", async () => {
    const rows = await rowsIn(jsonl('{"v":1.7000000001e9}', { epoch: "seconds" }), "v timestamp");
    expect(rows).toEqual([{ v: "2023-11-14T22:13:20.100Z" }]);
  });

  it("An epoch of one column is not that of another", async () => {
    const options = jsonl('{"v":1,"w":1}', { epoch: { v: "seconds" } });
    expect(await failure(rowsIn(options, "v timestamp, w timestamp"))).toMatchObject({
      code: "ROW_MISMATCH",
      where: { field: "w" },
    });
  });

  it("An epoch of a column that is no timestamp of the schema is refused", async () => {
    for (const epoch of [{ vv: "seconds" }, { k: "seconds" }] as const) {
      const reading = readAs("1", "timestamp", { epoch: { v: "seconds", ...epoch } });
      expect(await failure(reading)).toMatchObject({
        code: "OPTIONS_INVALID",
        message: expect.stringContaining(Object.keys(epoch)[0] ?? ""),
      });
    }
  });

  it.each([
    ["base64", "AAEC/w==", "AAEC/w=="],
    ["hex", "000102FF", "AAEC/w=="],
    ["hex", "\\x000102ff", "AAEC/w=="],
    ["base64", "", ""],
  ] as const)("Bytes are read as the option binary says: %s %j", async (binary, text, bytes) => {
    expect(await readAs(text, "binary", { binary })).toBe(bytes);
    const line = JSON.stringify({ v: text });
    expect(await rowsIn(jsonl(line, { binary }), "v binary")).toEqual([{ v: bytes }]);
  });

  it.each([
    ["base64", "\\xdeadbeef"],
    ["base64", "not base64!"],
    ["base64", "AAEC/w"],
    ["base64", "AAEC/x=="],
    ["base64", "AAEC_w=="],
    ["base64", "AAEC\n/w=="],
    ["base64", " AAEC/w=="],
    ["hex", "0xff"],
    ["hex", "fff"],
    ["hex", "zz"],
    ["hex", "AAEC/w=="],
  ] as const)("Bytes that are not %s are an error, never other bytes: %j", async (binary, text) => {
    const line = JSON.stringify({ v: text });
    for (const read of [
      () => readAs(text, "binary", { binary }),
      () => rowsIn(jsonl(line, { binary }), "v binary"),
    ]) {
      expect(await failure(read())).toMatchObject({
        code: "ROW_MISMATCH",
        where: { row: 1, field: "v" },
        hint: expect.stringContaining(`\`binary: "${binary === "hex" ? "base64" : "hex"}"\``),
      });
    }
  });
});
