import { describe, expect, it } from "vitest";
import { FileIo } from "../../../shared/connectors/iceberg/file-io.ts";
import { writeDataFiles } from "../../../shared/connectors/iceberg/files/write-data-files.ts";
import { parsePartitionFields } from "../../../shared/connectors/iceberg/format/partition-spec.ts";
import { icebergSchemaOf } from "../../../shared/connectors/iceberg/format/schema.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { Row } from "../../../shared/contract/stream-reader.ts";
import { MemoryStore } from "../../../shared/platform/memory/memory-store.ts";

import { batchesOf, locationOf, SCHEMA, specBy, table, type Written, written } from "./support/data-files.ts";

const transforms = [
  "s.x",
  "bucket(5, s.x)",
  "truncate(3, s.x)",
  "year(s.x)",
  "month(s.x)",
  "day(s.x)",
  "hour(s.x)",
];

function isPossible(transform: string, ddl: string): boolean {
  try {
    return parsePartitionFields([transform], icebergSchemaOf(parseDdl(ddl)).schema).length === 1;
  } catch {
    return false;
  }
}

const summary = ({ files }: Written) =>
  files.map(({ partition, recordCount }) => [...partition, recordCount]);

/** Returns a row with the field of the struct as a column: its bytes are read in another way. */
function flat(row: Row): Row {
  const [struct, i] = row as [{ readonly x: unknown } | null, number];
  return [struct?.x ?? null, i];
}

describe("Partitions of data files", () => {
  it("A file has rows of one partition, which its tuple and folder name", async () => {
    const rows: Row[] = [
      ["2026-11-28T03:59:59.999999Z", "eu"],
      ["2026-11-28T04:00:00Z", "eu"],
      ["2026-11-28T03:00:00Z", "a/b"],
      [null, null],
      ["1969-12-31T23:59:59.999999Z", "eu"],
      ["2026-11-28T03:00:00Z", "eu"],
    ];
    const { files, keys } = await written("time timestamp, region string", rows, {
      by: ["hours(time)", "region"],
    });
    const hour = Math.floor(Date.UTC(2026, 10, 28, 3) / 3_600_000);
    expect(files.map(({ partition, recordCount }) => [...partition, recordCount])).toEqual([
      [hour, "eu", 2],
      [hour + 1, "eu", 1],
      [hour, "a/b", 1],
      [null, null, 1],
      [-1, "eu", 1],
    ]);
    expect(keys).toEqual([
      "t/data/time_hour=2026-11-28-03/region=eu/f0.parquet",
      "t/data/time_hour=2026-11-28-04/region=eu/f1.parquet",
      "t/data/f2.parquet",
      "t/data/time_hour=null/region=null/f3.parquet",
      "t/data/time_hour=1969-12-31-23/region=eu/f4.parquet",
    ]);
  });

  it("Zeros of both signs are partitions of their own, and NaN is one", async () => {
    const rows: Row[] = [[0], [-0], [Number.NaN], [0], [null], [Number.NaN]];
    const { files } = await written("x double", rows, { by: ["x"] });
    const found = files.map(({ partition, recordCount }) => [partition[0], recordCount]);
    expect(found).toEqual([
      [0, 2],
      [-0, 1],
      [Number.NaN, 2],
      [null, 1],
    ]);
  });

  it("Many partitions at once take bounded memory, and few files are open", async () => {
    let open = 0;
    let most = 0;
    const { objects } = table();
    class CountingStore extends MemoryStore {
      override async put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>): Promise<boolean> {
        most = Math.max(most, ++open);
        try {
          return await super.put(key, body);
        } finally {
          open--;
        }
      }
    }
    const io = new FileIo((root) => new CountingStore(objects, `${root}/`.slice(1)), "/t");
    const files = await writeDataFiles(batchesOf(15, 4000), {
      schema: SCHEMA,
      spec: specBy("bucket(300, id)"),
      io,
      locationOf,
      bufferBytes: 2 ** 19,
      openFiles: 6,
    });
    expect(most).toBeLessThanOrEqual(6);
    expect(files.reduce((sum, { recordCount }) => sum + recordCount, 0)).toBe(60_000);
    expect(new Set(files.map(({ partition }) => partition[0])).size).toBe(300);
    // Each time the buffer is full, the largest partition has at least twice the mean.
    expect(files.length).toBeLessThan(2000);
  });

  it("A truncated value that the type cannot hold is an error with the row", async () => {
    const rows: Row[] = [[5], [-(2 ** 31)]];
    await expect(written("x int", rows, { by: ["truncate(10, x)"] })).rejects.toMatchObject({
      code: "ROW_MISMATCH",
      where: { row: 2, field: "x" },
    });
  });

  it("Every transform of every type divides rows as the transform of each value does", async () => {
    const sources: Record<string, (i: number) => unknown> = {
      int: (i) => i * 37 - 60,
      bigint: (i) => BigInt(i) * 10n ** 15n - 7n,
      "decimal(20,3)": (i) => `${i * i - 20}.125`,
      date: (i) => new Date((i * 401 - 900) * 86_400_000).toISOString().slice(0, 10),
      timestamp: (i) => new Date(i * 31_000_000_000 - 10 ** 12).toISOString(),
      timestamp_ntz: (i) => new Date(i * 3_100_000 - 10 ** 7).toISOString().slice(0, -1),
      string: (i) => "😀żx".repeat(i % 4) + i,
      binary: (i) => Buffer.from([i, 255, i % 3]),
    };
    for (const [type, valueAt] of Object.entries(sources)) {
      const rows: Row[] = Array.from({ length: 60 }, (_, i) => [
        i % 7 === 3 ? null : { x: valueAt(i % 20) },
        i,
      ]);
      for (const transform of transforms) {
        if (!isPossible(transform, `s struct<x:${type}>`)) continue;
        const own = await written(`s struct<x:${type}>, i int`, rows, { by: [transform] });
        const top = await written(`x ${type}, i int`, rows.map(flat), {
          by: [transform.replace("s.x", "x")],
        });
        expect(summary(top), `${transform} of ${type}`).toEqual(summary(own));
        expect(summary(top).length, `${transform} of ${type}`).toBeGreaterThan(1);
      }
    }
  });
});
