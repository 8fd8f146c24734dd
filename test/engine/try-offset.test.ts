import { describe, expect, it } from "vitest";
import { Events } from "../../shared/connectors/events/index.ts";
import { Files } from "../../shared/connectors/files/index.ts";
import { Kinesis } from "../../shared/connectors/kinesis/index.ts";
import { Memory, MemoryStream } from "../../shared/connectors/memory/index.ts";
import { Rate, RateMicroBatch } from "../../shared/connectors/rate/index.ts";
import { RestApi } from "../../shared/connectors/rest-api/index.ts";
import { Sqs } from "../../shared/connectors/sqs/index.ts";
import type { DataSourceClass } from "../../shared/contract/data-source.ts";
import { DataSource } from "../../shared/contract/data-source.ts";
import type { Offset } from "../../shared/contract/offset.ts";
import type { Pipeline } from "../../shared/contract/pipeline.ts";
import { ReadStream } from "../../shared/contract/pipeline.ts";
import {
  DataSourceStreamReader,
  SimpleDataSourceStreamReader,
  type SimpleRead,
} from "../../shared/contract/stream-reader.ts";
import { operate } from "../../shared/engine/operations.ts";
import { openSessions } from "../../shared/engine/sessions/open-sessions.ts";
import { EngineWorld } from "../support/engine.ts";

const T = "2026-11-01T00:00:00.000Z";
const REST = { url: "http://127.0.0.1:1/list", schema: "id bigint" };
const RANGE = { startParam: "s", endParam: "e", start: T };
// No file of it is looked at.
const FILES = { path: "no-such-folder", format: "jsonl" };
new MemoryStream("tried", "n bigint");

/** Opens a pipeline that reads from the source, and tries an offset on it. */
async function tried(
  dataSource: DataSourceClass<never>,
  options: object,
  offset: Offset,
  world = new EngineWorld(),
): Promise<Offset> {
  const ports = world.ports();
  const source = { dataSource, schema: "n bigint", options: options as Readonly<Record<string, unknown>> };
  const definition = new ReadStream<never>("p", source).writeStream
    .format(Memory)
    .options({ table: "t" }) as unknown as Pipeline;
  const sessions = await openSessions(definition, ports);
  const report = await operate(sessions, ports, { operation: "tryOffset", offset }, async () => false);
  expect(await world.ledger.head("p")).toBeUndefined();
  return (report as { readonly offset: Offset }).offset;
}

type Case = readonly [name: string, source: unknown, options: object, good: Offset, bad: [Offset, RegExp][]];

const SHARDS = { "shardId-0": { last: { seq: "12", at: "2026-11-01T00:00:00.000Z" } } };
const STREAM = { from: "TRIM_HORIZON", readUpTo: T, shards: SHARDS };
const CASES: readonly Case[] = [
  [
    "rest-api by time ranges",
    RestApi,
    { ...REST, timeRange: RANGE },
    { time: T },
    [
      [{ tme: T }, /unknown: "tme"; missing: "time"/],
      [{ time: "yesterday" }, /"time": expected a time/],
    ],
  ],
  [
    "rest-api by position",
    RestApi,
    REST,
    { page: 500, row: 3, size: 500 },
    [
      [{ page: 1 }, /row/],
      [{ page: null, row: -1 }, /row/],
      [{ page: null, row: 0, rows: 1 }, /rows/],
    ],
  ],
  [
    "files by time",
    Files,
    FILES,
    { files: 2, time: T, key: "a.txt" },
    [
      [{ file: 2 }, /files.*"file"/],
      [{ files: 2, seen: "00000001-nowhere" }, /./],
    ],
  ],
  ["files by key", Files, { ...FILES, order: "key" }, { files: 0 }, [[{ files: 1, key: 7 }, /key/]]],
  [
    "kinesis",
    Kinesis,
    { streamName: "s" },
    STREAM,
    [
      [{ ...STREAM, from: "LATEST" }, /from/],
      [{ ...STREAM, shards: { a: { last: { seq: 7, at: T } } } }, /shards\.a\.last\.seq/],
    ],
  ],
  [
    "sqs",
    Sqs,
    { queueUrl: "https://sqs.eu-west-1.amazonaws.com/123456789012/orders" },
    { batch: 4, id: "a", files: 1, created: "1" },
    [[{ batches: 4 }, /batch.*"batches"/]],
  ],
  ["events", Events, { start: T }, { time: T }, [[{ times: T }, /unknown: "times"; missing: "time"/]]],
  ["memory", Memory, { stream: "tried" }, { rows: 0 }, [[{ row: 0 }, /missing: "rows"/]]],
  ["rate", Rate, {}, { startTime: T, seconds: 4 }, [[{ seconds: 4 }, /missing: "startTime"/]]],
  [
    "rate by micro-batch",
    RateMicroBatch,
    { rowsPerBatch: 5 },
    { value: 5, timestamp: T },
    [[{ value: "5", timestamp: T }, /"value": expected a finite number/]],
  ],
];

describe("an offset that a person gives to a built-in source", () => {
  it.each(CASES)(
    "The source %s takes an offset that it could have written",
    async (_name, source, options, good) => {
      expect(await tried(source as DataSourceClass<never>, options, good)).toEqual(good);
    },
  );

  it.each(CASES)(
    "The source %s refuses an offset that it cannot read, and names what is wrong",
    async (_name, source, options, _good, bad) => {
      for (const [offset, problem] of bad) {
        await expect(tried(source as DataSourceClass<never>, options, offset)).rejects.toMatchObject({
          code: "OFFSET_UNREADABLE",
          message: expect.stringMatching(problem) as string,
          hint: expect.stringContaining("--unchecked") as string,
        });
      }
    },
  );

  it("An offset is returned as the source writes it", async () => {
    const given = { time: "2026-11-01T01:00:00+01:00" };
    expect(await tried(RestApi as DataSourceClass<never>, { ...REST, timeRange: RANGE }, given)).toEqual({
      time: T,
    });
  });
});

describe("an offset for a reader without deserializeOffset", () => {
  const planned: string[] = [];
  class Reader extends DataSourceStreamReader<{ n: number }, { from: number; to: number }> {
    override initialOffset = () => ({ n: 0 });
    override latestOffset() {
      planned.push("latestOffset");
      return { n: 20 };
    }
    override partitions(start: { n: number }, end: { n: number }) {
      return [{ from: start.n, to: end.n }];
    }
    override read(): never {
      throw new Error("nothing may be read");
    }
  }
  class Numbers extends DataSource {
    override schema = () => "n bigint";
    override streamReader = () => new Reader();
  }
  class Simple extends SimpleDataSourceStreamReader<{ n: number }> {
    override initialOffset = () => ({ n: 0 });
    override read({ n }: { n: number }): SimpleRead<{ n: number }> {
      if (typeof n !== "number") throw new Error("n is no number");
      return { rows: [], offset: { n } };
    }
    override readBetweenOffsets = () => [];
  }
  class SimpleNumbers extends DataSource {
    override schema = () => "n bigint";
    override simpleStreamReader = () => new Simple();
  }

  it("An offset from which a batch can be planned is taken, and nothing is recorded", async () => {
    expect(await tried(Numbers, {}, { n: 7 })).toEqual({ n: 7 });
    expect(planned).toEqual(["latestOffset"]);
  });

  it.each([
    ["gives partitions that are no JSON", { m: 7 }],
    ["lies after the end of the source", { n: 21 }],
  ])("An offset that %s is refused", async (_name, offset) => {
    await expect(tried(Numbers, {}, offset)).rejects.toMatchObject({ code: "OFFSET_UNREADABLE" });
  });

  it("A simple reader is asked for the rows from the offset on", async () => {
    expect(await tried(SimpleNumbers, {}, { n: 7 })).toEqual({ n: 7 });
    await expect(tried(SimpleNumbers, {}, { m: 7 })).rejects.toMatchObject({ code: "OFFSET_UNREADABLE" });
  });
});
