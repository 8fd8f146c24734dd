import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasIceberg } from "../../scripts/setup-iceberg.ts";
import { recordBatchOf } from "../../shared/arrow/record-batches.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import { hasPython } from "../support/python.ts";
import { type CatalogAddress, restCatalog } from "./support/catalog-address.ts";
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
});
