import { renameSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasIceberg } from "../../scripts/setup-iceberg.ts";
import { recordBatchOf } from "../../shared/arrow/record-batches.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import { temporaryFolder } from "../support/folder.ts";
import { hasPython } from "../support/python.ts";
import { type CatalogAddress, sqliteCatalog } from "./support/catalog-address.ts";
import { expireSnapshots, ownRows } from "./support/own-table.ts";
import { canonicalRows, PythonReaders, type Row, SparkReader, sorted } from "./support/readers.ts";
import { startRestCatalog } from "./support/servers.ts";
import { IcebergStream } from "./support/stream.ts";
import { asInPyiceberg, RISING, rowsOfExtremes, rowsOfFile, TYPES } from "./support/values.ts";

const SCHEMA = parseDdl("id bigint, word string, price decimal(12,2), at timestamp, ratio double");
const ROWS = [
  [1, "one", "1.50", "2026-01-01T00:00:00.123456Z", Number.NaN],
  [9007199254740993n, null, "-9999999999.99", "0001-01-01T00:00:00Z", -0],
  [3, "three", null, null, null],
];

/** Partitionings, of which each has a row with null in a partition of its own. */
const PARTITIONINGS = [
  ["region"],
  ["truncate(3, region)", "bucket(4, id)"],
  // DuckDB cannot filter negative decimals of less than ten digits that are truncated.
  ["truncate(5, amount)", "bucket(8, amount)"],
  ["day"],
  ["year(day)", "bucket(3, day)"],
  ["month(at_time)"],
  ["day(at_time)", "identity(id)"],
  ["hour(local)"],
  ["bucket(5, region)", "bucket(5, at_time)", "bucket(5, local)"],
];
/** Values of the second row. */
const LITERALS = {
  region: "'north 😀'",
  amount: "-10.50",
  day: "'2026-02-28'",
  at_time: "'2026-02-28T00:00:00+00:00'",
  local: "'2026-02-28T12:30:00'",
};

describe.skipIf(!hasPython || !hasIceberg())("a table of Iceberg in four readers", () => {
  let python: PythonReaders;
  let spark: SparkReader;
  beforeAll(() => {
    python = new PythonReaders();
    spark = new SparkReader();
  });
  afterAll(async () => {
    await Promise.all([python.stop(), spark.stop()]);
  });

  /** Reads a table by each reader. */
  async function readByAll(catalog: CatalogAddress, name: string): Promise<Record<string, Row[]>> {
    const { metadata } = await python.describe(catalog, name);
    return {
      pyiceberg: sorted(await python.read(catalog, name)),
      duckdb: sorted(await python.duckdb(metadata)),
      spark: sorted(await spark.read(catalog, name)),
    };
  }

  it("All types of Spark have equal values in all readers, with extremes and nulls", async () => {
    const catalog = sqliteCatalog(temporaryFolder());
    const schema = parseDdl(`id int, ${TYPES.map((type, i) => `c${i} ${type}`).join(", ")}`);
    const batch = recordBatchOf(schema, rowsOfExtremes());
    const options = { table: "shop.types", catalog: catalog.millrace };
    await new IcebergStream(options).write(schema, [[batch]], { batchId: 0 });
    const expected = sorted(canonicalRows([batch]));
    expect({
      ...(await readByAll(catalog, "shop.types")),
      millrace: sorted(await ownRows(options)),
    }).toEqual({
      pyiceberg: sorted(expected.map(asInPyiceberg)),
      duckdb: expected,
      spark: expected,
      millrace: expected,
    });
  });

  it("Statistics of each type let all readers skip the files without matching rows", async () => {
    const catalog = sqliteCatalog(temporaryFolder());
    const schema = parseDdl(`id int, ${RISING.map(({ name, type }) => `${name} ${type}`).join(", ")}`);
    const stream = new IcebergStream({ table: "shop.rising", catalog: catalog.millrace });
    const files = [1, 2, 3];
    for (const [batchId, file] of files.entries())
      await stream.write(schema, [[recordBatchOf(schema, rowsOfFile(file))]], { batchId });
    const all = await python.files(catalog, "shop.rising");
    const byFirst = all.toSorted((a, b) => (a.lower["1"] ?? "").localeCompare(b.lower["1"] ?? ""));
    // A reader that does not skip a file fails, because the file is gone.
    for (const { path } of [byFirst[0], byFirst[2]].filter((file) => file !== undefined))
      renameSync(fileURLToPath(path), `${fileURLToPath(path)}.away`);
    const expected = sorted(canonicalRows([recordBatchOf(schema, rowsOfFile(2))])).slice(2, 8);
    const { metadata } = await python.describe(catalog, "shop.rising");
    for (const { name, path = name, literal, isReadByDuckdb } of RISING) {
      const filter = `${path} >= ${literal(22)} AND ${path} <= ${literal(27)}`;
      const planned = await python.plan(catalog, "shop.rising", { filter });
      expect([name, planned.map((file) => file.path)]).toEqual([name, [byFirst[1]?.path]]);
      expect([name, sorted(await python.read(catalog, "shop.rising", { filter }))]).toEqual([name, expected]);
      expect([name, sorted(await spark.read(catalog, "shop.rising", { filter }))]).toEqual([name, expected]);
      const inDuckdb = python.duckdb(metadata, { filter });
      if (isReadByDuckdb) await expect(inDuckdb).rejects.toThrow("No such file");
      else expect([name, sorted(await inDuckdb)]).toEqual([name, expected]);
    }
  });

  it("Each partition transform puts rows into the partitions that all readers expect, and filters skip the others", async () => {
    const catalog = sqliteCatalog(temporaryFolder());
    const ddl =
      "id int, region string, amount decimal(18,2), day date, at_time timestamp, local timestamp_ntz";
    const schema = parseDdl(ddl);
    const rows = [
      [1, "north", "10.50", "1969-12-31", "1969-12-31T23:59:59.999999Z", "1969-12-31T23:00:00"],
      [2, "north 😀", "-10.50", "2026-02-28", "2026-02-28T00:00:00Z", "2026-02-28T12:30:00"],
      [3, "", "0.00", "0001-01-01", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00"],
      [4, null, null, null, null, null],
    ];
    for (const partitionBy of PARTITIONINGS) {
      const table = `shop.p${PARTITIONINGS.indexOf(partitionBy)}`;
      const stream = new IcebergStream({ table, catalog: catalog.millrace, partitionBy });
      await stream.write(schema, [[recordBatchOf(schema, rows)]], { batchId: 0 });
      const expected = sorted(canonicalRows([recordBatchOf(schema, rows)]));
      const found = {
        ...(await readByAll(catalog, table)),
        millrace: sorted(await ownRows({ table, catalog: catalog.millrace })),
      };
      const all = { pyiceberg: expected, duckdb: expected, spark: expected, millrace: expected };
      expect([partitionBy, found]).toEqual([partitionBy, all]);
      const { metadata } = await python.describe(catalog, table);
      const conditions = Object.entries(LITERALS).map(([name, literal]) => `${name} = ${literal}`);
      const one = expected.filter(({ id }) => id === 2);
      for (const filter of conditions) {
        expect([filter, await python.read(catalog, table, { filter })]).toEqual([filter, one]);
        expect([filter, await python.duckdb(metadata, { filter })]).toEqual([filter, one]);
      }
      // Spark needs a second for a query.
      const filter = conditions.join(" AND ");
      expect([partitionBy, await spark.read(catalog, table, { filter })]).toEqual([partitionBy, one]);
      const planned = await python.plan(catalog, table, { filter: "region is null" });
      expect([partitionBy, planned.map((file) => file.rows)]).toEqual([partitionBy, [1]]);
    }
  });

  it("A batch that is committed again after its snapshot has expired adds nothing, and its marker says why", async () => {
    for (const expire of ["Millrace", "Spark"]) {
      const catalog = sqliteCatalog(temporaryFolder());
      const options = { table: "shop.orders", catalog: catalog.millrace };
      const stream = new IcebergStream(options);
      const batches = [0, 1, 2].map((batchId) =>
        recordBatchOf(
          SCHEMA,
          ROWS.map(([, ...rest], i) => [batchId * 10 + i, ...rest]),
        ),
      );
      const written = [];
      for (const [batchId, batch] of batches.entries())
        written.push(await stream.write(SCHEMA, [[batch]], { batchId }));
      if (expire === "Spark") {
        await spark.compact(catalog, "shop.orders");
        await spark.expire(catalog, "shop.orders");
      } else {
        await python.append(catalog, "shop.orders", [
          recordBatchOf(SCHEMA, [[99, "other", null, null, null]]),
        ]);
        await expireSnapshots(options, 1);
      }
      const before = await python.describe(catalog, "shop.orders");
      // No summary names a batch any more, only the property does.
      expect(before.snapshots.map(({ summary }) => summary["millrace.batch-id"])).toEqual([undefined]);
      const rows = sorted(await python.read(catalog, "shop.orders"));
      const last = written[2];
      if (last === undefined) throw new Error("the last batch was not written");
      await stream.commit(last.recorded, SCHEMA, last.messages, { batchId: 2, attempt: 2 });
      for (const [batchId, { recorded, messages }] of written.slice(0, 2).entries()) {
        const again = stream.commit(recorded, SCHEMA, messages, { batchId, attempt: 2 });
        await expect(again).rejects.toMatchObject({ code: "LEDGER_BEHIND_SINK" });
      }
      expect([expire, sorted(await python.read(catalog, "shop.orders"))]).toEqual([expire, rows]);
      expect((await python.describe(catalog, "shop.orders")).head).toBe(before.head);
    }
  });

  it("The readers pyiceberg, DuckDB and Spark read the same rows from a table that other programs wrote", async () => {
    const folder = temporaryFolder();
    const catalog = sqliteCatalog(folder);
    const batch = recordBatchOf(SCHEMA, ROWS);
    await python.create(catalog, "shop.orders", [batch]);
    await python.append(catalog, "shop.orders", [batch]);
    const expected = sorted(canonicalRows([batch]));
    const { metadata } = await python.describe(catalog, "shop.orders");
    expect(sorted(await python.read(catalog, "shop.orders"))).toEqual(expected);
    expect(sorted(await python.duckdb(metadata))).toEqual(expected);
    expect(sorted(await spark.read(catalog, "shop.orders"))).toEqual(expected);
  });

  it("DuckDB deletes rows of a table in SQLite through a REST catalog in front of it", async () => {
    const folder = temporaryFolder();
    const catalog = sqliteCatalog(folder);
    const batch = recordBatchOf(SCHEMA, ROWS);
    await python.create(catalog, "shop.orders", [batch]);
    await python.append(catalog, "shop.orders", [batch]);
    const rest = await startRestCatalog(folder, catalog);
    try {
      await python.duckdbRest(rest.port, "DELETE FROM rest.shop.orders WHERE id = 3");
      const expected = sorted(canonicalRows([recordBatchOf(SCHEMA, ROWS.slice(0, 2))]));
      const [file] = await python.plan(catalog, "shop.orders");
      expect(file?.deletes).toHaveLength(1);
      expect(sorted(await python.read(catalog, "shop.orders"))).toEqual(expected);
      expect(sorted(await spark.read(catalog, "shop.orders"))).toEqual(expected);
      await spark.compact(catalog, "shop.orders");
      await spark.expire(catalog, "shop.orders");
      expect((await python.describe(catalog, "shop.orders")).snapshots).toHaveLength(1);
      expect(sorted(await python.read(catalog, "shop.orders"))).toEqual(expected);
    } finally {
      await rest.stop();
    }
  });
});
