import { randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CreateTableCommand, DynamoDBClient, ScanCommand } from "@aws-sdk/client-dynamodb";
import { CreateStreamCommand, KinesisClient, PutRecordCommand } from "@aws-sdk/client-kinesis";
import { unmarshall } from "@aws-sdk/util-dynamodb";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Memory, MemoryStream, memoryTable } from "../../shared/connectors/memory/index.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { type PipelineRun, runPipeline } from "../../shared/testing/run-pipeline.ts";
import type { Surroundings } from "../../shared/testing/surroundings.ts";
import { type LocalServer, startMiniStack } from "../iceberg/support/servers.ts";
import type { Database, PostgresServer } from "../postgres/databases.ts";
import { PASSWORD } from "../postgres/databases.ts";
import { borrowPostgres } from "../postgres/shared.ts";
import { serve } from "../support/api-server.ts";
import { temporaryFolder } from "../support/folder.ts";
import { hasPython } from "../support/python.ts";
import { ROOT } from "../support/root.ts";

const PAGE = readFileSync(join(ROOT, "docs/merge.md"), "utf8");

/** Imports an example of the page, with the sources in the place of the package. */
async function imported<T>(name: string, change: (code: string) => string = (code) => code): Promise<T> {
  const [, code] = PAGE.split(`\`\`\`ts\n// ${name}\n`);
  if (code === undefined) throw new Error(`the page has no example ${name}`);
  const own = (code.split("```")[0] ?? "")
    .replaceAll('from "millrace"', `from "${ROOT}/shared/index.ts"`)
    .replaceAll('from "millrace/write"', `from "${ROOT}/shared/contract/write/index.ts"`)
    .replaceAll(/from "millrace\/(connectors\/[a-z-]+)"/g, `from "${ROOT}/shared/$1/index.ts"`);
  const file = join(temporaryFolder(), name);
  writeFileSync(file, change(own));
  return (await import(file)) as T;
}

/** Returns the pipeline of an example. */
async function example(name: string, change?: (code: string) => string): Promise<Pipeline> {
  return (await imported<{ readonly default: Pipeline }>(name, change)).default;
}

/** Each run continues the one before. */
class Runs {
  readonly #pipeline: Pipeline;
  readonly #env: Readonly<Record<string, string>>;
  #last: PipelineRun | undefined;

  constructor(pipeline: Pipeline, env: Readonly<Record<string, string>> = {}) {
    this.#pipeline = pipeline;
    this.#env = env;
  }

  async run(now: number): Promise<void> {
    const after = this.#last === undefined ? {} : { after: this.#last };
    if (this.#last !== undefined) (this.#last.state.surroundings as Surroundings).now = now;
    this.#last = await runPipeline(this.#pipeline, { env: this.#env, now, ...after });
  }
}

const at = (time: string) => `2026-11-21T${time}.000Z`;
const changes = [
  { id: 1, name: "Ann", updated_at: at("10:00:00"), op: "insert" },
  { id: 2, name: "Bob", updated_at: at("10:00:00"), op: "insert" },
  { id: 1, name: "Anna", updated_at: at("12:00:00"), op: "update" },
  { id: 2, name: null, updated_at: at("12:00:00"), op: "delete" },
];
const CHANGES_DDL = "id bigint, name string, updated_at timestamp, op string";

describe("the examples of docs/merge.md in one process", () => {
  it("users.ts leaves the newest state of each user", async () => {
    const stream = new MemoryStream("changes", CHANGES_DDL);
    stream.addData(changes);
    await runPipeline(await example("users.ts"));
    expect(memoryTable("users").rows()).toEqual([{ id: 1, name: "Anna", updated_at: at("12:00:00") }]);
  });

  it("The commands of commands.ts leave the rows that the page says", async () => {
    const ddl = "item string NOT NULL, amount int, price decimal(10,2)";
    new MemoryStream("stock-before", ddl).addData([
      { item: "nails", amount: 100, price: "0.10" },
      { item: "hammer", amount: 3, price: "20.00" },
      { item: "saw", amount: null, price: null },
    ]);
    const before = pipeline("stock-before").read.format(Memory).options({ stream: "stock-before" });
    await runPipeline(before.write.format(Memory).options({ table: "stock" }).mode("append"));
    new MemoryStream("delivery", ddl).addData([
      { item: "hammer", amount: 2, price: "19.00" },
      { item: "glue", amount: 9, price: "4.50" },
    ]);
    const commands = await imported<Record<"removed" | "refilled" | "delivered", Pipeline>>("commands.ts");
    for (const command of [commands.removed, commands.refilled, commands.delivered])
      await runPipeline(command);
    expect(memoryTable("stock").rows()).toEqual([
      { item: "hammer", amount: 10, price: "19.00" },
      { item: "saw", amount: 0, price: null },
      { item: "glue", amount: 9, price: "4.50" },
    ]);
  });

  it("crm.ts sends the newest change of each user", async () => {
    const api = await serve(() => ({ json: {} }));
    new MemoryStream("changes", CHANGES_DDL).addData(changes);
    const { origin } = new URL(api.url);
    const made = await example("crm.ts", (code) => code.replace("https://crm.example.com", origin));
    await runPipeline(made, { env: { CRM_TOKEN: "secret" } });
    const asked = api.asked.toSorted((a, b) => a.method.localeCompare(b.method));
    expect(
      asked.map(({ method, url }) => `${method} ${url.pathname}${decodeURIComponent(url.search)}`),
    ).toEqual([`DELETE /v1/users/2?version=${at("12:00:00")}`, "PUT /v1/users/1"]);
    expect(asked[1]?.headers).toMatchObject({ "x-version": at("12:00:00"), authorization: "Bearer secret" });
  });
});

describe("the examples of docs/merge.md with PostgreSQL", () => {
  let server: PostgresServer;
  let database: Database;
  let env: Record<string, string>;
  beforeAll(async () => {
    server = await borrowPostgres();
    database = await server.database();
    env = warehouse(database);
  });
  afterAll(() => server.stop());

  it("products.ts keeps all states of each product, from a list that is read by time", async () => {
    const day = (n: number, time = "12:00:00") => `2026-11-0${n}T${time}Z`;
    let products = [
      { id: 1, name: "pen", price: "1.00", deleted: false, updated_at: day(1) },
      { id: 2, name: "ink", price: "2.00", deleted: false, updated_at: day(1) },
    ];
    const api = await serve(({ url }) => {
      const [from, before] = ["updated_from", "updated_before"].map((name) =>
        Date.parse(url.searchParams.get(name) ?? ""),
      );
      const isInside = ({ updated_at }: { updated_at: string }) =>
        Date.parse(updated_at) >= Number(from) && Date.parse(updated_at) < Number(before);
      return { json: { items: products.filter(isInside), next: null } };
    });
    const url = "https://shop.example.com/products";
    const runs = new Runs(await example("products.ts", (code) => code.replace(url, api.url)), env);
    await runs.run(Date.parse(day(2)));
    const [pen, ink] = products as [(typeof products)[0], (typeof products)[0]];
    products = [
      { ...pen, price: "1.50", updated_at: day(2, "13:00:00") },
      { ...ink, deleted: true, updated_at: day(2, "14:00:00") },
    ];
    await runs.run(Date.parse(day(3)));
    const states = `SELECT id, price, to_char("__START_AT" AT TIME ZONE 'UTC', 'DD HH24'),
      to_char("__END_AT" AT TIME ZONE 'UTC', 'DD HH24') FROM product_states ORDER BY 1, 3`;
    expect(await database.query(states)).toEqual([
      ["1", "1.00", "01 12", "02 13"],
      ["1", "1.50", "02 13", null],
      ["2", "2.00", "01 12", "02 14"],
    ]);
  });
});

describe.skipIf(!hasPython)("the examples of docs/merge.md that read Kinesis", () => {
  let aws: LocalServer;
  let server: PostgresServer;
  beforeAll(async () => {
    server = await borrowPostgres();
    aws = await startMiniStack("kinesis,dynamodb");
    vi.stubEnv("AWS_ACCESS_KEY_ID", "test");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "test");
    vi.stubEnv("AWS_REGION", "us-east-1");
    vi.stubEnv("AWS_ENDPOINT_URL", `http://127.0.0.1:${aws.port}`);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await aws.stop();
    await server.stop();
  });

  /** Puts records, all of one partition key, into a new stream. */
  async function put(StreamName: string, records: readonly object[]): Promise<void> {
    const client = new KinesisClient({});
    await client.send(new CreateStreamCommand({ StreamName, ShardCount: 1 }));
    for (const record of records) {
      const Data = Buffer.from(JSON.stringify(record));
      await client.send(new PutRecordCommand({ StreamName, PartitionKey: "key", Data }));
    }
    client.destroy();
  }

  it("debezium.ts leaves the rows of the table that Debezium watches", async () => {
    const database = await server.database();
    const row = (id: number, name: string) => ({ id, name, email: `${name}@example.com` });
    const envelope = (op: string, lsn: number, before: object | null, after: object | null) => ({
      before,
      after,
      source: { connector: "postgresql", lsn, table: "customers" },
      op,
      ts_ms: 1_764_000_000_000,
    });
    await put("shop.public.customers", [
      envelope("r", 100, null, row(1, "ann")),
      envelope("c", 110, null, row(2, "bob")),
      envelope("d", 130, row(2, "bob"), null),
      envelope("u", 140, row(1, "ann"), row(1, "anna")),
      // At least once, and late.
      envelope("c", 110, null, row(2, "bob")),
      envelope("c", 120, null, row(3, "cleo")),
    ]);
    const runs = new Runs(await example("debezium.ts"), warehouse(database));
    await runs.run(Date.now() + 60_000);
    expect(await database.query("SELECT id, name, email FROM customers ORDER BY id")).toEqual([
      ["1", "anna", "anna@example.com"],
      ["3", "cleo", "cleo@example.com"],
    ]);
  });

  it("orders-copy.ts leaves a copy of the table whose stream it reads", async () => {
    const client = new DynamoDBClient({});
    await client.send(
      new CreateTableCommand({
        TableName: "OrdersCopy",
        BillingMode: "PAY_PER_REQUEST",
        AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
        KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
      }),
    );
    const change = (eventName: string, time: number, id: string, total?: string) => ({
      awsRegion: "us-east-1",
      eventID: randomUUID(),
      eventName,
      userIdentity: null,
      recordFormat: "application/json",
      tableName: "Orders",
      dynamodb: {
        ApproximateCreationDateTime: 1_764_000_000_000_000 + time,
        ApproximateCreationDateTimePrecision: "MICROSECOND",
        Keys: { id: { S: id } },
        ...(total === undefined
          ? {}
          : { NewImage: { id: { S: id }, customer: { S: "c1" }, total: { N: total } } }),
        SizeBytes: 42,
      },
      eventSource: "aws:dynamodb",
    });
    await put("orders-changes", [
      change("INSERT", 1, "a", "9.5"),
      change("INSERT", 2, "b", "20"),
      change("REMOVE", 9, "b"),
      change("MODIFY", 5, "a", "10.25"),
      change("MODIFY", 3, "b", "21"),
    ]);
    await runPipeline(await example("orders-copy.ts"), { now: Date.now() + 60_000 });
    const { Items = [] } = await client.send(new ScanCommand({ TableName: "OrdersCopy" }));
    client.destroy();
    const rows = Items.map((item) => unmarshall(item)).filter(
      ({ _deleted, _millrace }) => !_deleted && !_millrace,
    );
    expect(rows.map(({ _sequence, ...row }) => row)).toEqual([{ id: "a", customer: "c1", total: 10.25 }]);
  });
});

/** Returns the environment of the examples that write to PostgreSQL. */
function warehouse({ name, connection: { user, host, port } }: Database): Record<string, string> {
  return { WAREHOUSE_URL: `postgres://${user}:${encodeURIComponent(PASSWORD)}@${host}:${port}/${name}` };
}
