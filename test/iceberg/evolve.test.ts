import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasIceberg } from "../../scripts/setup-iceberg.ts";
import { recordBatchOf } from "../../shared/arrow/record-batches.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import type { Row as SourceRow } from "../../shared/contract/stream-reader.ts";
import { temporaryFolder } from "../support/folder.ts";
import { hasPython } from "../support/python.ts";
import { type CatalogAddress, sqliteCatalog } from "./support/catalog-address.ts";
import { ownRows } from "./support/own-table.ts";
import { PythonReaders, type Row, type Selection, SparkReader, sorted } from "./support/readers.ts";
import { IcebergStream } from "./support/stream.ts";

/** Milliseconds for five filters in each of four readers, of which one starts Spark. */
const FOUR_READERS_TIMEOUT = 600_000;

const BEFORE = "i int NOT NULL, f float, d decimal(5,2), s struct<a:int>, l array<int>, m map<string,float>";
const AFTER =
  "extra string, I bigint, f double, D decimal(12,2), s struct<b:string, A:bigint>, l array<bigint>, m map<string,double>";
const OLD: SourceRow = [7, 1.5, "9.99", { a: 1 }, [1, null], { k: 0.5 }];
const NEW: SourceRow = ["x", 2 ** 40, 0.1, "1234567.89", { b: "y", A: 2 ** 41 }, [2 ** 42], { k: 0.1 }];
const NULLS: SourceRow = [null, null, null, null, null, null, null];

const EXPECTED: readonly Row[] = [
  { i: 7, f: 1.5, d: "9.99", s: { a: 1, b: null }, l: [1, null], m: { k: 0.5 }, extra: null },
  {
    i: 2 ** 40,
    f: 0.1,
    d: "1234567.89",
    s: { a: 2 ** 41, b: "y" },
    l: [2 ** 42],
    m: { k: 0.1 },
    extra: "x",
  },
  { i: null, f: null, d: null, s: null, l: null, m: null, extra: null },
];

/** Transforms of columns that become wider. Old files are in partitions of the narrow type. */
const PARTITIONINGS = [
  [],
  ["i"],
  ["bucket(3, i)", "truncate(10, i)"],
  ["d"],
  ["bucket(3, d)", "truncate(50, d)"],
];

describe.skipIf(!hasPython || !hasIceberg())(
  "a table of Iceberg whose columns evolve, in four readers",
  () => {
    let python: PythonReaders;
    let spark: SparkReader;
    beforeAll(() => {
      python = new PythonReaders();
      spark = new SparkReader();
    });
    afterAll(async () => {
      await Promise.all([python.stop(), spark.stop()]);
    });

    async function readByAll(
      catalog: CatalogAddress,
      selection: Selection = {},
    ): Promise<Record<string, Row[]>> {
      const { metadata } = await python.describe(catalog, "shop.grown");
      return {
        pyiceberg: sorted(await python.read(catalog, "shop.grown", selection)),
        duckdb: sorted(await python.duckdb(metadata, selection)),
        spark: sorted(await spark.read(catalog, "shop.grown", selection)),
      };
    }

    async function write(
      catalog: CatalogAddress,
      batches: readonly (readonly [ddl: string, rows: readonly SourceRow[]])[],
      partitionBy: readonly string[] = [],
    ): Promise<void> {
      const options = {
        table: "shop.grown",
        catalog: catalog.millrace,
        ...(partitionBy.length === 0 ? {} : { partitionBy }),
      };
      const stream = new IcebergStream(options, { onSchemaChange: "evolve" });
      for (const [batchId, [ddl, rows]] of batches.entries()) {
        const schema = parseDdl(ddl);
        await stream.write(schema, [[recordBatchOf(schema, rows)]], { batchId });
      }
    }

    it.each(PARTITIONINGS.map((texts) => [texts]))(
      "Wider types, new columns and new nulls are read alike, and filters find both kinds of files, by %j",
      async (partitionBy) => {
        const catalog = sqliteCatalog(temporaryFolder());
        await write(
          catalog,
          [
            [BEFORE, [OLD]],
            [AFTER, [NEW, NULLS]],
          ],
          partitionBy,
        );
        const expected = sorted(EXPECTED);
        const all = await readByAll(catalog);
        const own = sorted(await ownRows({ table: "shop.grown", catalog: catalog.millrace }));
        expect({ ...all, own }).toEqual({
          pyiceberg: expected,
          duckdb: expected,
          spark: expected,
          own: expected,
        });
        for (const [filter, index] of [
          ["i = 7", 0],
          [`i = ${2 ** 40}`, 1],
          ["d = 9.99", 0],
          ["d > 10.00", 1],
          ["i IS NULL", 2],
        ] as const) {
          const found = sorted([EXPECTED[index] as Row]);
          expect(await readByAll(catalog, { filter }), filter).toEqual({
            pyiceberg: found,
            duckdb: found,
            spark: found,
          });
        }
      },
      FOUR_READERS_TIMEOUT,
    );

    it("A column that Spark dropped comes back empty, and one that it renamed is a new column", async () => {
      const catalog = sqliteCatalog(temporaryFolder());
      const ddl = "id int, note string, place string";
      await write(catalog, [[ddl, [[1, "old", "old"]]]]);
      await spark.sql(
        catalog,
        "ALTER TABLE millrace.shop.grown DROP COLUMN note",
        "ALTER TABLE millrace.shop.grown RENAME COLUMN place TO spot",
      );
      const stream = new IcebergStream(
        { table: "shop.grown", catalog: catalog.millrace },
        { onSchemaChange: "evolve" },
      );
      const schema = parseDdl(ddl);
      await stream.write(schema, [[recordBatchOf(schema, [[2, "new", "new"]])]], { batchId: 1 });
      const expected = sorted([
        { id: 1, spot: "old", note: null, place: null },
        { id: 2, spot: null, note: "new", place: "new" },
      ]);
      expect(await readByAll(catalog)).toEqual({ pyiceberg: expected, duckdb: expected, spark: expected });
    });
  },
);
