import { Data, Field, RecordBatch, Schema, Struct, Utf8 } from "apache-arrow";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dataFileJson, dataFileOf } from "../../../shared/connectors/iceberg/files/data-file-json.ts";
import { metricsOf } from "../../../shared/connectors/iceberg/files/metrics.ts";
import { metricsModes } from "../../../shared/connectors/iceberg/files/metrics-modes.ts";
import { writeDataFiles } from "../../../shared/connectors/iceberg/files/write-data-files.ts";
import { icebergSchemaOf } from "../../../shared/connectors/iceberg/format/schema.ts";
import { compareValues, decodeValue } from "../../../shared/connectors/iceberg/format/single-value.ts";
import type { DataFile, IcebergValue } from "../../../shared/connectors/iceberg/format/types.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { Row } from "../../../shared/contract/stream-reader.ts";
import { locationOf, table, written } from "./support/data-files.ts";

const DEFAULT = "write.metadata.metrics.default";
const column = (name: string) => `write.metadata.metrics.column.${name}`;

async function fileOf(
  ddl: string,
  rows: readonly Row[],
  properties: Record<string, string> = {},
): Promise<DataFile> {
  const { files } = await written(ddl, rows, { properties });
  expect(files).toHaveLength(1);
  return files[0] as DataFile;
}

function bounds(type: string, file: DataFile, id = 1): readonly (IcebergValue | undefined)[] {
  return [file.lowerBounds?.get(id), file.upperBounds?.get(id)].map(
    (bytes) => bytes && decodeValue(type, bytes),
  );
}

describe("Metrics modes", () => {
  const ddl = "a string, b string, c string, d string";
  const long = "x".repeat(40);
  const ids = (map: ReadonlyMap<number, unknown> | undefined) => [...(map?.keys() ?? [])];

  it("Properties choose for each column which metrics it has", async () => {
    const file = await fileOf(ddl, [[long, long, long, long]], {
      [DEFAULT]: "counts",
      [column("b")]: "none",
      [column("c")]: "truncate(3)",
      [column("d")]: "full",
    });
    expect(ids(file.columnSizes)).toEqual([1, 2, 3, 4]);
    expect(ids(file.valueCounts)).toEqual([1, 3, 4]);
    expect(ids(file.lowerBounds)).toEqual([3, 4]);
    expect(bounds("string", file, 3)).toEqual(["xxx", "xxy"]);
    expect(bounds("string", file, 4)).toEqual([long, long]);
  });

  it("Without a default, only the first columns have metrics, those at the top first", () => {
    const { schema } = icebergSchemaOf(parseDdl("s struct<x:int,y:int>, a int, b int"));
    const withMetrics = (properties: Record<string, string>) =>
      [...metricsModes(schema, properties)].filter(([, { kind }]) => kind !== "none").map(([id]) => id);
    const LIMIT = "write.metadata.metrics.max-inferred-column-defaults";
    expect(withMetrics({ [LIMIT]: "3" })).toEqual([2, 3, 4]);
    expect(withMetrics({ [LIMIT]: "1", [column("s.y")]: "counts" })).toEqual([2, 5]);
    expect(withMetrics({ [LIMIT]: "1", [DEFAULT]: "truncate(16)" })).toEqual([2, 3, 4, 5]);
    const wide = icebergSchemaOf(parseDdl(Array.from({ length: 120 }, (_, i) => `c${i} int`).join(", ")));
    expect([...metricsModes(wide.schema, {})].filter(([, { kind }]) => kind === "truncate")).toHaveLength(
      100,
    );
  });
});

describe("Bounds", () => {
  const text = fc.string({
    unit: fc.constantFrom("a", "ż", "😀", "\u{10ffff}", "\ud7ff", "\uffff", "\0"),
    maxLength: 90,
  });
  const bytes = fc
    .array(fc.constantFrom(0, 1, 254, 255), { maxLength: 90 })
    .map((all) => Uint8Array.from(all));
  const modes = fc.constantFrom("truncate(16)", "truncate(1)", "truncate(70)", "full");

  it.each([
    ["string", text as fc.Arbitrary<IcebergValue>],
    ["binary", bytes as fc.Arbitrary<IcebergValue>],
  ])("No value of %s is outside its bounds, however long it is", async (type, values) => {
    await fc.assert(
      fc.asyncProperty(fc.array(values, { minLength: 1, maxLength: 4 }), modes, async (all, mode) => {
        const file = await fileOf(
          `v ${type}`,
          all.map((value) => [value]),
          { [DEFAULT]: mode },
        );
        const [lower, upper] = bounds(type, file);
        expect(lower).toBeDefined();
        for (const value of all) {
          expect(compareValues(type, lower as IcebergValue, value)).toBeLessThanOrEqual(0);
          if (upper !== undefined) expect(compareValues(type, upper, value)).toBeGreaterThanOrEqual(0);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("They hold for all row groups of a file, and a row group of nulls does not matter", async () => {
    const rows: Row[] = [
      [5, "m"],
      [7, "z"],
      [null, null],
      [null, null],
      [-3, "a"],
      [0, "b"],
    ];
    const { files } = await written("n int, s string", rows, { rowGroupRows: 2 });
    expect(files[0]?.splitOffsets).toHaveLength(3);
    expect(bounds("int", files[0] as DataFile)).toEqual([-3, 7]);
    expect(bounds("string", files[0] as DataFile, 2)).toEqual(["a", "z"]);
    expect(files[0]?.nullValueCounts?.get(1)).toBe(2);
  });

  it("A column has none if one row group does not tell, or if a statistic is no value", () => {
    const { schema } = icebergSchemaOf(parseDdl("s string, d double"));
    const chunk = (fieldId: number, physicalType: number, min: Uint8Array | undefined) => ({
      fieldId,
      physicalType,
      bytes: 10,
      values: 2,
      nulls: fieldId === 1 ? 0 : undefined,
      bounds: min && { min, max: min },
    });
    const groups = (first: Uint8Array | undefined, second: Uint8Array | undefined) =>
      [first, second].map((min, i) => ({
        rows: 2,
        offset: 4 + 100 * i,
        columns: [chunk(1, 6, min), chunk(2, 5, new Uint8Array(8))],
      }));
    const found = (first: Uint8Array | undefined, second: Uint8Array | undefined) =>
      metricsOf(groups(first, second), schema, metricsModes(schema, {}));
    expect([...found(Uint8Array.of(97), Uint8Array.of(98)).lowerBounds.keys()]).toEqual([1, 2]);
    expect([...found(Uint8Array.of(97), undefined).lowerBounds.keys()]).toEqual([2]);
    expect([...found(Uint8Array.of(97), Uint8Array.of(0xff)).upperBounds.keys()]).toEqual([2]);
    // An unknown number of nulls is left out, because a wrong one makes readers skip files.
    expect([...found(undefined, undefined).nullValueCounts.keys()]).toEqual([1]);
  });

  it("Columns of NaN, or of nulls alone, have none", async () => {
    const file = await fileOf("d double, n int, x double", [
      [Number.NaN, null, Number.NaN],
      [Number.NaN, null, 1],
    ]);
    expect([...(file.lowerBounds?.keys() ?? [])]).toEqual([3]);
  });
});

describe("Rows that cannot be written", () => {
  it("Text that is not UTF-8 is refused, and no file is left", async () => {
    const type = new Utf8();
    const schema = new Schema([new Field("s", type, true)]);
    const data = new Data(type, 0, 1, 0, { 0: Int32Array.of(0, 2), 1: Uint8Array.of(0xff, 0xfe) } as never);
    const batch = new RecordBatch(schema, new Data(new Struct(schema.fields), 0, 1, 0, undefined, [data]));
    const { io, keys } = table();
    const options = {
      schema: icebergSchemaOf(schema).schema,
      spec: { "spec-id": 0, fields: [] },
      io,
      locationOf,
    };
    await expect(writeDataFiles([batch], options)).rejects.toMatchObject({ code: "PARQUET_NOT_WRITTEN" });
    expect(keys()).toEqual([]);
  });
});

describe("Data files in commit messages", () => {
  const types = [{ type: "date" }, { type: "string" }];

  it("A message of another shape is refused, and nothing is guessed", async () => {
    const { files } = await written("d date, s string", [["2026-11-28", "x"]], { by: ["d", "s"] });
    const json = dataFileJson(files[0] as DataFile, types);
    expect(dataFileOf(json, types).partition).toEqual([20_785, "x"]);
    const wrong = [
      null,
      {},
      { ...json, more: 1 },
      { ...json, rows: -1 },
      { ...json, rows: "1" },
      { ...json, bytes: 2 ** 60 },
      { ...json, partition: ["", "eA=="] },
      { ...json, partition: [] },
      { ...json, partition: ["!", null] },
      { ...json, columns: [[1]] },
      { ...json, splits: undefined },
    ];
    for (const value of wrong) {
      expect(() => dataFileOf(value, types), JSON.stringify(value)).toThrow(
        expect.objectContaining({ code: "DATA_FILE_INVALID" }),
      );
    }
  });
});
