import { KinesisClient } from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { describe, expect, it } from "vitest";
import { Kinesis, type KinesisOptions } from "../../shared/connectors/kinesis/index.ts";
import { lookAhead } from "../../shared/connectors/kinesis/look-ahead.ts";
import { ShardsPlan, type StreamOffset } from "../../shared/connectors/kinesis/shards-plan.ts";
import { type Mark, type Shard, Stream } from "../../shared/connectors/kinesis/stream.ts";
import { KinesisReader, type ShardRange } from "../../shared/connectors/kinesis/stream-reader.ts";
import type { DataSourceRuntime, TaskContext } from "../../shared/contract/context.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import { parseOptions } from "../../shared/contract/options/parse.ts";
import {
  type Asked,
  type FakeRuntime,
  failure,
  type Reply,
  type Respond,
  runtimeAt,
  serve,
} from "../support/api-server.ts";
import { EngineWorld } from "../support/engine.ts";
import { withStores } from "../support/runtime.ts";

const NOON = Date.UTC(2026, 10, 21, 12);
const HOUR = 3_600_000;
const iso = (time: number) => new Date(time).toISOString();
const mark = (seq: number, at = NOON - HOUR): Mark => ({ seq: String(seq), at: iso(at) });
const shard = (shardId: string, ...parents: string[]): Shard => ({ shardId, parents });
const START: StreamOffset = { from: "TRIM_HORIZON", readUpTo: iso(NOON - HOUR), shards: {} };

describe("the options of kinesis", () => {
  it.each([
    [{}, /streamName: must be set, or streamArn in its place/],
    [{ streamName: "a", streamArn: "arn:aws:kinesis:eu-west-1:1:stream/a" }, /streamName: must be set/],
    [{ streamArn: "arn:aws:s3:::bucket" }, /streamArn: must be the ARN of a stream/],
    [{ streamName: "a", schema: "id int" }, /schema: is only for the format json/],
    [{ streamName: "a", columns: { id: "a.id" } }, /columns: is only for the format json/],
    [{ streamName: "a", startingPosition: { timestamp: "2026-11-21" } }, /startingPosition/],
    [{ streamName: "a", startingPostion: "LATEST" }, /did you mean startingPosition\?/],
    [{ streamName: "a", maxRecordsPerShard: 0 }, /maxRecordsPerShard/],
  ])("The kinesis source refuses the options %j", async (options, problem) => {
    await expect(parseOptions(Kinesis, options)).rejects.toMatchObject({
      code: "OPTIONS_INVALID",
      message: expect.stringMatching(problem),
    });
  });

  it("The options of kinesis decide the columns: raw ones or those of the schema", async () => {
    const runtime = withStores(new EngineWorld().ports().runtime);
    const schemaOf = async (options: object) =>
      new Kinesis(await parseOptions(Kinesis, { streamName: "a", ...options }), runtime).schema();
    expect(parseDdl(await schemaOf({})).fields.map(({ name }) => name)).toEqual([
      "partitionKey",
      "sequenceNumber",
      "shardId",
      "approximateArrivalTimestamp",
      "data",
    ]);
    expect(await schemaOf({ format: "json", schema: "id bigint" })).toBe("id bigint");
    await expect(schemaOf({ format: "json" })).rejects.toMatchObject({ code: "SCHEMA_REQUIRED" });
  });
});

describe("the plan of a batch of shards", () => {
  it("A plan takes a child shard only after earlier batches have read its parents to the end", () => {
    const listed = [shard("a"), shard("b"), shard("c", "a", "b"), shard("d", "c")];
    const plan = new ShardsPlan(START, listed);
    expect(plan.next()).toEqual(["a", "b"]);
    plan.saw("a", undefined, true, undefined);
    expect(plan.next()).toEqual([]);
    plan.saw("b", mark(5), true, NOON);
    expect(plan.next()).toEqual([]);
    const end = plan.end(NOON);
    expect(end.shards).toEqual({ a: { ended: true }, b: { last: mark(5), ended: true } });

    const next = new ShardsPlan(end, listed);
    expect(next.next()).toEqual(["c"]);
    next.saw("c", undefined, true, undefined);
    expect(next.next()).toEqual(["d"]);
  });

  it("A plan begins with shards whose parents are no longer listed", () => {
    expect(new ShardsPlan(START, [shard("c", "a", "b"), shard("d", "c")]).next()).toEqual(["c"]);
  });

  it("A plan keeps the position of shards that it does not read and drops shards that are gone", () => {
    const start = {
      ...START,
      shards: { a: { ended: true as const }, b: { last: mark(5) }, c: { last: mark(9) } },
    };
    const plan = new ShardsPlan(start, [shard("b"), shard("c")]);
    plan.next();
    plan.saw("b", undefined, false, NOON);
    plan.saw("c", mark(12), false, NOON);
    expect(plan.end(NOON).shards).toEqual({ b: { last: mark(5) }, c: { last: mark(12) } });
  });

  it("A stream is read up to the position of the shard that is furthest behind", () => {
    const plan = new ShardsPlan(START, [shard("a"), shard("b"), shard("c")]);
    plan.next();
    plan.saw("a", mark(2), false, NOON);
    plan.saw("b", mark(4), false, NOON - 5 * HOUR);
    plan.saw("c", undefined, true, undefined);
    expect(plan.end(NOON + 1).readUpTo).toBe(iso(NOON - 5 * HOUR));
  });

  it("A plan returns the start itself without new records, except twice a day", () => {
    const at = (now: number) => {
      const plan = new ShardsPlan(START, [shard("a")]);
      plan.next();
      plan.saw("a", undefined, false, now);
      return plan.end(now);
    };
    expect(at(NOON)).toBe(START);
    expect(at(NOON + 10 * HOUR)).toBe(START);
    expect(at(NOON + 11 * HOUR)).toEqual({ ...START, readUpTo: iso(NOON + 11 * HOUR) });
  });
});

/** Returns the operation of a request to Kinesis, such as `GetRecords`. */
const callOf = ({ headers }: Asked) => String(headers["x-amz-target"]).split(".")[1];

/** Returns a stream whose requests go to a server of the test. */
async function streamAt(respond: Respond, given: Partial<KinesisOptions> = {}) {
  const api = await serve(respond);
  const runtime = withStores(runtimeAt(NOON)) as FakeRuntime & DataSourceRuntime;
  const client = new KinesisClient({
    endpoint: api.url,
    region: "eu-west-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
    requestHandler: new NodeHttpHandler(),
    maxAttempts: 1,
  });
  const options = await parseOptions(Kinesis, { streamName: "orders", ...given });
  const stream = new Stream(options, runtime, client);
  return { stream, options, runtime, asked: () => api.asked.map(callOf) };
}

interface Arrival {
  readonly seq: number;
  readonly at: number;
}

/**
 * Returns a function that answers like a shard with these records, in pages of at most `page`. The
 * iterator in its answers is the index of a record.
 */
function shardOf(records: readonly Arrival[], page = 10_000): Respond {
  const indexOf = (found: (record: Arrival) => boolean) => {
    const index = records.findIndex(found);
    return String(index < 0 ? records.length : index);
  };
  return (asked) => {
    const input = JSON.parse(asked.body) as Record<string, string | number | undefined>;
    const { ShardIteratorType = "", StartingSequenceNumber, Timestamp = 0, ShardIterator, Limit } = input;
    if (callOf(asked) === "GetShardIterator") {
      const places: Record<string, (record: Arrival) => boolean> = {
        TRIM_HORIZON: () => true,
        AT_TIMESTAMP: ({ at }) => at >= Math.round(Number(Timestamp) * 1000),
        AT_SEQUENCE_NUMBER: ({ seq }) => seq >= Number(StartingSequenceNumber),
        AFTER_SEQUENCE_NUMBER: ({ seq }) => seq > Number(StartingSequenceNumber),
      };
      return { json: { ShardIterator: indexOf(places[ShardIteratorType] ?? (() => false)) } };
    }
    const begin = Number(ShardIterator);
    const end = Math.min(begin + Math.min(Number(Limit), page), records.length);
    const Records = records.slice(begin, end).map(({ seq, at }) => ({
      SequenceNumber: String(seq),
      PartitionKey: "k",
      ApproximateArrivalTimestamp: at / 1000,
      Data: Buffer.from("{}").toString("base64"),
    }));
    const MillisBehindLatest = end === records.length ? 0 : 1;
    return { json: { Records, NextShardIterator: String(end), MillisBehindLatest } };
  };
}

describe("a look ahead in a shard", () => {
  const looked = async (records: readonly Arrival[], options: { maxRecords: number; until?: number }) => {
    const { stream, asked } = await streamAt(shardOf(records));
    const given = { now: NOON, until: undefined, ...options };
    const { first, last, stop } = await lookAhead(stream, "shard-1", { at: "TRIM_HORIZON" }, given);
    const requests = asked().filter((call) => call === "GetRecords").length;
    return [first?.sequenceNumber, last?.sequenceNumber, stop, requests];
  };
  /** Returns records at intervals of one second. The last one arrived `ago` milliseconds ago. */
  const steady = (count: number, ago: number): Arrival[] =>
    Array.from({ length: count }, (_, i) => ({ seq: i + 1, at: NOON - ago - (count - 1 - i) * 1000 }));
  /** Returns `count` records that arrived at one moment, and later records. */
  const burst = (count: number, ...later: readonly number[]): Arrival[] => [
    ...Array.from({ length: count }, (_, i) => ({ seq: i + 1, at: NOON - 100_000 })),
    ...later.map((ago, i) => ({ seq: count + 1 + i, at: NOON - ago })),
  ];

  it.each([
    ["nothing", [], { maxRecords: 10 }, [undefined, undefined, "tip", 1]],
    ["fewer records than are wanted", steady(5, 0), { maxRecords: 10 }, ["1", "5", "tip", 1]],
    ["as many as are wanted", steady(5, 0), { maxRecords: 3 }, ["1", "3", "enough", 1]],
    [
      "records that came later than until",
      steady(5, 0),
      { maxRecords: 10, until: NOON - 1500 },
      ["1", "3", "until", 1],
    ],
    [
      "more than it peeks at, by their times",
      steady(5000, 0),
      { maxRecords: 3000 },
      ["1", "2998", "enough", 2],
    ],
    [
      "the newest of those that came long ago",
      steady(1500, 50_000),
      { maxRecords: 100_000 },
      ["1", "1500", "tip", 8],
    ],
    ["a burst that ended", burst(1500), { maxRecords: 100_000 }, ["1", "1500", "tip", 2]],
    ["a burst and what came after it", burst(1500, 5000), { maxRecords: 100_000 }, ["1", "1501", "tip", 2]],
    [
      "up to until, by time",
      steady(5000, 0),
      { maxRecords: 100_000, until: NOON - 100_000 },
      ["1", "4900", "enough", 2],
    ],
  ] as const)("A look ahead in a shard finds %s", async (_what, records, options, expected) => {
    expect(await looked(records, options)).toEqual(expected);
  });
});

describe("a stream that was made anew", () => {
  const records = Array.from({ length: 10 }, (_, i) => ({ seq: i + 1, at: NOON - HOUR + i }));
  /** Plans a batch of a stream that was made at this time, epoch milliseconds. */
  async function planned(start: StreamOffset, made: number | undefined) {
    const shards = shardOf(records);
    const respond: Respond = (asked, ...more) => {
      if (callOf(asked) === "ListShards") return { json: { Shards: [{ ShardId: "shard-1" }] } };
      if (callOf(asked) !== "DescribeStreamSummary") return shards(asked, ...more);
      const StreamCreationTimestamp = made === undefined ? undefined : made / 1000;
      return { json: { StreamDescriptionSummary: { RetentionPeriodHours: 24, StreamCreationTimestamp } } };
    };
    const { stream, options, runtime } = await streamAt(respond);
    const reader = new KinesisReader(parseDdl("id int"), options, stream, runtime);
    return await reader.latestOffset(start);
  }
  const read = (created: string | undefined, last: Mark): StreamOffset => ({
    ...START,
    ...(created === undefined ? {} : { created }),
    shards: { "shard-1": { last } },
  });
  const MADE = NOON - 5 * HOUR;

  it("An offset tells when the stream was made, and the same stream is read on", async () => {
    const end = await planned(START, MADE);
    expect(end).toMatchObject({ created: iso(MADE), shards: { "shard-1": { last: { seq: "10" } } } });
    expect(await planned(end, MADE)).toBe(end);
    expect(await planned(read(iso(MADE), mark(4)), MADE)).toEqual({ ...end, readUpTo: expect.any(String) });
  });

  it.each([
    ["its offset tells another time", read(iso(MADE), mark(4)), NOON - HOUR / 2, iso(MADE)],
    [
      "an offset of an older version has an older record",
      read(undefined, mark(4)),
      NOON - HOUR / 2,
      iso(NOON - HOUR),
    ],
  ])("A stream is refused if %s", async (_what, start, made, before) => {
    expect(await failure(() => planned(start, made))).toMatchObject({
      code: "KINESIS_STREAM_REPLACED",
      message: `stream orders was made at ${iso(made)}, and is not the one that was read, of ${before}: records that the old one had may be lost`,
      hint: expect.stringContaining("`millrace rewind PIPELINE --to-start`") as string,
    });
  });

  it("A stream that does not tell when it was made is read on", async () => {
    const end = await planned(read(undefined, mark(4)), undefined);
    expect(end.shards).toMatchObject({ "shard-1": { last: { seq: "10" } } });
    expect(end).not.toHaveProperty("created");
  });
});

describe("a partition of a shard", () => {
  const records = Array.from({ length: 10 }, (_, i) => ({ seq: i + 1, at: NOON - HOUR + i }));
  const range: ShardRange = { shardId: "shard-1", first: mark(3), last: mark(7) };
  async function read(kept: readonly Arrival[], given: Partial<KinesisOptions> = {}, page = 2) {
    const { stream, options, runtime } = await streamAt(shardOf(kept, page), given);
    const schema = parseDdl(new Kinesis(options, runtime).schema());
    const reader = new KinesisReader(schema, options, stream, runtime);
    const task = { signal: new AbortController().signal } as TaskContext;
    const rows = (await Array.fromAsync(reader.read(range, task))) as { sequenceNumber: string }[];
    return rows.map(({ sequenceNumber }) => Number(sequenceNumber));
  }

  it.each([1, 2, 3, 100])(
    "A partition of a shard has its records from the first to the last, in pages of %d",
    async (page) => {
      expect(await read(records, {}, page)).toEqual([3, 4, 5, 6, 7]);
    },
  );

  it.each([
    ["the first are gone", records.slice(4), [5, 6, 7], "begins at sequence number 5"],
    ["all are gone, and later ones there", records.slice(8), [], "begins at sequence number 9"],
    ["all are gone", [], [], "has no more records"],
    ["the last are gone", records.slice(0, 5), [3, 4, 5], "has no more records"],
  ] as const)(
    "A partition of a shard is an error, or has the records that are left, if %s",
    async (_what, kept, left, problem) => {
      expect(await read(kept, { failOnDataLoss: false })).toEqual(left);
      expect(await failure(() => read(kept))).toMatchObject({
        code: "KINESIS_DATA_EXPIRED",
        message: `stream orders: shard-1 ${problem}; the batch has 3 to 7`,
      });
    },
  );
});

describe("a stream", () => {
  /** Returns a stream on a server that sends these replies. */
  const streamOn = async (...replies: readonly Reply[]) =>
    await streamAt((_asked, count) => replies[Math.min(count, replies.length) - 1]);
  const throttled = { status: 400, json: { __type: "ProvisionedThroughputExceededException", message: "x" } };

  it("A stream that is throttled is asked again, with growing waits", async () => {
    const { stream, runtime, asked } = await streamOn(
      { json: { ShardIterator: "here" } },
      throttled,
      throttled,
      { json: { Records: [], NextShardIterator: "there", MillisBehindLatest: 0 } },
    );
    expect(await stream.first("shard-1", { at: "TRIM_HORIZON" })).toBeUndefined();
    expect(asked()).toEqual(["GetShardIterator", "GetRecords", "GetRecords", "GetRecords"]);
    expect(runtime.sleeps).toEqual([500, 1000]);
  });

  it("A stream that is throttled for a minute fails, so that the task is tried again", async () => {
    const { stream, runtime } = await streamOn(throttled);
    expect(await failure(() => stream.shards())).toMatchObject({
      code: "KINESIS_FAILED",
      message: "stream orders: ListShards failed: ProvisionedThroughputExceededException: x",
      retryable: true,
    });
    expect(runtime.sleeps).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000, 20_000]);
  });

  it("A stream that refuses a request is asked once", async () => {
    const { stream, runtime } = await streamOn({ status: 400, json: { __type: "AccessDeniedException" } });
    expect(await failure(() => stream.describe())).toMatchObject({ retryable: false });
    expect(runtime.sleeps).toEqual([]);
  });
});
