import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasIceberg } from "../../scripts/setup-iceberg.ts";
import { recordBatchOf } from "../../shared/arrow/record-batches.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import type { PostgresServer } from "../postgres/databases.ts";
import { BREAKS, PostgresProxy } from "../postgres/proxy.ts";
import { borrowPostgres } from "../postgres/shared.ts";
import { temporaryFolder } from "../support/folder.ts";
import { hasPython } from "../support/python.ts";
import { type CatalogAddress, postgresCatalog, restCatalog } from "./support/catalog-address.ts";
import { FAULTS, FaultProxy, type ProxiedRequest } from "./support/fault-proxy.ts";
import { PythonReaders } from "./support/readers.ts";
import { type LocalServer, startRestCatalog } from "./support/servers.ts";
import { IcebergStream } from "./support/stream.ts";
import { suiteFolder } from "./support/suite-folder.ts";

const SCHEMA = parseDdl("id bigint, word string");
const rowsOf = (batchId: number) => [10 * batchId, 10 * batchId + 1].map((id) => [id, `w${id}`]);
const tasksOf = (batchId: number) => rowsOf(batchId).map((row) => [recordBatchOf(SCHEMA, [row])]);

/** True for the request that commits to a table. */
const isCommit = ({ method, url }: ProxiedRequest) => method === "POST" && /\/tables\/[^/]+$/.test(url);
const isCreation = ({ method, url }: ProxiedRequest) => method === "POST" && url.endsWith("/tables");

/** The statements of PostgreSQL that make up a commit. */
const STATEMENTS = ["UPDATE", "COMMIT"] as const;
/** Time limits that end a test soon. */
const SHORT = { connectSeconds: 2, statementSeconds: 2, lockSeconds: 1 };

/** Returns a condition that is true for the message that ends a statement of a commit. */
function reaches(statement: (typeof STATEMENTS)[number]): (message: string) => boolean {
  let hasUpdate = false;
  return (message) => {
    const isEnd = message.startsWith(statement === "UPDATE" ? "S" : "Q");
    const isReached = hasUpdate && isEnd && (statement === "UPDATE" || message.includes("COMMIT"));
    hasUpdate ||= message.includes("UPDATE iceberg_tables");
    return isReached;
  };
}

describe.skipIf(!hasPython || !hasIceberg())("a catalog behind a bad network", () => {
  let python: PythonReaders;
  beforeAll(() => {
    python = new PythonReaders();
  });
  afterAll(() => python.stop());

  /** Expects each row of batches 0 to `last` once, in one snapshot a batch. */
  async function expectOnce(catalog: CatalogAddress, name: string, last: number): Promise<void> {
    const rows = await python.read(catalog, name);
    const ids = rows.map(({ id }) => Number(id)).sort((a, b) => a - b);
    const expected = Array.from({ length: last + 1 }, (_, batchId) =>
      rowsOf(batchId).map(([id]) => id),
    ).flat();
    expect(ids).toEqual(expected);
    expect((await python.describe(catalog, name)).snapshots).toHaveLength(last + 1);
  }

  describe("REST", () => {
    let server: LocalServer;
    let direct: CatalogAddress;
    const folder = suiteFolder();
    let tables = 0;
    beforeAll(async () => {
      server = await startRestCatalog(folder);
      direct = restCatalog(server.port);
    });
    afterAll(() => server.stop());

    for (const fault of FAULTS) {
      it(`A batch whose commit meets the fault "${fault}" has each row once, and a replay adds nothing`, async () => {
        const name = `shop.t${tables++}`;
        let isArmed = false;
        const proxy = await FaultProxy.start(server.port, (request) => {
          if (!isArmed || !isCommit(request)) return undefined;
          isArmed = false;
          return fault;
        });
        try {
          const stream = new IcebergStream({ table: name, catalog: restCatalog(proxy.port).millrace });
          await stream.write(SCHEMA, tasksOf(0), { batchId: 0 });
          isArmed = true;
          const { recorded, messages } = await stream.write(SCHEMA, tasksOf(1), { batchId: 1 });
          expect(proxy.seen.filter((request) => request.fault === fault)).toHaveLength(1);
          await proxy.lateRequests();
          await expectOnce(direct, name, 1);
          await stream.commit(recorded, SCHEMA, messages, { batchId: 1, attempt: 2 });
          await stream.write(SCHEMA, tasksOf(2), { batchId: 2 });
          await expectOnce(direct, name, 2);
        } finally {
          await proxy.stop();
        }
      });
    }

    it("A commit that lands after the batch was committed again, and after the next batch, adds nothing", async () => {
      const name = `shop.t${tables++}`;
      let late = 0;
      const proxy = await FaultProxy.start(
        server.port,
        (request) => (isCommit(request) && late-- > 0 ? "late landing" : undefined),
        1500,
      );
      try {
        const stream = new IcebergStream({ table: name, catalog: restCatalog(proxy.port).millrace });
        await stream.write(SCHEMA, tasksOf(0), { batchId: 0 });
        late = 1;
        await stream.write(SCHEMA, tasksOf(1), { batchId: 1 });
        await stream.write(SCHEMA, tasksOf(2), { batchId: 2 });
        await proxy.lateRequests();
        await expectOnce(direct, name, 2);
      } finally {
        await proxy.stop();
      }
    });

    for (const fault of FAULTS) {
      it(`A table whose creation meets the fault "${fault}" is created once and gets each row once`, async () => {
        const name = `shop.t${tables++}`;
        let isArmed = true;
        const proxy = await FaultProxy.start(server.port, (request) => {
          if (!isArmed || !isCreation(request)) return undefined;
          isArmed = false;
          return fault;
        });
        try {
          const stream = new IcebergStream({ table: name, catalog: restCatalog(proxy.port).millrace });
          // The creation may fail: then the run plans the batch again, as after any error.
          const recorded = await stream.plan(SCHEMA).catch(() => stream.plan(SCHEMA));
          await proxy.lateRequests();
          const messages = await stream.stage(recorded, SCHEMA, tasksOf(0), { batchId: 0 });
          await stream.commit(recorded, SCHEMA, messages, { batchId: 0 });
          expect(isArmed).toBe(false);
          await expectOnce(direct, name, 0);
        } finally {
          await proxy.stop();
        }
      });
    }
  });

  describe("PostgreSQL", () => {
    let server: PostgresServer;
    beforeAll(async () => {
      server = await borrowPostgres();
    });
    afterAll(() => server.stop());

    for (const statement of STATEMENTS) {
      for (const kind of BREAKS) {
        it(`A batch whose ${statement} meets the fault "${kind}" has each row once, and a replay adds nothing`, async () => {
          const db = await server.database();
          const folder = temporaryFolder();
          const isReached = reaches(statement);
          let isArmed = false;
          const proxy = await PostgresProxy.start(server.port, {
            kind,
            delay: 300,
            isBroken: (message) => isArmed && isReached(message),
          });
          const direct = postgresCatalog(db, folder);
          const connection = { ...db.connection, port: proxy.port };
          const runtime = { env: { ...process.env, ...db.env } };
          const catalog = { ...postgresCatalog({ connection }, folder).millrace, ...SHORT };
          const stream = new IcebergStream({ table: "shop.orders", catalog }, { runtime });
          await stream.write(SCHEMA, tasksOf(0), { batchId: 0 });
          isArmed = true;
          const recorded = await stream.plan(SCHEMA);
          const messages = await stream.stage(recorded, SCHEMA, tasksOf(1), { batchId: 1 });
          // The server may hold the lock of a lost transaction. Then the next run tries again.
          const givenUp = setTimeout(() => proxy.stop(), 2000);
          await stream.commit(recorded, SCHEMA, messages, { batchId: 1 }).catch((error: unknown) => {
            expect(error).toMatchObject({ retryable: true });
          });
          expect(proxy.broke).toBe(true);
          clearTimeout(givenUp);
          proxy.stop();
          const next = new IcebergStream({ table: "shop.orders", catalog: direct.millrace }, { runtime });
          await next.commit(recorded, SCHEMA, messages, { batchId: 1, attempt: 2 });
          await expectOnce(direct, "shop.orders", 1);
          await next.commit(recorded, SCHEMA, messages, { batchId: 1, attempt: 3 });
          await next.write(SCHEMA, tasksOf(2), { batchId: 2 });
          await expectOnce(direct, "shop.orders", 2);
        });
      }
    }
  });
});
