import { describe, expect, it } from "vitest";
import { toRecordBatches } from "../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { Memory, memoryTable } from "../../shared/connectors/memory/index.ts";
import {
  Rate,
  RateMicroBatch,
  type RateMicroBatchOptions,
  type RateOptions,
} from "../../shared/connectors/rate/index.ts";
import type { DataSourceRuntime, TaskContext } from "../../shared/contract/context.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import { parseOptions } from "../../shared/contract/options/parse.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { ReadAllAvailable, ReadMaxRows } from "../../shared/contract/read-limit.ts";
import type {
  DataSourceStreamReader,
  SupportsTriggerAvailableNow,
} from "../../shared/contract/stream-reader.ts";
import { checkSource } from "../../shared/testing/index.ts";
import { EngineWorld } from "../support/engine.ts";
import { withStores } from "../support/runtime.ts";

type Reader = DataSourceStreamReader<object, unknown> & Required<SupportsTriggerAvailableNow>;
const START = Date.UTC(2026, 10, 21);
const ALL = new ReadAllAvailable();
const json = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
const startTime = new Date(START).toISOString();
const at = (seconds: number): object => ({ startTime, seconds });

const runtimeAt = (now: number): DataSourceRuntime =>
  withStores({
    now: () => now,
    monotonic: () => now,
    random: () => 0.5,
    newId: () => crypto.randomUUID(),
    sleep: async () => undefined,
    env: {},
  });

async function rate(options: RateOptions = {}, now: number = START): Promise<Reader> {
  const source = new Rate(await parseOptions(Rate, { ...options }), runtimeAt(now));
  return source.streamReader(parseDdl(source.schema())) as Reader;
}

async function microBatch(options: RateMicroBatchOptions): Promise<Reader> {
  const source = new RateMicroBatch(await parseOptions(RateMicroBatch, { ...options }), runtimeAt(START));
  return source.streamReader(parseDdl(source.schema())) as Reader;
}

/** Returns the rows of each partition, read as a task does. */
async function rowsOfBatch(reader: Reader, start: object, end: object): Promise<Record<string, unknown>[][]> {
  const schema = parseDdl("timestamp timestamp NOT NULL, value bigint NOT NULL");
  const partitions = json(await reader.partitions(json(start), json(end)));
  return await Promise.all(
    partitions.map(async (partition) => {
      const rows = toRecordBatches(schema, await reader.read(partition, {} as TaskContext), {});
      return (await Array.fromAsync(rows)).flatMap((batch) => [...rowsOf(batch)]);
    }),
  );
}
const values = (partitions: readonly Record<string, unknown>[][]): unknown[][] =>
  partitions.map((rows) => rows.map(({ value }) => value));

describe("rate", () => {
  it("The rate source begins at the moment at which the pipeline did, which its offset holds", async () => {
    expect((await rate({}, START + 1.5)).initialOffset()).toEqual({
      startTime: "2026-11-21T00:00:00.001Z",
      seconds: 0,
    });
  });

  it("The rate source has the configured rows for each second that has passed, spread evenly", async () => {
    const reader = await rate({ rowsPerSecond: 3 }, START + 2999);
    const end = await reader.latestOffset(at(0), ALL);
    expect(end).toEqual(at(2));
    expect(await rowsOfBatch(reader, at(0), end)).toEqual([
      [
        { timestamp: "2026-11-21T00:00:00.000Z", value: 0 },
        { timestamp: "2026-11-21T00:00:00.333333Z", value: 1 },
        { timestamp: "2026-11-21T00:00:00.666666Z", value: 2 },
        { timestamp: "2026-11-21T00:00:01.000Z", value: 3 },
        { timestamp: "2026-11-21T00:00:01.333333Z", value: 4 },
        { timestamp: "2026-11-21T00:00:01.666666Z", value: 5 },
      ],
    ]);
  });

  it("The rate source is cut into as many partitions as asked, but has no empty one", async () => {
    const reader = await rate({ rowsPerSecond: 5, numPartitions: 3 });
    expect(values(await rowsOfBatch(reader, at(1), at(3)))).toEqual([
      [5, 6, 7, 8],
      [9, 10, 11, 12],
      [13, 14],
    ]);
    expect(values(await rowsOfBatch(await rate({ numPartitions: 8 }), at(4), at(6)))).toEqual([[4], [5]]);
  });

  it("The rate source has the same time for a row in whatever batch it is read", async () => {
    const reader = await rate({ rowsPerSecond: 10, rampUpTime: "4s", numPartitions: 3 });
    const whole = await rowsOfBatch(reader, at(0), at(7));
    expect(whole.flat()).toEqual(
      (await rowsOfBatch(await rate({ rowsPerSecond: 10, rampUpTime: "4s" }), at(0), at(7))).flat(),
    );
    const parts: Record<string, unknown>[] = [];
    for (const [from, to] of [
      [0, 1],
      [1, 4],
      [4, 7],
    ] as const)
      parts.push(...(await rowsOfBatch(reader, at(from), at(to))).flat());
    expect(parts).toEqual(whole.flat());
  });

  it("The rate source gets faster by whole rows each second while it ramps up, as in Spark", async () => {
    const reader = await rate({ rowsPerSecond: 10, rampUpTime: "4s" });
    const counts: number[] = [];
    for (let second = 0; second < 7; second++)
      counts.push((await rowsOfBatch(reader, at(second), at(second + 1))).flat().length);
    expect(counts).toEqual([2, 4, 6, 8, 10, 10, 10]);
  });

  it("The rate source limits the rows of a batch by whole seconds, with at least one second", async () => {
    const reader = await rate({ rowsPerSecond: 10, maxRowsPerBatch: 35 }, START + 60_000);
    expect(await reader.getDefaultReadLimit()).toEqual(new ReadMaxRows(35));
    expect(await reader.latestOffset(at(1), new ReadMaxRows(35))).toEqual(at(4));
    expect(await reader.latestOffset(at(1), new ReadMaxRows(9))).toEqual(at(2));
    expect(await reader.latestOffset(at(58), new ReadMaxRows(35))).toEqual(at(60));
    expect(await (await rate()).getDefaultReadLimit()).toEqual(ALL);
  });

  it("The rate source has no new rows within a second or after the clock was set back", async () => {
    expect(await (await rate({}, START + 7999)).latestOffset(at(7), ALL)).toEqual(at(7));
    expect(await (await rate({}, START - 1000)).latestOffset(at(7), ALL)).toEqual(at(7));
  });

  it("The rate source fixes what is available when a run begins, in each reader that plans for it", async () => {
    const reader = await rate({}, START + 5000);
    await reader.prepareForTriggerAvailableNow();
    const later = await rate({}, START + 50_000);
    await later.restoreAvailableNow(json((await reader.availableNowTarget()) ?? null));
    expect(await later.latestOffset(at(1), ALL)).toEqual(at(5));
    expect(reader.compareOffsets?.(at(1), at(5))).toBeLessThan(0);
  });

  it("The rate source numbers the rows of a pipeline from 0 without gap, run after run", async () => {
    const world = new EngineWorld();
    const table = memoryTable("rate");
    const definition = pipeline("ticks")
      .readStream.format(Rate)
      .options({ rowsPerSecond: 2, numPartitions: 2 })
      .writeStream.format(Memory)
      .options({ table: "rate" }) as unknown as Pipeline;
    for (const step of [0, 1500, 0, 4000]) {
      world.now += step;
      await (await world.run(definition, "a")).batch();
    }
    expect(table.batches().map(({ rows }) => rows.length)).toEqual([2, 8]);
    expect(table.rows().map(({ value }) => value)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("The rate source has none of the known traps of a source", async () => {
    const options = { rowsPerSecond: 2, numPartitions: 3, maxRowsPerBatch: 1000 };
    expect((await checkSource(Rate, { options })).notChecked).toEqual([]);
  });

  it("The rate source refuses options that are wrong", async () => {
    await expect(rate({ rowsPerSecond: 0, rampUpTime: "soon" })).rejects.toMatchObject({
      code: "OPTIONS_INVALID",
      message: expect.stringMatching(
        /rowsPerSecond: .*rampUpTime: expected a number and a unit, such as 30s/s,
      ),
    });
  });
});

describe("rate-micro-batch", () => {
  it("The source rate-micro-batch has none of the known traps of a source", async () => {
    const options = { rowsPerBatch: 10, numPartitions: 3 };
    expect((await checkSource(RateMicroBatch, { options })).notChecked).toEqual([]);
  });

  it("The source rate-micro-batch has fixed rows and a fixed time step per batch, whatever the clock says", async () => {
    const reader = await microBatch({ rowsPerBatch: 4, startTimestamp: START, advanceMillisPerBatch: 500 });
    const [first, second] = [
      { value: 0, timestamp: startTime },
      { value: 4, timestamp: "2026-11-21T00:00:00.500Z" },
    ];
    expect(reader.initialOffset()).toEqual(first);
    expect(await reader.latestOffset(first, ALL)).toEqual(second);
    expect(await rowsOfBatch(reader, first, second)).toEqual([
      [0, 1, 2, 3].map((value) => ({ timestamp: startTime, value })),
    ]);
    const third = await reader.latestOffset(second, ALL);
    expect((await rowsOfBatch(reader, second, third)).flat()[3]).toEqual({
      timestamp: "2026-11-21T00:00:00.500Z",
      value: 7,
    });
    expect(reader.compareOffsets?.(second, third)).toBeLessThan(0);
  });

  it("The source rate-micro-batch is cut into as many partitions as asked, but has no empty one", async () => {
    const offset = (value: number): object => ({ value, timestamp: startTime });
    const reader = await microBatch({ rowsPerBatch: 5, numPartitions: 2 });
    expect(values(await rowsOfBatch(reader, offset(5), offset(10)))).toEqual([
      [5, 6, 7],
      [8, 9],
    ]);
    const wide = await microBatch({ rowsPerBatch: 2, numPartitions: 9 });
    expect(values(await rowsOfBatch(wide, offset(0), offset(2)))).toEqual([[0], [1]]);
  });

  it("The source rate-micro-batch has one batch available now, as in Spark, also if others plan", async () => {
    const reader = await microBatch({ rowsPerBatch: 4 });
    const start = { value: 8, timestamp: startTime };
    await reader.prepareForTriggerAvailableNow();
    const end = await reader.latestOffset(start, ALL);
    expect(end).toMatchObject({ value: 12 });
    expect(await reader.latestOffset(end, ALL)).toEqual(end);
    const elsewhere = await microBatch({ rowsPerBatch: 4 });
    await elsewhere.restoreAvailableNow(json((await reader.availableNowTarget()) ?? null));
    expect(await elsewhere.latestOffset(end, ALL)).toEqual(end);
    expect(await elsewhere.latestOffset({ value: 16, timestamp: startTime }, ALL)).toMatchObject({
      value: 16,
    });
    await reader.prepareForTriggerAvailableNow();
    expect(await reader.latestOffset(end, ALL)).toMatchObject({ value: 16 });
  });
});
