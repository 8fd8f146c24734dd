import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, vi } from "vitest";
import { runtime } from "../../../local/home.ts";
import { hasIceberg } from "../../../scripts/setup-iceberg.ts";
import { SigV4 } from "../../../shared/connectors/iceberg/catalog/rest/sigv4.ts";
import { catalogSuite } from "../../connectors/iceberg/catalog/catalog.suite.ts";
import { open } from "../../connectors/iceberg/catalog/open.ts";
import { PASSWORD, type PostgresServer } from "../../postgres/databases.ts";
import { borrowPostgres } from "../../postgres/shared.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { hasPython } from "../../support/python.ts";
import { type LocalServer, startMiniStack, startRestCatalog } from "../support/servers.ts";

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

async function createTableBucket(port: number, name: string): Promise<void> {
  const url = new URL(`http://127.0.0.1:${port}/buckets`);
  const body = JSON.stringify({ name });
  const signer = new SigV4({ service: "s3tables", region: "us-east-1" }, runtime);
  const headers = await signer.headers({
    method: "PUT",
    url,
    headers: { "content-type": "application/json" },
    body,
  });
  const response = await fetch(url, { method: "PUT", headers, body });
  if (!response.ok) throw new Error(`MiniStack answered ${response.status}: ${await response.text()}`);
}
