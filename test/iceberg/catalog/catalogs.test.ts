import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { hasIceberg } from "../../../scripts/setup-iceberg.ts";
import { appendTo, catalogSuite, loaded, NEW_TABLE } from "../../connectors/iceberg/catalog/catalog.suite.ts";
import { open, openSqlite } from "../../connectors/iceberg/catalog/open.ts";
import { PASSWORD, type PostgresServer } from "../../postgres/databases.ts";
import { borrowPostgres } from "../../postgres/shared.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { hasPython } from "../../support/python.ts";
import { sqliteCatalog } from "../support/catalog-address.ts";
import { type LocalServer, startMiniStack, startRestCatalog } from "../support/servers.ts";
import { createTableBucket } from "../support/table-bucket.ts";

describe("Iceberg's SQL catalog in PostgreSQL", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await borrowPostgres();
  });
  afterAll(async () => await server?.stop());

  catalogSuite("PostgreSQL", async () => {
    const { connection } = await server.database();
    const warehouse = temporaryFolder();
    return {
      open: async () =>
        await open(
          { type: "postgres", connection, password: { env: "CATALOG_PASSWORD" }, warehouse },
          { CATALOG_PASSWORD: PASSWORD },
        ),
      dots: "TABLE_NAME_INVALID",
    };
  });
});

describe.skipIf(!hasIceberg())("the REST catalog of Iceberg's own tests", () => {
  const warehouse = mkdtempSync(join(tmpdir(), "millrace-"));
  let server: LocalServer;
  beforeAll(async () => {
    server = await startRestCatalog(warehouse);
  });
  afterAll(async () => {
    await server?.stop();
    rmSync(warehouse, { recursive: true, force: true });
  });

  catalogSuite("Iceberg's REST catalog", async () => ({
    open: async () => await open({ type: "rest", uri: `http://127.0.0.1:${server.port}` }),
  }));
});

describe.skipIf(!hasIceberg())("a SQL catalog that Java has open, too", () => {
  it("Java and Millrace commit to a table of SQLite in turns, and each creates tables for the other", async () => {
    const folder = temporaryFolder();
    const own = await openSqlite(folder);
    const mine = { namespace: ["shop", "eu"], name: "orders" };
    await own.createTable(mine, NEW_TABLE);
    const java = await startRestCatalog(folder, sqliteCatalog(folder));
    try {
      const theirs = await open({ type: "rest", uri: `http://127.0.0.1:${java.port}` });
      const other = { namespace: ["web"], name: "clicks" };
      await theirs.createTable(other, NEW_TABLE);
      for (const table of [mine, other])
        for (let id = 1n; id <= 6n; id++) {
          const catalog = id % 2n === 0n ? own : theirs;
          const now = await loaded(catalog, table);
          expect(await catalog.commitTable(table, now, appendTo(now, id))).toEqual({ outcome: "committed" });
          const ids = (await loaded(own, table)).metadata.snapshots.map((each) => each["snapshot-id"]);
          expect(ids).toHaveLength(Number(id));
        }
      const stale = await loaded(own, mine);
      await theirs.commitTable(mine, stale, appendTo(stale, 7n));
      expect((await own.commitTable(mine, stale, appendTo(stale, 8n))).outcome).toBe("conflict");
    } finally {
      await java.stop();
    }
  });
});

describe.skipIf(!hasPython)("S3 Tables as MiniStack has it", () => {
  const tableBucketArn = "arn:aws:s3tables:us-east-1:000000000000:bucket/lake";
  let server: LocalServer;
  beforeAll(async () => {
    // The AWS SDK reads its credentials from the environment of the process.
    vi.stubEnv("AWS_ACCESS_KEY_ID", "test");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "test");
    server = await startMiniStack();
    await createTableBucket(server.port, "lake");
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await server?.stop();
  });

  catalogSuite("S3 Tables in MiniStack", async () => ({
    open: async () =>
      await open({ type: "s3tables", tableBucketArn, uri: `http://127.0.0.1:${server.port}/iceberg` }),
    isFlat: true,
    hasNestedNamespaces: false,
  }));
});
