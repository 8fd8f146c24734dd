import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { recordBatchOf } from "../../shared/arrow/record-batches.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import { hasPython } from "../support/python.ts";
import type { CatalogAddress } from "./support/catalog-address.ts";
import { ownRows } from "./support/own-table.ts";
import { PythonReaders, sorted } from "./support/readers.ts";
import { type LocalServer, startMiniStack } from "./support/servers.ts";
import { IcebergStream } from "./support/stream.ts";
import { createTableBucket } from "./support/table-bucket.ts";

const ARN = "arn:aws:s3tables:us-east-1:000000000000:bucket/lake";
const SCHEMA = parseDdl("id bigint, word string");
const WIDER = parseDdl("id bigint, word string, price decimal(9,2)");

describe.skipIf(!hasPython)("a table in S3 Tables as MiniStack has it", () => {
  let server: LocalServer;
  let python: PythonReaders;
  beforeAll(async () => {
    server = await startMiniStack();
    vi.stubEnv("AWS_ACCESS_KEY_ID", "test");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "test");
    vi.stubEnv("AWS_REGION", "us-east-1");
    vi.stubEnv("AWS_ENDPOINT_URL", `http://127.0.0.1:${server.port}`);
    await createTableBucket(server.port, "lake");
    python = new PythonReaders();
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await python?.stop();
    await server?.stop();
  });

  it("Batches, a new column and a replay are equal in pyiceberg, DuckDB and Millrace", async () => {
    const endpoint = `http://127.0.0.1:${server.port}`;
    const catalog = { type: "s3tables", tableBucketArn: ARN, uri: `${endpoint}/iceberg` } as const;
    const options = { table: "shop.orders", catalog };
    const stream = new IcebergStream(options, { onSchemaChange: "evolve" });
    const first = await stream.write(SCHEMA, [[recordBatchOf(SCHEMA, [[1, "one"]])]], { batchId: 0 });
    await stream.commit(first.recorded, SCHEMA, first.messages, { batchId: 0, attempt: 2 });
    const rows = [recordBatchOf(WIDER, [[2, null, "-1.50"]])];
    const second = await stream.write(WIDER, [rows], { batchId: 1 });
    await stream.commit(second.recorded, WIDER, second.messages, { batchId: 1, attempt: 2 });
    const expected = [
      { id: 1, word: "one", price: null },
      { id: 2, word: null, price: "-1.50" },
    ];
    expect(sorted(await ownRows(options))).toEqual(expected);
    const address: CatalogAddress = {
      name: "lake",
      millrace: catalog,
      pyiceberg: {
        type: "rest",
        uri: catalog.uri,
        warehouse: ARN,
        "s3.endpoint": endpoint,
        "s3.access-key-id": "test",
        "s3.secret-access-key": "test",
        "s3.region": "us-east-1",
      },
      spark: {},
    };
    expect(sorted(await python.read(address, "shop.orders"))).toEqual(expected);
    const { metadata, snapshots } = await python.describe(address, "shop.orders");
    expect(snapshots).toHaveLength(2);
    const secret = `KEY_ID 'test', SECRET 'test', REGION 'us-east-1', ENDPOINT '127.0.0.1:${server.port}'`;
    const setup = [`CREATE SECRET (TYPE s3, ${secret}, USE_SSL false, URL_STYLE 'path')`];
    const found = await python.sql([`SELECT * FROM iceberg_scan('${metadata}')`], setup);
    expect(sorted(found)).toEqual(expected);
  });
});
