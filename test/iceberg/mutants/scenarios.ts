import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openStore } from "../../../local/home.ts";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import type { CatalogOptions } from "../../../shared/connectors/iceberg/catalog/options.ts";
import type { IcebergOptions } from "../../../shared/connectors/iceberg/index.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { restCatalog, sqliteCatalog } from "../support/catalog-address.ts";
import { type ChooseFault, FaultProxy, type ProxiedRequest } from "../support/fault-proxy.ts";
import { expireSnapshots, metadataLocation, ownRows, rollBack, snapshotIds } from "../support/own-table.ts";
import { storeAround } from "../support/store-around.ts";
import { IcebergStream } from "../support/stream.ts";

/**
 * Short runs of the Iceberg sink, each with one fault. They return what is wrong afterwards. A
 * mutation removes a rule from the sink, and the scenario that is named for it must find it.
 */

export interface World {
  /** An empty folder. */
  readonly folder: string;
  /** The port of a REST catalog. */
  readonly restPort: number;
  /** A name that no other table has. */
  readonly table: string;
}

const SCHEMA = parseDdl("id bigint");
/** The rows of a batch. Those of another pipeline have greater ids. */
const rowsOf = (batchId: number, pipeline = "orders") =>
  [0, 1, 2].map((i) => [10 * batchId + i + (pipeline === "orders" ? 0 : 1000)]);
const tasksOf = (batchId: number, pipeline?: string) => [[recordBatchOf(SCHEMA, rowsOf(batchId, pipeline))]];

/** The batches that a table must have, by pipeline. */
type Batches = Readonly<Partial<Record<"orders" | "other", readonly number[]>>>;

/** Returns how the table differs from one that has these batches. */
async function differences(options: IcebergOptions, { orders = [], other = [] }: Batches): Promise<string[]> {
  const expected = [
    ...orders.map((batchId) => rowsOf(batchId)),
    ...other.map((batchId) => rowsOf(batchId, "other")),
  ].flatMap((rows) => rows.map(([id]) => Number(id)));
  const found = (await ownRows(options)).map(({ id }) => Number(id));
  const lost = expected.filter((id) => !found.includes(id));
  const doubled = found.filter((id, i) => found.indexOf(id) !== i);
  const foreign = found.filter((id) => !expected.includes(id));
  return [
    ...(lost.length > 0 ? [`rows are lost: ${lost.join(" ")}`] : []),
    ...(doubled.length > 0 ? [`rows are doubled: ${doubled.join(" ")}`] : []),
    ...(foreign.length > 0 ? [`rows came back: ${foreign.join(" ")}`] : []),
  ];
}

async function calm({ folder, restPort, table }: World): Promise<string[]> {
  const violations: string[] = [];
  const catalogs: readonly CatalogOptions[] = [
    sqliteCatalog(folder).millrace,
    restCatalog(restPort).millrace,
  ];
  for (const catalog of catalogs) {
    const options = { table, catalog };
    const stream = new IcebergStream(options);
    for (const batchId of [0, 1, 2]) await stream.write(SCHEMA, tasksOf(batchId), { batchId });
    violations.push(...(await differences(options, { orders: [0, 1, 2] })));
  }
  return violations;
}

async function replayAfterExpiry({ folder, table }: World): Promise<string[]> {
  const options = { table, catalog: sqliteCatalog(folder).millrace };
  const stream = new IcebergStream(options);
  const { recorded, messages } = await stream.write(SCHEMA, tasksOf(0), { batchId: 0 });
  await writeOther(options);
  await expireSnapshots(options, 1);
  const failed = await failureOf(stream.commit(recorded, SCHEMA, messages, { batchId: 0, attempt: 2 }));
  return [...failed, ...(await differences(options, { orders: [0], other: [0] }))];
}

async function replayWithoutMarkers({ folder, table }: World): Promise<string[]> {
  const options = { table, catalog: sqliteCatalog(folder).millrace };
  const stream = new IcebergStream(options);
  const { recorded, messages } = await stream.write(SCHEMA, tasksOf(0), { batchId: 0 });
  const path = fileURLToPath(await metadataLocation(options));
  const withoutMarkers = readFileSync(path, "utf8").replace(
    /"(millrace\.(?!created)[^"]*":)/g,
    '"dropped.$1',
  );
  writeFileSync(path, withoutMarkers);
  const failed = await failureOf(stream.commit(recorded, SCHEMA, messages, { batchId: 0, attempt: 2 }));
  return [...failed, ...(await differences(options, { orders: [0] }))];
}

/** Commits batch 2 through a proxy. `choose` is asked for each try to commit it. */
async function throughProxy({ restPort, table }: World, choose: ChooseFault): Promise<string[]> {
  const direct = new IcebergStream({ table, catalog: restCatalog(restPort).millrace });
  for (const batchId of [0, 1]) await direct.write(SCHEMA, tasksOf(batchId), { batchId });
  const isCommit = ({ method, url }: ProxiedRequest) => method === "POST" && /\/tables\/[^/]+$/.test(url);
  const proxy = await FaultProxy.start(restPort, (request) =>
    isCommit(request) ? choose(request) : undefined,
  );
  try {
    const stream = new IcebergStream({ table, catalog: restCatalog(proxy.port).millrace });
    return await failureOf(stream.write(SCHEMA, tasksOf(2), { batchId: 2 }));
  } finally {
    await proxy.stop();
  }
}

async function failureOf(work: Promise<unknown>): Promise<string[]> {
  try {
    await work;
    return [];
  } catch (error) {
    return [`the batch fails: ${error instanceof Error ? error.message : String(error)}`];
  }
}

/** Returns a function that returns `value` once, and then `undefined`. */
function once<T>(value: T): () => T | undefined {
  let left: T | undefined = value;
  return () => {
    const now = left;
    left = undefined;
    return now;
  };
}

async function lostAnswer(world: World): Promise<string[]> {
  const violations = await throughProxy(world, once("answer lost" as const));
  return [...violations, ...(await differences(inRest(world), { orders: [0, 1, 2] }))];
}

const inRest = ({ table, restPort }: World): IcebergOptions => ({
  table,
  catalog: restCatalog(restPort).millrace,
});

/** The table is rolled back after the batch was based on it, and before its own commit. */
async function overtakenByRollback(world: World): Promise<string[]> {
  const isFirst = once(true);
  const options = inRest(world);
  const violations = await throughProxy(world, async () => {
    const [first] = isFirst() ? await snapshotIds(options) : [];
    if (first !== undefined) await rollBack(options, first);
    return undefined;
  });
  return [...violations, ...(await differences(options, { orders: [0, 2] }))];
}

/** Another pipeline commits after the batch was based on the table, and before its own commit. */
async function overtakenInSqlite({ folder, table }: World): Promise<string[]> {
  const options = { table, catalog: sqliteCatalog(folder).millrace };
  await new IcebergStream(options).write(SCHEMA, tasksOf(0), { batchId: 0 });
  const isFirst = once(true);
  // The new metadata file is written just before the catalog is changed.
  const isNew = (key: string) => /^00002-.*metadata\.json$/.test(key.slice(key.lastIndexOf("/") + 1));
  const overtaken = (location: string) =>
    storeAround(openStore(location), async (key, body) => {
      if (isNew(key) && isFirst()) await writeOther(options);
      return await body();
    });
  const stream = new IcebergStream(options, { runtime: { openStore: overtaken } });
  const violations = await failureOf(stream.write(SCHEMA, tasksOf(1), { batchId: 1 }));
  return [...violations, ...(await differences(options, { orders: [0, 1], other: [0] }))];
}

async function writeOther(options: IcebergOptions): Promise<void> {
  await new IcebergStream(options, { pipeline: "other" }).write(SCHEMA, tasksOf(0, "other"), {
    batchId: 0,
  });
}

async function abortedAfterCommit({ folder, table }: World): Promise<string[]> {
  const options = { table, catalog: sqliteCatalog(folder).millrace };
  const stream = new IcebergStream(options);
  const { recorded, messages } = await stream.write(SCHEMA, tasksOf(0), { batchId: 0 });
  await stream.abort(recorded, SCHEMA, messages, { batchId: 0, commitTried: true });
  return await unlessUnreadable(options, [0]);
}

async function vacuumedWhileOpen({ folder, table }: World): Promise<string[]> {
  const options = { table, catalog: sqliteCatalog(folder).millrace };
  const stream = new IcebergStream(options);
  await stream.write(SCHEMA, tasksOf(0), { batchId: 0 });
  const recorded = await stream.plan(SCHEMA);
  const messages = await stream.stage(recorded, SCHEMA, tasksOf(1), { batchId: 1 });
  await stream.vacuum({ batchId: 1, attempt: 1, aborted: false, lastTriedAttempt: 1 });
  await stream.commit(recorded, SCHEMA, messages, { batchId: 1 });
  return await unlessUnreadable(options, [0, 1]);
}

async function unlessUnreadable(options: IcebergOptions, orders: readonly number[]): Promise<string[]> {
  try {
    return await differences(options, { orders });
  } catch (error) {
    return [`the table cannot be read: ${error instanceof Error ? error.message : String(error)}`];
  }
}

export const SCENARIOS = {
  "batches without a fault": calm,
  "a batch that is committed again after its snapshot has expired": replayAfterExpiry,
  "a batch that is committed again in a catalog that keeps no markers": replayWithoutMarkers,
  "a commit whose answer is lost": lostAnswer,
  "a commit in REST that a rollback overtakes": overtakenByRollback,
  "a commit in SQLite that another pipeline overtakes": overtakenInSqlite,
  "an abort after a commit that landed": abortedAfterCommit,
  "a vacuum before the commit of a staged batch": vacuumedWhileOpen,
} satisfies Record<string, (world: World) => Promise<string[]>>;
export type ScenarioName = keyof typeof SCENARIOS;
