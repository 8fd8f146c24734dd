import { Field, FixedSizeBinary, List, Table, TimeMicrosecond, vectorFromArray } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasIceberg } from "../../scripts/setup-iceberg.ts";
import { recordBatchOf } from "../../shared/arrow/record-batches.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import { temporaryFolder } from "../support/folder.ts";
import { hasPython } from "../support/python.ts";
import { type CatalogAddress, sqliteCatalog } from "./support/catalog-address.ts";
import { expireSnapshots, ownRows, rollBack } from "./support/own-table.ts";
import { canonicalRows, PythonReaders, SparkReader, sorted } from "./support/readers.ts";
import { startRestCatalog } from "./support/servers.ts";

describe.skipIf(!hasPython || !hasIceberg())("reading tables of other programs", () => {
  let python: PythonReaders;
  let spark: SparkReader;
  beforeAll(() => {
    python = new PythonReaders();
    spark = new SparkReader();
  });
  afterAll(async () => {
    await Promise.all([python.stop(), spark.stop()]);
  });

  function place() {
    const folder = temporaryFolder();
    const options = { table: "shop.orders", catalog: { type: "sqlite", path: folder } } as const;
    return { folder, options, catalog: sqliteCatalog(folder) };
  }

  /** Compares with Spark. Rows have no order. */
  async function sameAsSpark(catalog: CatalogAddress, options: Parameters<typeof ownRows>[0]) {
    const own = sorted(await ownRows(options));
    expect(own).toEqual(sorted(await spark.read(catalog, "shop.orders")));
    return own;
  }

  it("Columns that Spark renamed, widened, dropped, moved and added are read as Spark reads them", async () => {
    const { catalog, options } = place();
    await spark.sql(
      catalog,
      "CREATE NAMESPACE IF NOT EXISTS millrace.shop",
      "CREATE TABLE millrace.shop.orders (id INT, name STRING, gone INT, ratio FLOAT, price DECIMAL(9,2), place STRUCT<x: INT, y: STRING>, tags ARRAY<STRUCT<k: STRING, v: INT>>, notes MAP<STRING, STRUCT<n: INT>>) USING iceberg",
      "INSERT INTO millrace.shop.orders VALUES (1, 'a', 7, 1.5, 1.25, struct(1, 'p'), array(struct('k', 1), null), map('m', struct(3), 'n', null)), (null, null, null, null, null, null, null, null)",
      "ALTER TABLE millrace.shop.orders RENAME COLUMN name TO title",
      "ALTER TABLE millrace.shop.orders ALTER COLUMN id TYPE BIGINT",
      "ALTER TABLE millrace.shop.orders ALTER COLUMN ratio TYPE DOUBLE",
      "ALTER TABLE millrace.shop.orders ALTER COLUMN price TYPE DECIMAL(18,2)",
      "ALTER TABLE millrace.shop.orders DROP COLUMN gone",
      "ALTER TABLE millrace.shop.orders ADD COLUMN gone STRING FIRST",
      "ALTER TABLE millrace.shop.orders RENAME COLUMN place.x TO left",
      "ALTER TABLE millrace.shop.orders ADD COLUMN place.z DATE",
      "ALTER TABLE millrace.shop.orders RENAME COLUMN tags.element.v TO value",
      "ALTER TABLE millrace.shop.orders ALTER COLUMN notes.value.n TYPE BIGINT",
      "INSERT INTO millrace.shop.orders VALUES ('new', 9007199254740993, 'b', 0.1, 12345678901234.56, struct(2, 'q', DATE'2026-01-01'), array(), map('m', struct(9007199254740993)))",
    );
    const rows = await sameAsSpark(catalog, options);
    expect(rows).toHaveLength(3);
    expect(rows).toContainEqual(
      expect.objectContaining({ title: "a", gone: null, place: { left: 1, y: "p", z: null } }),
    );
  });

  it("Rows that Spark deleted by position are left out in a table with partitions that changed", async () => {
    const { catalog, options } = place();
    await spark.sql(
      catalog,
      "CREATE NAMESPACE IF NOT EXISTS millrace.shop",
      "CREATE TABLE millrace.shop.orders (id INT, region STRING) USING iceberg PARTITIONED BY (region) TBLPROPERTIES ('write.delete.mode'='merge-on-read', 'write.update.mode'='merge-on-read')",
      "INSERT INTO millrace.shop.orders SELECT id, CASE WHEN id % 2 = 0 THEN 'eu' END FROM range(100)",
      "DELETE FROM millrace.shop.orders WHERE id % 7 = 0",
      "ALTER TABLE millrace.shop.orders REPLACE PARTITION FIELD region WITH bucket(4, id)",
      "INSERT INTO millrace.shop.orders SELECT id, 'us' FROM range(100, 200)",
      "DELETE FROM millrace.shop.orders WHERE id % 7 = 1",
      "UPDATE millrace.shop.orders SET region = 'moved' WHERE id % 7 = 2",
    );
    expect(await sameAsSpark(catalog, options)).toHaveLength(156);
    await expireSnapshots(options, 1);
    await sameAsSpark(catalog, options);
  });

  it("Rows that DuckDB deleted are left out", async () => {
    const { folder, catalog, options } = place();
    const schema = parseDdl("id bigint, word string");
    const batch = recordBatchOf(
      schema,
      Array.from({ length: 50 }, (_, i) => [i, `w${i}`]),
    );
    await python.create(catalog, "shop.orders", [batch]);
    await python.append(catalog, "shop.orders", [batch]);
    await python.append(catalog, "shop.orders", [batch]);
    const rest = await startRestCatalog(folder, catalog);
    try {
      await python.duckdbRest(rest.port, "DELETE FROM rest.shop.orders WHERE id % 3 = 0");
      await python.duckdbRest(rest.port, "INSERT INTO rest.shop.orders VALUES (3, 'again')");
    } finally {
      await rest.stop();
    }
    const rows = sorted(await ownRows(options));
    expect(rows).toHaveLength(2 * 33 + 1);
    expect(rows).toEqual(sorted(await python.read(catalog, "shop.orders")));
  });

  it("An expiry and a rollback through a REST catalog spare what a tag of Spark names", async () => {
    const { folder, catalog, options } = place();
    const batches = [1, 2, 3, 4].map((id) => recordBatchOf(parseDdl("id bigint"), [[id]]));
    await python.create(catalog, "shop.orders", batches);
    for (const batch of batches) await python.append(catalog, "shop.orders", [batch]);
    const ids = (await python.describe(catalog, "shop.orders")).snapshots.map(({ id }) => id);
    await spark.sql(catalog, `ALTER TABLE millrace.shop.orders CREATE TAG first AS OF VERSION ${ids[0]}`);
    const rest = await startRestCatalog(folder, catalog);
    try {
      const uri = `http://127.0.0.1:${rest.port}`;
      const throughRest = { ...options, catalog: { type: "rest", uri } } as const;
      await rollBack(throughRest, ids[2] ?? "");
      expect(await ownRows(throughRest)).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
      // The snapshots 2 and 4 go; the tag keeps 1.
      expect(await expireSnapshots(throughRest, 1)).toBe(2);
      expect(await ownRows(throughRest, ids[0])).toEqual([{ id: 1 }]);
    } finally {
      await rest.stop();
    }
    const rows = sorted(await ownRows(options));
    expect(rows).toEqual(sorted(await python.read(catalog, "shop.orders")));
    expect(rows).toHaveLength(3);
  });

  it("Files without field ids that Spark added are read by the name mapping and their folders", async () => {
    const { folder, catalog, options } = place();
    const source = `${folder}/plain`;
    await spark.sql(
      catalog,
      "CREATE NAMESPACE IF NOT EXISTS millrace.shop",
      `INSERT OVERWRITE DIRECTORY '${source}/day=2026-01-02' USING parquet SELECT 1 AS id, 'a' AS name, array(named_struct('k', 'x')) AS tags`,
      "CREATE TABLE millrace.shop.orders (id INT, name STRING, tags ARRAY<STRUCT<k: STRING>>, day DATE) USING iceberg PARTITIONED BY (day)",
      `CALL millrace.system.add_files(table => 'shop.orders', source_table => '\`parquet\`.\`${source}\`')`,
      "ALTER TABLE millrace.shop.orders RENAME COLUMN name TO title",
    );
    expect(await sameAsSpark(catalog, options)).toEqual([
      { id: 1, title: "a", tags: [{ k: "x" }], day: "2026-01-02" },
    ]);
  });

  it("Times and bytes of a fixed length that pyiceberg wrote keep their value, also in lists", async () => {
    const { catalog, options } = place();
    const [time, bytes, uuid] = [new TimeMicrosecond(), new FixedSizeBinary(3), new FixedSizeBinary(16)];
    const table = new Table({
      at: vectorFromArray([86_399_999_999n, null, 0n], time),
      raw: vectorFromArray([Uint8Array.of(0, 128, 255), new Uint8Array(3), null], bytes),
      id: vectorFromArray([new Uint8Array(16).fill(7), null, new Uint8Array(16)], uuid),
      times: vectorFromArray([[1n, null], null, []], new List(new Field("item", time, true))),
    });
    await python.create(catalog, "shop.orders", table.batches);
    await python.append(catalog, "shop.orders", table.batches);
    const rows = sorted(await ownRows(options));
    expect(rows).toEqual(sorted(canonicalRows(table.batches)));
    expect(rows).toEqual(sorted(await python.read(catalog, "shop.orders")));
  });
});
