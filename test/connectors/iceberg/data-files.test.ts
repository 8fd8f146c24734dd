import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FileIo } from "../../../shared/connectors/iceberg/file-io.ts";
import { loadParquetWriter } from "../../../shared/connectors/iceberg/files/parquet-file.ts";
import { footerStatistics } from "../../../shared/connectors/iceberg/files/parquet-footer.ts";
import { writeDataFiles } from "../../../shared/connectors/iceberg/files/write-data-files.ts";
import { decodeValue } from "../../../shared/connectors/iceberg/format/single-value.ts";
import type { IcebergSchema } from "../../../shared/connectors/iceberg/format/types.ts";
import { readFooter } from "../../../shared/connectors/kit/parquet/footer.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";
import type { Row } from "../../../shared/contract/stream-reader.ts";
import { MemoryStore } from "../../../shared/platform/memory/memory-store.ts";

import {
  batchesOf,
  locationOf,
  NUMBERS,
  numbers,
  SCHEMA,
  specBy,
  table,
  written,
} from "./support/data-files.ts";

interface Bounds {
  readonly fields: IcebergSchema["fields"];
  readonly lower_bounds: Readonly<Record<string, string>>;
  readonly upper_bounds: Readonly<Record<string, string>>;
  readonly null_value_counts: Readonly<Record<string, number>>;
  readonly value_counts: Readonly<Record<string, number>>;
}

/** What Spark and pyiceberg write for the same rows. */
const BOUNDS: Bounds = JSON.parse(readFileSync(new URL("vectors/bounds.json", import.meta.url), "utf8"));

const hex = (map: ReadonlyMap<number, Uint8Array> | undefined) =>
  Object.fromEntries([...(map ?? [])].map(([id, bytes]) => [id, Buffer.from(bytes).toString("hex")]));

describe("The metrics of a data file", () => {
  it("Bounds and counts of all types are byte for byte what Spark and pyiceberg write", async () => {
    const ddl =
      "boolean boolean, tinyint tinyint, smallint smallint, int int, bigint bigint, float float, double double, " +
      "dec9 decimal(9,2), dec18 decimal(18,4), dec38 decimal(38,10), string string, binary binary, date date, " +
      "ts timestamp, ts_ntz timestamp_ntz, struct struct<x:int,y:string>, array array<bigint>, map map<string,double>";
    const long = "ż".repeat(15) + "😀".repeat(40);
    const rows: Row[] = [
      [
        true,
        -128,
        -32768,
        -2147483648,
        -9223372036854775808n,
        -0,
        -0,
        "-9999999.99",
        "-99999999999999.9999",
        `-${10n ** 27n}`,
        "",
        Buffer.alloc(0),
        "0001-01-01",
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999",
        { x: 1, y: "p" },
        [1n, 2n],
        new Map([
          ["a", 1.5],
          ["b", null],
        ]),
      ],
      [
        false,
        0,
        0,
        0,
        0n,
        Number.NaN,
        Number.NaN,
        "0",
        "0",
        "0.0000000001",
        "abc",
        Buffer.from([0, 255]),
        "1970-01-01",
        "1970-01-01T00:00:00.000001Z",
        "1970-01-01T00:00:00.000001",
        { x: 2, y: null },
        [],
        new Map(),
      ],
      [
        true,
        127,
        32767,
        2147483647,
        9223372036854775807n,
        1.5,
        1e300,
        "9999999.99",
        "99999999999999.9999",
        `${10n ** 28n - 1n}.9999999999`,
        long,
        Buffer.alloc(100, 255),
        "2024-10-04",
        "2026-01-01T00:00:00.123456Z",
        "2026-01-01T00:00:00.123456",
        { x: 3, y: "q" },
        [3n, null, 5n],
        new Map([["c", -2]]),
      ],
      Array.from({ length: 18 }, () => null),
    ];
    const schema: IcebergSchema = { type: "struct", "schema-id": 0, fields: BOUNDS.fields };
    const { files } = await written(ddl, rows, { schema });
    expect(files).toHaveLength(1);
    const [file] = files;
    expect(hex(file?.lowerBounds)).toEqual(BOUNDS.lower_bounds);
    expect(hex(file?.upperBounds)).toEqual(BOUNDS.upper_bounds);
    expect(Object.fromEntries(file?.valueCounts ?? [])).toEqual(BOUNDS.value_counts);
    expect(Object.fromEntries(file?.nullValueCounts ?? [])).toEqual(BOUNDS.null_value_counts);
  });
});

const megabytesOfWasm = async () => {
  const { wasmMemory } = await loadParquetWriter();
  return (wasmMemory() as unknown as { readonly buffer: ArrayBuffer }).buffer.byteLength / 2 ** 20;
};

describe("writeDataFiles", () => {
  it("No rows make no file", async () => {
    expect(await written(NUMBERS, [])).toEqual({ files: [], keys: [] });
  });

  it("A file that has reached the target size is followed by another, with no row lost or doubled", async () => {
    const { io, objects } = table();
    const files = await writeDataFiles(batchesOf(20, 5000), {
      schema: SCHEMA,
      spec: specBy(),
      io,
      locationOf,
      targetFileBytes: 100_000,
      rowGroupRows: 5000,
    });
    expect(files.length).toBeGreaterThan(2);
    expect(files.reduce((sum, { recordCount }) => sum + recordCount, 0)).toBe(100_000);
    for (const [i, file] of files.entries()) {
      const stored = [...objects.objects].find(([key]) => file.filePath.endsWith(key.slice(-12)))?.[1];
      expect(file.fileSizeInBytes).toBe(stored?.bytes.length);
      if (i < files.length - 1) expect(file.fileSizeInBytes).toBeGreaterThan(100_000);
      expect(file.fileSizeInBytes).toBeLessThan(200_000);
    }
    const bounds = files.map(({ lowerBounds, upperBounds }) =>
      [lowerBounds, upperBounds].map((map) => decodeValue("long", map?.get(1) as Uint8Array)),
    );
    expect(bounds[0]?.[0]).toBe(0n);
    for (const [i, [lower]] of bounds.entries())
      if (i > 0) expect(lower).toBe((bounds[i - 1]?.[1] as bigint) + 1n);
    expect(bounds.at(-1)?.[1]).toBe(99_999n);
  });

  it("Each row group has the number of rows that is asked for, and its offset is in the metrics", async () => {
    const { io, objects } = table();
    const [file] = await writeDataFiles(batchesOf(3, 4000), {
      schema: SCHEMA,
      spec: specBy(),
      io,
      locationOf,
      rowGroupRows: 5000,
    });
    const bytes = [...objects.objects.values()][0]?.bytes as Uint8Array;
    const groups = footerStatistics(bytes);
    expect(groups?.map(({ rows }) => rows)).toEqual([5000, 5000, 2000]);
    expect(file?.splitOffsets).toEqual(groups?.map(({ offset }) => offset));
    expect(file?.splitOffsets?.[0]).toBe(4);
  });

  it("A dictionary is used only for columns whose values repeat", async () => {
    const sizes = async (property: Record<string, string>) =>
      (await written(NUMBERS, numbers(20_000), { properties: property })).files[0];
    const file = await sizes({});
    const plain = await sizes({ "write.parquet.compression-codec": "uncompressed" });
    // 20,000 values of five kinds take three bits each, and 8 bytes or more without a dictionary.
    expect(plain?.columnSizes?.get(2)).toBeLessThan(10_000);
    expect(plain?.columnSizes?.get(1)).toBeGreaterThan(160_000);
    expect(file?.columnSizes?.get(1)).toBeLessThan(120_000);
  });

  it.each(["zstd", "snappy", "gzip", "uncompressed"])("The table's codec %s is used", async (codec) => {
    const properties = { "write.parquet.compression-codec": codec };
    const { objects, io } = table();
    await writeDataFiles(batchesOf(1, 1000), { schema: SCHEMA, spec: specBy(), io, locationOf, properties });
    const [stored] = objects.objects.values();
    const { size, bytes } = { size: stored?.bytes.length ?? 0, bytes: stored?.bytes as Uint8Array };
    const footer = await readFooter({
      size,
      range: async (from: number, to: number) => bytes.subarray(from, to),
    } as never);
    const numbersOfCodecs = { uncompressed: 0, snappy: 1, gzip: 2, zstd: 6 } as const;
    const found = footer.rowGroups.flatMap(({ columns }) =>
      columns.map((column) => ("codec" in column ? column.codec : -1)),
    );
    expect(new Set(found)).toEqual(new Set([numbersOfCodecs[codec as "zstd"]]));
  });

  it.each([
    ["write.parquet.compression-codec", "brotli"],
    ["write.target-file-size-bytes", "0"],
    ["write.metadata.metrics.default", "truncate(0)"],
    ["write.metadata.metrics.column.note", "some"],
    ["write.metadata.metrics.max-inferred-column-defaults", "-1"],
  ])("The property %s = %s is refused", async (key, value) => {
    await expect(written(NUMBERS, numbers(1), { properties: { [key]: value } })).rejects.toMatchObject({
      code: "TABLE_PROPERTY_INVALID",
      message: expect.stringContaining(`"${key}" is "${value}"`),
    });
  });

  it("An error of the rows is thrown, and all files are deleted", async () => {
    const { io, keys } = table();
    const rows = async function* () {
      yield* batchesOf(4, 5000);
      throw new Error("the source is gone");
    };
    const options = {
      schema: SCHEMA,
      spec: specBy(),
      io,
      locationOf,
      targetFileBytes: 100_000,
      rowGroupRows: 2000,
    };
    await expect(writeDataFiles(rows(), options)).rejects.toThrow("the source is gone");
    expect(keys()).toEqual([]);
  });

  it("A store that fails ends the writing with its error, and nothing is left", async () => {
    const { objects, keys } = table();
    class FailingStore extends MemoryStore {
      override async put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>): Promise<boolean> {
        let bytes = 0;
        for await (const chunk of body as AsyncIterable<Uint8Array>) {
          bytes += chunk.length;
          if (bytes > 100_000) throw new MillraceError("STORE_FAILED", "the disk is full");
        }
        return await super.put(key, new Uint8Array(bytes));
      }
    }
    const io = new FileIo(() => new FailingStore(objects), "/t");
    const options = { schema: SCHEMA, spec: specBy(), io, locationOf, rowGroupRows: 2000 };
    await expect(writeDataFiles(batchesOf(1000, 2000), options)).rejects.toMatchObject({
      code: "STORE_FAILED",
    });
    expect(keys()).toEqual([]);
  });

  it("A file that exists already is not overwritten", async () => {
    const { io, objects, keys } = table();
    objects.objects.set("t/data/f0.parquet", { bytes: new Uint8Array(3), modifiedAt: 0 });
    await expect(
      writeDataFiles(batchesOf(1, 10), { schema: SCHEMA, spec: specBy(), io, locationOf }),
    ).rejects.toMatchObject({ code: "TABLE_FILE_EXISTS" });
    expect(keys()).toEqual(["t/data/f0.parquet"]);
    expect(objects.objects.get("t/data/f0.parquet")?.bytes).toHaveLength(3);
  });

  it("A signal ends the writing, and the memory of the Parquet writer does not grow by that", async () => {
    const { io, keys } = table();
    const once = async () => {
      const stop = new AbortController();
      const rows = async function* () {
        let batch = 0;
        for (const rows of batchesOf(30, 2000)) {
          if (batch++ === 25) stop.abort(new Error("stop"));
          yield rows;
        }
      };
      const options = {
        schema: SCHEMA,
        spec: specBy("bucket(4, id)"),
        io,
        locationOf,
        bufferBytes: 2 ** 16,
        signal: stop.signal,
      };
      await expect(writeDataFiles(rows(), options)).rejects.toThrow("stop");
      expect(keys()).toEqual([]);
    };
    for (let i = 0; i < 3; i++) await once();
    const before = await megabytesOfWasm();
    for (let i = 0; i < 12; i++) await once();
    expect(await megabytesOfWasm()).toBe(before);
  });
});
