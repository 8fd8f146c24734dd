import { AccountRootPrincipal, Role } from "aws-cdk-lib/aws-iam";
import { describe, expect, it } from "vitest";
import type { StepName } from "../../infra/folders.ts";
import type { IcebergOptions } from "../../shared/connectors/iceberg/index.ts";
import { PACKAGE } from "../support/package.ts";
import { isAllowed } from "./rights.ts";
import { ACCOUNT, REGION, Synthesized } from "./synthesize.ts";

const BUCKET = `arn:aws:s3tables:${REGION}:${ACCOUNT}:bucket/lake`;
const STEPS: readonly StepName[] = ["Plan", "Write", "Finalize", "Vacuum"];

function synthesized(options: Omit<IcebergOptions, "table">): Synthesized {
  return new Synthesized({
    entry: `${PACKAGE}/test/infra/iceberg.pipeline.ts`,
    pipelineName: undefined as never,
    environment: { ICEBERG: JSON.stringify(options) },
  });
}

/** Returns the steps that may perform the action on the resource. */
async function allowed(
  stack: Synthesized,
  action: string,
  resource: string,
  context: Readonly<Record<string, string>> = {},
): Promise<StepName[]> {
  const may = await Promise.all(
    STEPS.map((step) => isAllowed(stack.statements(step), action, resource, context)),
  );
  return STEPS.filter((_, i) => may[i]);
}

describe("an Iceberg table in a bucket of S3 Tables", () => {
  const stack = synthesized({ catalog: { type: "s3tables", tableBucketArn: BUCKET } });
  const table = `${BUCKET}/table/0a1b2c3d`;
  const own = { "s3tables:namespace": "shop", "s3tables:tableName": "orders" };

  it.each([
    ["GetTableMetadataLocation", STEPS],
    ["UpdateTableMetadataLocation", ["Plan", "Finalize"]],
    ["PutTableData", ["Plan", "Write", "Finalize"]],
    ["DeleteTable", []],
  ] as const)("Its table allows %s to %j and to no other step", async (action, steps) => {
    expect(await allowed(stack, `s3tables:${action}`, table, own)).toEqual(steps);
  });

  it("No step may touch another table of the bucket", async () => {
    for (const other of [
      { ...own, "s3tables:tableName": "users" },
      { ...own, "s3tables:namespace": "hr" },
    ])
      expect(await allowed(stack, "s3tables:PutTableData", table, other)).toEqual([]);
  });

  it("A reader gets the right to read the table, and no other", async () => {
    const read = synthesized({ catalog: { type: "s3tables", tableBucketArn: BUCKET } });
    read.pipeline.grantRead(
      new Role(read.stack, "OrdersReaderRole", { assumedBy: new AccountRootPrincipal() }),
    );
    const statements = read.statements("Reader");
    const may = (action: string) => isAllowed(statements, `s3tables:${action}`, table, own);
    expect(await may("GetTableData")).toBe(true);
    expect(await may("PutTableData")).toBe(false);
  });

  it("Only the step that plans may create the namespace, and a table in it", async () => {
    expect(await allowed(stack, "s3tables:CreateNamespace", BUCKET)).toEqual(["Plan"]);
    const create = (namespace: string) =>
      allowed(stack, "s3tables:CreateTable", BUCKET, { "s3tables:namespace": namespace });
    expect(await create("shop")).toEqual(["Plan"]);
    expect(await create("hr")).toEqual([]);
    expect(await allowed(stack, "s3tables:GetTableBucket", BUCKET)).toEqual(STEPS);
  });
});

describe("an Iceberg table in the Glue Data Catalog", () => {
  const stack = synthesized({ catalog: { type: "glue" }, location: "s3://lake/shop/orders" });
  const glue = (resource: string) => `arn:aws:glue:${REGION}:${ACCOUNT}:${resource}`;

  it("Plan may create the table, Finalize may change it, and tasks need no right to it", async () => {
    const table = glue("table/shop/orders");
    expect(await allowed(stack, "glue:CreateTable", table)).toEqual(["Plan"]);
    expect(await allowed(stack, "glue:UpdateTable", table)).toEqual(["Finalize"]);
    expect(await allowed(stack, "glue:GetTable", table)).toEqual(["Plan", "Finalize", "Vacuum"]);
    expect(await allowed(stack, "glue:GetTable", glue("table/shop/users"))).toEqual([]);
    expect(await allowed(stack, "glue:GetCatalog", glue("catalog"))).toEqual(["Plan", "Finalize", "Vacuum"]);
  });

  it.each([
    ["GetObject", "metadata/00001.metadata.json", STEPS],
    ["PutObject", "metadata/00001.metadata.json", ["Plan", "Finalize"]],
    ["DeleteObject", "metadata/00001.metadata.json", ["Finalize", "Vacuum"]],
    ["PutObject", "data/orders/i/1.parquet", ["Write"]],
    ["DeleteObject", "data/orders/i/1.parquet", ["Write", "Finalize", "Vacuum"]],
    ["PutObject", "data/users/i/1.parquet", []],
    ["DeleteObject", "data/users/i/1.parquet", []],
    ["GetObject", "data/orders/i/1.parquet", []],
  ] as const)("The action s3:%s on %s is allowed to %j and to no other step", async (action, key, steps) => {
    expect(await allowed(stack, `s3:${action}`, `arn:aws:s3:::lake/shop/orders/${key}`)).toEqual(steps);
  });

  it("Each step may list the table's folder, and only that", async () => {
    const list = (prefix: string) =>
      allowed(stack, "s3:ListBucket", "arn:aws:s3:::lake", { "s3:prefix": prefix });
    expect(await list("shop/orders/data/orders/")).toEqual(STEPS);
    expect(await list("shop/users/data/")).toEqual([]);
  });
});

describe("an Iceberg table whose rights are unknown", () => {
  it("A table in a SQLite catalog is refused, because a function has no disk that stays", () => {
    expect(() => synthesized({})).toThrow(/SQLite file has no place on AWS/);
  });

  it("A table whose files have no known location is refused", () => {
    expect(() => synthesized({ catalog: { type: "glue" } })).toThrow(/have no location/);
  });

  it("A REST catalog that vends credentials needs no rights to files", async () => {
    const stack = synthesized({ catalog: { type: "rest", uri: "https://catalog.example.com" } });
    const bucket = "arn:aws:s3:::anything/metadata/x";
    expect(await allowed(stack, "s3:GetObject", bucket)).toEqual([]);
  });
});
