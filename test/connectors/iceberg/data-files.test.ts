import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { FileIo } from "../../../shared/connectors/iceberg/file-io.ts";
import { canonicalRows } from "../../../shared/connectors/iceberg/files/canonical.ts";
import { dataFileJson, dataFileOf } from "../../../shared/connectors/iceberg/files/data-file-json.ts";
import type { DataFileOptions } from "../../../shared/connectors/iceberg/files/write-data-files.ts";
import { writeDataFiles } from "../../../shared/connectors/iceberg/files/write-data-files.ts";
import {
  parsePartitionFields,
  partitionTypes,
} from "../../../shared/connectors/iceberg/format/partition-spec.ts";
import { icebergSchemaOf } from "../../../shared/connectors/iceberg/format/schema.ts";
import type { DataFile, IcebergSchema } from "../../../shared/connectors/iceberg/format/types.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { Row } from "../../../shared/contract/stream-reader.ts";
import { MemoryStore, memoryObjects } from "../../../shared/platform/memory/memory-store.ts";

interface Bounds {
  readonly fields: IcebergSchema["fields"];
  readonly lower_bounds: Readonly<Record<string, string>>;
  readonly upper_bounds: Readonly<Record<string, string>>;
  readonly null_value_counts: Readonly<Record<string, number>>;
  readonly value_counts: Readonly<Record<string, number>>;
}

/** What Spark and pyiceberg write for the same rows. */
const BOUNDS: Bounds = JSON.parse(readFileSync(new URL("vectors/bounds.json", import.meta.url), "utf8"));

/** A table in memory. */
function table() {
  const objects = memoryObjects(() => 0);
  const io = new FileIo((root) => new MemoryStore(objects, `${root.replace(/^\//, "")}/`), "/t");
  return { objects, io, keys: () => [...objects.objects.keys()] };
}

const locationOf = (file: number, folder: string) => `/t/data/${folder}f${file}.parquet`;

interface Written {
  readonly files: readonly DataFile[];
  readonly keys: readonly string[];
}

async function written(
  ddl: string,
  rows: readonly Row[],
  options: Partial<DataFileOptions> & { readonly by?: readonly string[] } = {},
): Promise<Written> {
  const source = parseDdl(ddl);
  const schema = options.schema ?? icebergSchemaOf(source).schema;
  const { io, keys } = table();
  const { apply } = canonicalRows(source, schema, {}, "refuse");
  const spec = { "spec-id": 0, fields: parsePartitionFields(options.by ?? [], schema) };
  const files = await writeDataFiles([apply(recordBatchOf(source, rows), 0)], {
    schema,
    spec,
    io,
    locationOf,
    ...options,
  });
  const types = partitionTypes(spec, schema);
  for (const file of files) {
    expect(dataFileOf(JSON.parse(JSON.stringify(dataFileJson(file, types))), types)).toEqual(file);
  }
  return { files, keys: keys() };
}

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
