import { CreateBucketCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { PASSWORD, type PostgresServer } from "../../postgres/databases.ts";
import { startPostgres } from "../../postgres/server.ts";
import { runPython } from "../../support/python.ts";
import { forwardCatalog } from "../catalog-port.ts";
import { s3 } from "../clients.ts";
import { Control } from "../control.ts";
import { type DeployedPipeline, deployed } from "../deployed.ts";
import { committed, ONCE, once, upTo } from "./pipelines.ts";

/**
 * An Iceberg table, deployed: its catalog is in PostgreSQL and its files are in a bucket of S3.
 * pyiceberg reads it.
 */

const BUCKET = "millrace-tests-iceberg";

let control: Control;
let postgres: PostgresServer;
let catalog: { close(): Promise<void> };
let iceberg: DeployedPipeline;

beforeAll(async () => {
  control = await Control.start();
  postgres = await startPostgres();
  catalog = await forwardCatalog(postgres.port);
  await s3.send(
    new CreateBucketCommand({
      Bucket: BUCKET,
      CreateBucketConfiguration: { LocationConstraint: "eu-central-1" },
    }),
  );
  iceberg = (await deployed("MillraceTests")).pipeline("iceberg");
});

afterAll(async () => {
  await catalog.close();
  await postgres.stop();
  await control.close();
});

beforeEach(async () => {
  control.reset();
  control.available = 8;
});

const READ = `
import json, os, sys
from urllib.parse import quote
from pyiceberg.catalog import load_catalog
port, password = sys.argv[1], sys.argv[2]
table = load_catalog("millrace", **{
    "type": "sql", "uri": "postgresql+psycopg2://postgres:%s@127.0.0.1:%s/postgres" % (quote(password, safe=""), port),
    "warehouse": "s3://${BUCKET}", "s3.endpoint": os.environ["AWS_ENDPOINT_URL"],
    "s3.access-key-id": "test", "s3.secret-access-key": "test", "s3.region": "eu-central-1",
}).load_table("shop.numbers")
rows = table.scan().to_arrow()
print(json.dumps({"numbers": sorted(rows["n"].to_pylist()), "snapshots": len(table.snapshots())}))
`;

/** Returns the numbers in the table, sorted; one that is there twice, twice. */
function landed(): { readonly numbers: readonly number[]; readonly snapshots: number } {
  return runPython(READ, [String(postgres.port), PASSWORD]);
}

describe("a deployed pipeline into an Iceberg table", () => {
  it("Each row is read once by another program, whatever is killed on the way", async () => {
    control.deed = once("die", (call) => call.call === "staged" && call.partition === 2);
    expect(await iceberg.execute(ONCE)).toMatchObject(committed());
    expect(landed()).toEqual({ numbers: upTo(8), snapshots: 1 });

    // A reset would end the pipeline's incarnation.
    for (const [i, call] of (["before commit", "after commit"] as const).entries()) {
      const batchId = i + 1;
      control.available = 8 * (batchId + 1);
      control.deed = once("die", (each) => each.call === call && each.batchId === batchId);
      const first = await iceberg.execute(ONCE);
      if (first.status !== "SUCCEEDED")
        expect(await iceberg.execute(ONCE)).toMatchObject({ status: "SUCCEEDED" });
      const tried = control.of("before commit").filter((each) => each.batchId === batchId);
      expect(tried.length).toBeGreaterThan(1);
      expect(landed()).toEqual({ numbers: upTo(8 * (batchId + 1)), snapshots: batchId + 1 });
    }
    const { Contents = [] } = await s3.send(
      new ListObjectsV2Command({ Bucket: BUCKET, Prefix: "shop/numbers/data/iceberg/" }),
    );
    expect(Contents.length).toBeGreaterThanOrEqual(12);
  });
});
