import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasIceberg } from "../../scripts/setup-iceberg.ts";
import { recordBatchOf } from "../../shared/arrow/record-batches.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import { temporaryFolder } from "../support/folder.ts";
import { hasPython } from "../support/python.ts";
import { sqliteCatalog } from "./support/catalog-address.ts";
import { canonicalRows, PythonReaders, SparkReader, sorted } from "./support/readers.ts";
import { startRestCatalog } from "./support/servers.ts";

const SCHEMA = parseDdl("id bigint, word string, price decimal(12,2), at timestamp, ratio double");
const ROWS = [
  [1, "one", "1.50", "2026-01-01T00:00:00.123456Z", Number.NaN],
  [9007199254740993n, null, "-9999999999.99", "0001-01-01T00:00:00Z", -0],
  [3, "three", null, null, null],
];

describe.skipIf(!hasPython || !hasIceberg())("the independent readers", () => {
  let python: PythonReaders;
  let spark: SparkReader;
  beforeAll(() => {
    python = new PythonReaders();
    spark = new SparkReader();
  });
  afterAll(async () => {
    await Promise.all([python.stop(), spark.stop()]);
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
