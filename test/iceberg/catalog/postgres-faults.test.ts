import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { IcebergCatalog } from "../../../shared/connectors/iceberg/catalog/catalog.ts";
import { appendTo, loaded, NEW_TABLE } from "../../connectors/iceberg/catalog/catalog.suite.ts";
import { open } from "../../connectors/iceberg/catalog/open.ts";
import { type Database, PASSWORD, type PostgresServer } from "../../postgres/databases.ts";
import { type Break, PostgresProxy } from "../../postgres/proxy.ts";
import { borrowPostgres } from "../../postgres/shared.ts";
import { failure } from "../../support/api-server.ts";
import { temporaryFolder } from "../../support/folder.ts";

const ORDERS = { namespace: ["shop"], name: "orders" };

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(async () => await server?.stop());

interface Limits {
  readonly port?: number;
  readonly password?: string;
  readonly statementSeconds?: number;
  readonly lockSeconds?: number;
}

async function opened(
  { connection }: Database,
  warehouse: string,
  { port = connection.port, password = PASSWORD, ...limits }: Limits = {},
): Promise<IcebergCatalog> {
  const env = { CATALOG_PASSWORD: password };
  const secret = { env: "CATALOG_PASSWORD" };
  return await open(
    { type: "postgres", connection: { ...connection, port }, password: secret, warehouse, ...limits },
    env,
  );
}

describe("a catalog in PostgreSQL whose connection breaks", () => {
  const BROKEN: readonly (readonly [string, Break, boolean])[] = [
    ["UPDATE iceberg_tables", "drop before", false],
    ["UPDATE iceberg_tables", "drop after", false],
    ["UPDATE iceberg_tables", "swallow answer", false],
    ["COMMIT\0", "drop before", false],
    ["COMMIT\0", "reset before", false],
    ["COMMIT\0", "drop after", true],
    ["COMMIT\0", "swallow answer", true],
  ];
  for (const [statement, kind, landed] of BROKEN)
    it(`The outcome of a commit is unknown if its ${statement.replace("\0", "")} meets: ${kind}`, async () => {
      const database = await server.database();
      const warehouse = temporaryFolder();
      const catalog = await opened(database, warehouse);
      const made = await catalog.createTable(ORDERS, NEW_TABLE);
      const proxy = await PostgresProxy.start(server.port, {
        kind,
        isBroken: (message) => message.includes(statement),
      });
      const broken = await opened(database, warehouse, { port: proxy.port, statementSeconds: 1 });
      expect((await broken.commitTable(ORDERS, made, appendTo(made, 1n))).outcome).toBe("unknown");
      expect(proxy.broke).toBe(true);
      const { metadata } = await loaded(catalog, ORDERS);
      expect(metadata.snapshots).toHaveLength(landed ? 1 : 0);
      const again = await loaded(catalog, ORDERS);
      if (!landed)
        expect(await catalog.commitTable(ORDERS, again, appendTo(again, 1n))).toEqual({
          outcome: "committed",
        });
    });

  it("A creation whose answer was lost returns the table that it made", async () => {
    const database = await server.database();
    let commits = 0;
    const proxy = await PostgresProxy.start(server.port, {
      kind: "drop after",
      // The first write creates the namespace, and the second one inserts the table's row.
      isBroken: (message) => message.includes("COMMIT\0") && ++commits === 3,
    });
    const catalog = await opened(database, temporaryFolder(), { port: proxy.port });
    const made = await catalog.createTable(ORDERS, NEW_TABLE);
    expect(proxy.broke).toBe(true);
    expect((await loaded(catalog, ORDERS)).metadata["table-uuid"]).toBe(made.metadata["table-uuid"]);
  });
});

describe("a catalog in PostgreSQL that refuses", () => {
  it("A wrong password is an error of the credentials, without the password", async () => {
    const database = await server.database();
    const catalog = await opened(database, temporaryFolder(), { password: "wrong-password" });
    const error = await failure(() => catalog.loadTable(ORDERS));
    expect(error).toMatchObject({ code: "CATALOG_DENIED", retryable: false });
    expect(JSON.stringify(error.toRecord())).not.toContain("wrong-password");
  });

  it("A row that another session holds for too long makes the commit a conflict", async () => {
    const database = await server.database();
    const catalog = await opened(database, temporaryFolder(), { lockSeconds: 0.2 });
    const made = await catalog.createTable(ORDERS, NEW_TABLE);
    const other = await database.session();
    await other.query("BEGIN; UPDATE iceberg_tables SET previous_metadata_location = NULL");
    const outcome = await catalog.commitTable(ORDERS, made, appendTo(made, 1n));
    await other.query("ROLLBACK");
    await other.end();
    expect(outcome).toMatchObject({ outcome: "conflict", reason: expect.stringContaining("55P03") });
    expect(await catalog.commitTable(ORDERS, made, appendTo(made, 1n))).toEqual({ outcome: "committed" });
  });

  it("A catalog of version V0 in PostgreSQL is read and written", async () => {
    const database = await server.database();
    const catalog = await opened(database, temporaryFolder());
    await catalog.createTable(ORDERS, NEW_TABLE);
    await database.query("ALTER TABLE iceberg_tables DROP COLUMN iceberg_type");
    const table = await loaded(catalog, ORDERS);
    expect(await catalog.commitTable(ORDERS, table, appendTo(table, 1n))).toEqual({ outcome: "committed" });
    await catalog.createTable({ ...ORDERS, name: "more" }, NEW_TABLE);
    expect(await database.query("SELECT table_name FROM iceberg_tables ORDER BY 1")).toEqual([
      ["more"],
      ["orders"],
    ]);
  });

  it("A user who may only read finds tables, and cannot commit", async () => {
    const database = await server.database();
    const warehouse = temporaryFolder();
    const made = await (await opened(database, warehouse)).createTable(ORDERS, NEW_TABLE);
    const role = `reader_${database.name.slice(-12)}`;
    await database.query(
      `CREATE ROLE ${role} LOGIN PASSWORD 'read'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role}`,
    );
    const reader = await open(
      {
        type: "postgres",
        url: `postgres://${role}@127.0.0.1:${server.port}/${database.name}`,
        password: { env: "READER" },
        warehouse,
      },
      { READER: "read" },
    );
    expect((await loaded(reader, ORDERS)).metadata["table-uuid"]).toBe(made.metadata["table-uuid"]);
    const error = await failure(() => reader.commitTable(ORDERS, made, appendTo(made, 1n)));
    expect(error).toMatchObject({ code: "CATALOG_DENIED", retryable: false });
    await database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  });
});
