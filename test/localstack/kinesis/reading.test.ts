import { randomUUID } from "node:crypto";
import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  ExpiredIteratorException,
  type GetRecordsCommandOutput,
  KinesisClient,
  ListShardsCommand,
  MergeShardsCommand,
  ProvisionedThroughputExceededException,
  PutRecordsCommand,
  SplitShardCommand,
} from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { describe, expect, it } from "vitest";
import { runtime as realRuntime } from "../../../local/home.ts";
import { toRecordBatches } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { Kinesis, type KinesisOptions } from "../../../shared/connectors/kinesis/index.ts";
import type { StreamOffset } from "../../../shared/connectors/kinesis/shards-plan.ts";
import { Stream } from "../../../shared/connectors/kinesis/stream.ts";
import { KinesisReader } from "../../../shared/connectors/kinesis/stream-reader.ts";
import type { DataSourceRuntime, TaskContext } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { checkSource } from "../../../shared/testing/index.ts";
import { withStores } from "../../support/runtime.ts";
import { CollectingWorld } from "../collecting.ts";

type Row = Record<string, unknown>;
type Middleware = (
  commandName: string,
  next: () => Promise<GetRecordsCommandOutput>,
  input: Record<string, unknown>,
) => Promise<unknown>;

// LocalStack breaks off larger answers over HTTP/2.
const requestHandler = new NodeHttpHandler();
const client = new KinesisClient({ requestHandler });
const runtime = withStores(realRuntime);
const task = { signal: new AbortController().signal } as TaskContext;
const json = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
const JSON_SCHEMA = "id bigint NOT NULL, key string NOT NULL";

async function newStream(ShardCount = 1): Promise<string> {
  const StreamName = `stream-${randomUUID()}`;
  await client.send(new CreateStreamCommand({ StreamName, ShardCount }));
  await active(StreamName);
  return StreamName;
}

async function active(StreamName: string): Promise<void> {
  for (;;) {
    const { StreamDescriptionSummary } = await client.send(new DescribeStreamSummaryCommand({ StreamName }));
    if (StreamDescriptionSummary?.StreamStatus === "ACTIVE") return;
    await realRuntime.sleep(20);
  }
}

/** Puts records with these ids, each under one of 50 keys, in their order within a key. */
async function put(StreamName: string, from: number, to: number): Promise<void> {
  for (let first = from; first < to; first += 500) {
    const ids = Array.from({ length: Math.min(500, to - first) }, (_, i) => first + i);
    const Records = ids.map((id) => ({
      PartitionKey: `key-${id % 50}`,
      Data: Buffer.from(JSON.stringify({ id, key: `key-${id % 50}` })),
    }));
    const { FailedRecordCount } = await client.send(new PutRecordsCommand({ StreamName, Records }));
    expect(FailedRecordCount ?? 0).toBe(0);
  }
}

async function putData(StreamName: string, ...data: (string | Uint8Array)[]): Promise<void> {
  const Records = data.map((one) => ({ PartitionKey: "key", Data: Buffer.from(one as string) }));
  await client.send(new PutRecordsCommand({ StreamName, Records }));
}

async function openShards(StreamName: string): Promise<{ id: string; start: bigint; end: bigint }[]> {
  const { Shards = [] } = await client.send(new ListShardsCommand({ StreamName }));
  return Shards.filter((shard) => shard.SequenceNumberRange?.EndingSequenceNumber === undefined).map(
    (shard) => ({
      id: shard.ShardId ?? "",
      start: BigInt(shard.HashKeyRange?.StartingHashKey ?? 0),
      end: BigInt(shard.HashKeyRange?.EndingHashKey ?? 0),
    }),
  );
}

async function split(StreamName: string): Promise<void> {
  const [shard] = await openShards(StreamName);
  if (shard === undefined) throw new Error("no shard is open");
  const middle = String((shard.start + shard.end) / 2n);
  await client.send(
    new SplitShardCommand({ StreamName, ShardToSplit: shard.id, NewStartingHashKey: middle }),
  );
  await active(StreamName);
}

async function merge(StreamName: string): Promise<void> {
  const shards = (await openShards(StreamName)).sort((a, b) => (a.start < b.start ? -1 : 1));
  const [left, right] = shards;
  await client.send(
    new MergeShardsCommand({
      StreamName,
      ShardToMerge: left?.id ?? "",
      AdjacentShardToMerge: right?.id ?? "",
    }),
  );
  await active(StreamName);
}

interface Given extends Partial<KinesisOptions> {
  readonly runtime?: DataSourceRuntime;
  /** Around each request that goes out. */
  readonly middleware?: Middleware;
}

/** A reader as each process has one of its own. */
async function readerOf(streamName: string, given: Given = {}): Promise<KinesisReader> {
  const { runtime: around = runtime, middleware, ...options } = given;
  const name = options.streamArn === undefined ? { streamName } : {};
  const parsed = await parseOptions(Kinesis, { ...name, ...options });
  const schema = parseDdl(new Kinesis(parsed, around).schema());
  const own = new KinesisClient({ maxAttempts: 10, requestHandler });
  if (middleware !== undefined) {
    own.middlewareStack.add(
      (next, context) => async (args) => {
        const result = await middleware(
          String(context["commandName"]),
          async () => (await next(args)).output as GetRecordsCommandOutput,
          args.input as Record<string, unknown>,
        );
        return { output: result as GetRecordsCommandOutput, response: {} };
      },
      { step: "deserialize", priority: "high", name: "faults" },
    );
  }
  return new KinesisReader(schema, parsed, new Stream(parsed, around, own), around);
}

async function read(reader: KinesisReader, partition: unknown, ddl: string): Promise<Row[]> {
  const rows = reader.read(json(partition) as never, task);
  const batches = await Array.fromAsync(toRecordBatches(parseDdl(ddl), rows, {}));
  return batches.flatMap((batch) => [...rowsOf(batch)]);
}

const RAW = new Kinesis({ format: "raw" } as never, runtime).schema();

/** One batch: its end, and the rows of its partitions, each read by a reader of its own. */
async function batch(
  reader: KinesisReader,
  start: StreamOffset,
  streamName: string,
  given: Given = {},
): Promise<{ end: StreamOffset; rows: Row[][] }> {
  const end = json(await reader.latestOffset(start));
  const rows: Row[][] = [];
  for (const partition of await reader.partitions(start, end))
    rows.push(await read(await readerOf(streamName, given), partition, given.schema ?? RAW));
  return { end, rows };
}

/** The rows of all batches until nothing is new. */
async function drain(
  streamName: string,
  given: Given = {},
  from?: StreamOffset,
): Promise<{ end: StreamOffset; batches: Row[][][] }> {
  const reader = await readerOf(streamName, given);
  let start = from ?? json(reader.initialOffset());
  const batches: Row[][][] = [];
  for (;;) {
    const { end, rows } = await batch(reader, start, streamName, given);
    if (JSON.stringify(end) === JSON.stringify(start)) return { end, batches };
    batches.push(rows);
    start = end;
  }
}

const idsOf = (rows: readonly Row[]) =>
  rows.map(({ data }) => (JSON.parse(Buffer.from(String(data), "base64").toString()) as { id: number }).id);
const sorted = (ids: readonly number[]) => [...ids].sort((a, b) => a - b);
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

/** Whether the ids of each key come in their order; the partitions of one batch have no order. */
function expectOrdered(batches: readonly (readonly Row[][])[]): void {
  const last = new Map<number, number>();
  for (const partitions of batches) {
    const inBatch = new Map<number, number>();
    partitions.forEach((rows, partition) => {
      for (const id of idsOf(rows)) {
        expect(id).toBeGreaterThan(last.get(id % 50) ?? -1);
        last.set(id % 50, id);
        // Two partitions of one batch may run at once, so that a key must not be in both.
        expect(inBatch.get(id % 50) ?? partition).toBe(partition);
        inBatch.set(id % 50, partition);
      }
    });
  }
}

describe("kinesis", () => {
  it("reads each record of several shards once, in the order of its key, in batches of a limited size", async () => {
    const stream = await newStream(3);
    await put(stream, 0, 2200);
    const { batches } = await drain(stream, { maxRecordsPerShard: 400 });
    expect(sorted(idsOf(batches.flat(2)))).toEqual(range(0, 2200));
    expectOrdered(batches);
    expect(batches.length).toBeGreaterThan(1);
    for (const rows of batches.flat()) expect(rows.length).toBeLessThanOrEqual(400);
  });

  it("gives a raw record with its key, its place and its time", async () => {
    const stream = await newStream();
    const before = Date.now();
    await putData(stream, Uint8Array.from([0, 255, 1]));
    const { batches } = await drain(stream);
    const [row] = batches.flat(2);
    expect(row).toMatchObject({ partitionKey: "key", shardId: "shardId-000000000000", data: "AP8B" });
    expect(row?.["sequenceNumber"]).toMatch(/^\d{56}$/);
    expect(Date.parse(String(row?.["approximateArrivalTimestamp"]))).toBeGreaterThanOrEqual(before - 1000);
  });

  it("reads a partition again as it was, whatever came since and whoever reads it", async () => {
    const stream = await newStream(2);
    await put(stream, 0, 600);
    const planner = await readerOf(stream, { maxRecordsPerShard: 200 });
    const start = json(planner.initialOffset());
    const end = json(await planner.latestOffset(start));
    // Another process may be asked, too.
    const partitions = json(await (await readerOf(stream)).partitions(start, end));
    expect(partitions).toEqual(json(await planner.partitions(start, end)));
    const reading = () =>
      Promise.all(partitions.map(async (one) => await read(await readerOf(stream), one, RAW)));
    const once = await reading();
    expect(once.map((rows) => rows.length)).toEqual([200, 200]);
    await put(stream, 600, 900);
    await split(stream);
    await put(stream, 900, 1200);
    expect(await reading()).toEqual(once);
  });

  it("passes the checks of any source", async () => {
    const stream = await newStream(2);
    let records = 0;
    const advance = async () => {
      await put(stream, records, records + 100);
      records += 100;
    };
    await advance();
    await realRuntime.sleep(20);
    const report = await checkSource(Kinesis, { options: { streamName: stream }, advance });
    expect(report.notChecked).toEqual([]);
  });

  it("says nothing is new by giving the start itself", async () => {
    const stream = await newStream(2);
    const reader = await readerOf(stream);
    const start = json(reader.initialOffset());
    expect(await reader.latestOffset(start)).toBe(start);
    await put(stream, 0, 10);
    const end = json(await reader.latestOffset(start));
    expect(await reader.latestOffset(end)).toBe(end);
  });

  it("follows splits and merges: each record once, a child only after its parents", async () => {
    const stream = await newStream(2);
    await put(stream, 0, 500);
    const given = { maxRecordsPerShard: 90 };
    const reader = await readerOf(stream, given);
    const first = await batch(reader, json(reader.initialOffset()), stream, given);
    await split(stream);
    await put(stream, 500, 1000);
    const second = await batch(reader, first.end, stream, given);
    await merge(stream);
    await put(stream, 1000, 1500);
    await split(stream);
    await put(stream, 1500, 2000);
    const { batches, end } = await drain(stream, given, second.end);
    const all = [first.rows, second.rows, ...batches];
    expect(sorted(idsOf(all.flat(2)))).toEqual(range(0, 2000));
    expectOrdered(all);
    const ended = Object.values(end.shards).filter((shard) => shard.ended).length;
    expect(ended).toBe(Object.keys(end.shards).length - (await openShards(stream)).length);
  });

  it("passes over closed shards without records in one plan", async () => {
    const stream = await newStream();
    await split(stream);
    await split(stream);
    await merge(stream);
    await put(stream, 0, 100);
    const { batches } = await drain(stream);
    expect(batches).toHaveLength(1);
    expect(sorted(idsOf(batches.flat(2)))).toEqual(range(0, 100));
  });

  it("forgets shards that were read to their end and are no longer listed", async () => {
    const stream = await newStream();
    await put(stream, 0, 10);
    await split(stream);
    const { end } = await drain(stream);
    expect(end.shards["shardId-000000000000"]).toMatchObject({ ended: true });
    await put(stream, 10, 20);
    const hideParent: Middleware = async (command, next) => {
      const output = await next();
      if (command !== "ListShardsCommand") return output;
      const { Shards = [] } = output as { Shards?: { ShardId: string }[] };
      return { ...output, Shards: Shards.filter(({ ShardId }) => ShardId !== "shardId-000000000000") };
    };
    const later = await drain(stream, { middleware: hideParent }, end);
    expect(sorted(idsOf(later.batches.flat(2)))).toEqual(range(10, 20));
    expect(Object.keys(later.end.shards)).not.toContain("shardId-000000000000");
  });

  it("asks for all pages of the list of shards", async () => {
    const stream = await newStream(5);
    await put(stream, 0, 200);
    let pages = 0;
    const narrow: Middleware = (command, next, input) => {
      if (command === "ListShardsCommand") {
        input["MaxResults"] = 2;
        pages++;
      }
      return next();
    };
    // Before the request is written.
    const reader = await readerOf(stream);
    const own = new KinesisClient({ requestHandler });
    own.middlewareStack.add(
      (next, context) => async (args) => {
        await narrow(String(context["commandName"]), async () => ({}) as never, args.input as never);
        return await next(args);
      },
      { step: "initialize", name: "narrow" },
    );
    const parsed = await parseOptions(Kinesis, { streamName: stream });
    const narrowed = new KinesisReader(parseDdl(RAW), parsed, new Stream(parsed, runtime, own), runtime);
    const start = json(reader.initialOffset());
    const end = await narrowed.latestOffset(start);
    expect(pages).toBe(3);
    const rows = await Promise.all(
      (await narrowed.partitions(start, end)).map(
        async (one) => await read(await readerOf(stream), one, RAW),
      ),
    );
    expect(sorted(idsOf(rows.flat()))).toEqual(range(0, 200));
  });

  it("begins where it is told to: at a time, or with what comes from now on", async () => {
    const stream = await newStream(2);
    await put(stream, 0, 50);
    // LocalStack passes times on in whole seconds.
    await realRuntime.sleep(1100);
    const middle = new Date().toISOString();
    const latest = await readerOf(stream, { startingPosition: "LATEST" });
    const start = json(latest.initialOffset());
    await realRuntime.sleep(50);
    expect(await latest.latestOffset(start)).toBe(start);
    await put(stream, 50, 100);
    const since = await drain(stream, { startingPosition: { timestamp: middle } });
    expect(sorted(idsOf(since.batches.flat(2)))).toEqual(range(50, 100));
    const { batches } = await drain(stream, {}, start);
    expect(sorted(idsOf(batches.flat(2)))).toEqual(range(50, 100));

    // A time to come, or a clock that is ahead of Kinesis's.
    const future = new Date(Date.now() + 3_600_000).toISOString();
    const waiting = await readerOf(stream, { startingPosition: { timestamp: future } });
    const then = json(waiting.initialOffset());
    expect(await waiting.latestOffset(then)).toBe(then);
  });

  it("reads what was there when a run of availableNow began, also in another process", async () => {
    const stream = await newStream();
    await put(stream, 0, 300);
    await realRuntime.sleep(50);
    const first = await readerOf(stream, { maxRecordsPerShard: 200 });
    first.prepareForTriggerAvailableNow();
    await realRuntime.sleep(50);
    await put(stream, 300, 600);
    const one = await batch(first, json(first.initialOffset()), stream);
    const second = await readerOf(stream, { maxRecordsPerShard: 200 });
    second.restoreAvailableNow(json(first.availableNowTarget() ?? 0));
    const two = await batch(second, one.end, stream);
    expect(idsOf([one, two].flatMap(({ rows }) => rows.flat()))).toEqual(range(0, 300));
    expect(await second.latestOffset(two.end)).toBe(two.end);
    const rest = await drain(stream, {}, two.end);
    expect(idsOf(rest.batches.flat(2))).toEqual(range(300, 600));
  });

  it("finds the end of a large batch by time, without reading all of it", async () => {
    const stream = await newStream();
    for (let i = 0; i < 8; i++) {
      await put(stream, i * 400, (i + 1) * 400);
      await realRuntime.sleep(500);
    }
    await realRuntime.sleep(1000);
    await put(stream, 3200, 3210);
    let read = 0;
    const counted: Middleware = async (command, next) => {
      const output = await next();
      if (command === "GetRecordsCommand") read += output.Records?.length ?? 0;
      return output;
    };
    const planner = await readerOf(stream, { maxRecordsPerShard: 3000, middleware: counted });
    const one = await batch(planner, json(planner.initialOffset()), stream);
    const [rows = []] = one.rows;
    expect(rows.length).toBeGreaterThan(1300);
    expect(read).toBeLessThan(1100);
    const rest = await drain(stream, { maxRecordsPerShard: 3000 }, one.end);
    expect(idsOf([...rows, ...rest.batches.flat(2)])).toEqual(range(0, 3210));
  });

  it("reads all of a burst that ended, beyond the records that it looks at first", async () => {
    const stream = await newStream();
    await put(stream, 0, 1500);
    await realRuntime.sleep(100);
    await put(stream, 1500, 3000);
    await realRuntime.sleep(2100);
    const { batches } = await drain(stream, { maxRecordsPerShard: 100_000 });
    expect(idsOf(batches.flat(2))).toEqual(range(0, 3000));
    expect(batches).toHaveLength(1);
    const limited = await drain(stream, { maxRecordsPerShard: 1200 });
    expect(idsOf(limited.batches.flat(2))).toEqual(range(0, 3000));
  });

  it("takes an ARN for a name", async () => {
    const stream = await newStream();
    await put(stream, 0, 5);
    const streamArn = `arn:aws:kinesis:us-east-1:000000000000:stream/${stream}`;
    const { batches } = await drain("", { streamArn });
    expect(idsOf(batches.flat(2))).toEqual(range(0, 5));
  });

  it("waits where it is throttled, and goes on where an iterator has expired", async () => {
    const stream = await newStream();
    await put(stream, 0, 400);
    const answers: number[] = [];
    const faults: Middleware = async (command, next) => {
      if (command !== "GetRecordsCommand") return await next();
      const count = answers.push(0);
      const $metadata = { httpStatusCode: 400 };
      if (count % 4 === 1)
        throw new ProvisionedThroughputExceededException({ message: "Rate exceeded", $metadata });
      if (count % 4 === 3) throw new ExpiredIteratorException({ message: "Iterator expired", $metadata });
      return await next();
    };
    const given = { middleware: faults, maxRecordsPerShard: 100 };
    const { batches } = await drain(stream, given);
    expect(idsOf(batches.flat(2))).toEqual(range(0, 400));
    expect(answers.length).toBeGreaterThan(12);
  });

  it("names stream and request where AWS refuses", async () => {
    const reader = await readerOf("nowhere");
    await expect(reader.latestOffset(json(reader.initialOffset()))).rejects.toMatchObject({
      code: "KINESIS_FAILED",
      message: expect.stringMatching(/nowhere.*ListShards.*ResourceNotFoundException/),
      retryable: false,
    });
  });
});

describe("kinesis, where records have expired", () => {
  /** As AWS answers where all up to `last` were trimmed: without a word, with what is left. */
  const trimmed =
    (last: string): Middleware =>
    async (command, next) => {
      const output = await next();
      if (command !== "GetRecordsCommand") return output;
      const Records = output.Records?.filter((one) => BigInt(one.SequenceNumber ?? 0) > BigInt(last));
      return { ...output, Records };
    };

  async function planned() {
    const stream = await newStream();
    await put(stream, 0, 100);
    const reader = await readerOf(stream);
    const start = json(reader.initialOffset());
    const end = json(await reader.latestOffset(start));
    const [partition] = await reader.partitions(start, end);
    if (partition === undefined) throw new Error("there is no partition");
    const rows = await read(reader, partition, RAW);
    return { stream, partition, rows, start, end };
  }

  it("fails a replay whose records are gone, naming shard and range", async () => {
    const { stream, partition, rows } = await planned();
    const half = String(rows[49]?.["sequenceNumber"]);
    const reader = await readerOf(stream, { middleware: trimmed(half) });
    await expect(read(reader, partition, RAW)).rejects.toMatchObject({
      code: "KINESIS_DATA_EXPIRED",
      message: expect.stringContaining(
        `${stream}: shardId-000000000000 begins at sequence number ${rows[50]?.["sequenceNumber"]}`,
      ),
    });
    const all = await readerOf(stream, { middleware: trimmed(partition.last.seq) });
    await expect(read(all, partition, RAW)).rejects.toThrow(
      `has no more records; the batch has ${partition.first.seq} to ${partition.last.seq}`,
    );
    const lax = await readerOf(stream, { middleware: trimmed(half), failOnDataLoss: false });
    expect(idsOf(await read(lax, partition, RAW))).toEqual(range(50, 100));
  });

  it("fails where the stream was made anew", async () => {
    const { partition, end } = await planned();
    const other = await newStream();
    await put(other, 0, 10);
    await expect(read(await readerOf(other), partition, RAW)).rejects.toMatchObject({
      code: "KINESIS_DATA_EXPIRED",
    });
    await expect((await readerOf(other)).latestOffset(end)).rejects.toMatchObject({
      code: "KINESIS_DATA_EXPIRED",
    });
    const lax = await drain(other, { failOnDataLoss: false }, end);
    expect(idsOf(lax.batches.flat(2))).toEqual(range(0, 10));
  });

  it("fails where a shard is gone before it was read", async () => {
    const { stream, end } = await planned();
    const lost = {
      ...end,
      shards: { ...end.shards, "shardId-000000000009": { last: { seq: "49", at: end.readUpTo } } },
    };
    await expect((await readerOf(stream)).latestOffset(lost)).rejects.toThrow(
      /shardId-000000000009 is gone, and was read only up to sequence number 49/,
    );
    const lax = await readerOf(stream, { failOnDataLoss: false });
    expect(await lax.latestOffset(lost)).toBe(lost);
  });

  it("fails after a pause longer than the retention, unless nothing was missed", async () => {
    const { stream, end, partition } = await planned();
    await put(stream, 100, 200);
    const later = withStores({ ...realRuntime, now: () => Date.now() + 25 * 3_600_000 });
    const paused = await readerOf(stream, { runtime: later, middleware: trimmed(partition.last.seq) });
    await expect(paused.latestOffset(end)).rejects.toMatchObject({
      code: "KINESIS_DATA_EXPIRED",
      message: expect.stringContaining(partition.last.seq),
    });
    const whole = await readerOf(stream, { runtime: later });
    const { rows } = await batch(whole, end, stream);
    expect(idsOf(rows.flat())).toEqual(range(100, 200));
  });

  it("goes on by time from a record that may have expired, and reads none twice", async () => {
    const { stream, start, end, partition, rows } = await planned();
    await put(stream, 100, 150);
    const iterators: unknown[] = [];
    const noted: Middleware = async (command, next, input) => {
      if (command === "GetShardIteratorCommand") iterators.push(input["ShardIteratorType"]);
      return await next();
    };
    const later = withStores({ ...realRuntime, now: () => Date.now() + 20 * 3_600_000 });
    const given = { runtime: later, middleware: noted };
    const next = await batch(await readerOf(stream, given), end, stream, given);
    expect(idsOf(next.rows.flat())).toEqual(range(100, 150));
    expect(await read(await readerOf(stream, given), partition, RAW)).toEqual(rows);
    expect(new Set(iterators)).toEqual(new Set(["AT_TIMESTAMP"]));
    expect(start.shards).toEqual({});
  });

  it("notes twice a day that an idle stream was read, so that its last record may expire", async () => {
    const { stream, end, partition } = await planned();
    const at = (hours: number) => {
      const clock = withStores({ ...realRuntime, now: () => Date.now() + hours * 3_600_000 });
      return readerOf(stream, { runtime: clock, middleware: trimmed(partition.last.seq) });
    };
    expect(await (await at(11)).latestOffset(end)).toBe(end);
    const noted = json(await (await at(13)).latestOffset(end));
    expect(noted.shards).toMatchObject({ [partition.shardId]: { last: partition.last } });
    expect(await (await at(13)).partitions(end, noted)).toEqual([]);
    expect(await (await at(24)).latestOffset(noted)).toBe(noted);
    expect((await (await at(30)).latestOffset(noted)).readUpTo > noted.readUpTo).toBe(true);
  });
});

describe("kinesis, json", () => {
  const given = {
    format: "json" as const,
    schema: "id bigint NOT NULL, price decimal(20,2), tags array<string>",
  };

  it("makes rows of the records, with all digits", async () => {
    const stream = await newStream();
    await putData(
      stream,
      '{"id": 9007199254740993, "price": 123456789012345678.25, "tags": ["a"], "more": 1}',
      '{"id": 2}',
    );
    const { batches } = await drain(stream, given);
    expect(batches.flat(2)).toEqual([
      { id: "9007199254740993", price: "123456789012345678.25", tags: ["a"] },
      { id: 2, price: null, tags: null },
    ]);
  });

  it.each([
    ["no JSON", "{", "RECORD_NOT_JSON", /record \d+ of shardId-\d+ is not JSON/],
    ["no object", "[1]", "RECORD_NOT_JSON", /is an array of 1, not an object/],
    ["no UTF-8", Uint8Array.from([0x22, 0xff, 0x22]), "RECORD_NOT_JSON", /is not JSON/],
    [
      "an aggregated record",
      Uint8Array.from([0xf3, 0x89, 0x9a, 0xc2, 10, 0]),
      "KINESIS_RECORD_AGGREGATED",
      /record \d+ of shardId-\d+ holds many records/,
    ],
  ])("refuses %s", async (_what, data, code, message) => {
    const stream = await newStream();
    await putData(stream, data);
    await expect(drain(stream, given)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect((await drain(stream)).batches.flat(2)).toHaveLength(1);
  });
});

describe("kinesis, in a pipeline", () => {
  it("commits each record once over crashes, aborts and a resharding", async () => {
    const stream = await newStream(2);
    await put(stream, 0, 1000);
    const options = {
      streamName: stream,
      format: "json" as const,
      schema: JSON_SCHEMA,
      maxRecordsPerShard: 250,
    };
    const world = new CollectingWorld("numbers", (start) =>
      start.readStream.format(Kinesis).options(options),
    );

    // Planned, half of it written, then killed: the next run goes on with the recorded ranges.
    const killed = await world.start("killed");
    const plan = await killed.plan();
    await killed.write(plan, 0);
    await split(stream);
    await put(stream, 1000, 2200);
    const next = await world.start("next");
    const resumed = await next.plan({ ended: true });
    expect(resumed).toMatchObject({ resumed: true, todo: [1] });
    await next.write(resumed, 1);
    await next.finalize(resumed);

    // A writer fails for good: the batch is aborted, and replayed with the same rows.
    world.failing = true;
    await expect(next.batch()).resolves.toMatchObject({ batch: { state: "aborted" } });
    world.failing = false;
    while ((await next.batch()) !== undefined);
    expect(sorted(world.rows().map(({ id }) => Number(id)))).toEqual(range(0, 2200));
    const last = new Map<unknown, number>();
    for (const { id, key } of world.rows().filter(({ id }) => Number(id) % 50 === 7)) {
      expect(Number(id)).toBeGreaterThan(last.get(key) ?? -1);
      last.set(key, Number(id));
    }
  });
});
