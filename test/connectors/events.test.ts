import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toRecordBatches } from "../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { Events, type EventsOptions } from "../../shared/connectors/events/index.ts";
import { Memory, memoryTable } from "../../shared/connectors/memory/index.ts";
import type { DataSourceReader } from "../../shared/contract/batch-reader.ts";
import type { DataSourceRuntime, TaskContext } from "../../shared/contract/context.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import type { JsonValue } from "../../shared/contract/json.ts";
import { parseOptions } from "../../shared/contract/options/parse.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { ReadAllAvailable } from "../../shared/contract/read-limit.ts";
import type {
  DataSourceStreamReader,
  SupportsTriggerAvailableNow,
} from "../../shared/contract/stream-reader.ts";
import { TimeRange, type TimeRangeJson } from "../../shared/contract/time-range.ts";
import { checkSource } from "../../shared/testing/index.ts";
import { EngineWorld } from "../support/engine.ts";
import { withStores } from "../support/runtime.ts";

type Position = { readonly time: string };
type Reader = DataSourceStreamReader<Position, TimeRangeJson> & Required<SupportsTriggerAvailableNow>;

const HOUR = 3_600_000;
const START = Date.UTC(2026, 10, 20);
const iso = (time: number): string => new Date(time).toISOString();
const json = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
const task = {} as TaskContext;

const runtimeAt = (now: number): DataSourceRuntime =>
  withStores({
    now: () => now,
    monotonic: () => now,
    random: () => 0.5,
    newId: () => crypto.randomUUID(),
    sleep: async () => undefined,
    env: {},
  });

/** Creates the source. Its clock stands at `now`. */
async function events(options: Partial<EventsOptions> = {}, now: number = START + HOUR): Promise<Events> {
  const given = { start: iso(START), ...options };
  return new Events(await parseOptions(Events, given), runtimeAt(now));
}

async function readerOf(options?: Partial<EventsOptions>, now?: number): Promise<Reader> {
  const source = await events(options, now);
  return source.streamReader(parseDdl(source.schema())) as Reader;
}

type Rows = Record<string, unknown>[];
async function rowsIn(partition: unknown, options?: Partial<EventsOptions>): Promise<Rows> {
  const reader = await readerOf(options);
  const schema = parseDdl((await events()).schema());
  const batches = toRecordBatches(schema, await reader.read(json(partition) as TimeRangeJson, task), {});
  return (await Array.fromAsync(batches)).flatMap((batch) => [...rowsOf(batch)]);
}

const rangeOf = (from: number, to: number): TimeRangeJson => ({ from: iso(from), to: iso(to) });

describe("events", () => {
  it("Events are the same for the same range and seed, and differ for another seed", async () => {
    const range = rangeOf(START, START + 60_000);
    const rows = await rowsIn(range);
    expect(rows).toHaveLength(60);
    expect(await rowsIn(range)).toEqual(rows);
    const others = await rowsIn(range, { seed: 1 });
    expect(others.map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
    expect(others).not.toEqual(rows);
  });

  it("Events stay the same from one version of the package to the next", async () => {
    expect(await rowsIn(rangeOf(START, START + 3000), { seed: 16 })).toEqual([
      { id: 1795132800, time: "2026-11-20T00:00:00.635679Z", kind: "view", user_id: 361, amount: null },
      { id: 1795132801, time: "2026-11-20T00:00:01.983782Z", kind: "cart", user_id: 905, amount: null },
      {
        id: 1795132802,
        time: "2026-11-20T00:00:02.882372Z",
        kind: "purchase",
        user_id: 517,
        amount: "58.69",
      },
    ]);
  });

  it("Events are the same however their range is cut, each in one piece", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.bigInt({ min: 0n, max: 20_000_000n }), { maxLength: 6 }),
        fc.constantFrom(0.3, 1, 7, 40),
        fc.integer({ min: -2_000_000_000, max: 2_000_000_000 }),
        async (cuts, eventsPerSecond, second) => {
          const first = BigInt(second) * 1_000_000n;
          const ends = [0n, ...cuts.sort((a, b) => Number(a - b)), 20_000_000n].map((cut) => first + cut);
          const whole = new TimeRange(first, first + 20_000_000n).toJSON();
          const parts = ends.slice(1).map((to, i) => new TimeRange(ends[i] ?? to, to).toJSON());
          const rows = await Promise.all(parts.map((part) => rowsIn(part, { eventsPerSecond })));
          expect(rows.flat()).toEqual(await rowsIn(whole, { eventsPerSecond }));
        },
      ),
      { numRuns: 30 },
    );
  });

  it("Events have rising times, come at the requested rate and look like a shop's", async () => {
    const rows = await rowsIn(rangeOf(START, START + 100_000), { eventsPerSecond: 50 });
    expect(rows).toHaveLength(5000);
    const ids = rows.map(({ id }) => Number(id));
    expect(ids).toEqual(ids.map((_, i) => (ids[0] ?? 0) + i));
    expect(
      rows.map(({ time }) => String(time)).every((time, i, all) => i === 0 || time > (all[i - 1] ?? "")),
    ).toBe(true);
    const share = (kind: string): number => rows.filter((row) => row["kind"] === kind).length / rows.length;
    expect(share("view")).toBeCloseTo(0.7, 1);
    expect(share("cart")).toBeCloseTo(0.2, 1);
    expect(share("purchase")).toBeCloseTo(0.1, 1);
    for (const { kind, amount } of rows) expect(amount === null).toBe(kind !== "purchase");
    expect(new Set(rows.map((row) => row["user_id"])).size).toBeGreaterThan(900);
  });

  it("The events source has none of the known traps of a source", async () => {
    const options = { start: iso(START), maxPartitionsPerBatch: 2, eventsPerSecond: 0.1 };
    const { notChecked } = await checkSource(Events, { options, now: START + 2.5 * HOUR });
    expect(notChecked).toEqual([]);
  });

  it("The events source refuses options that are wrong", async () => {
    await expect(events({ start: "now", eventsPerSecond: 0, seed: -1 })).rejects.toMatchObject({
      code: "OPTIONS_INVALID",
      message: expect.stringMatching(/start: .*eventsPerSecond: .*seed: /s),
    });
  });
});

describe("a stream of events", () => {
  const endAt = async (now: number, options: Partial<EventsOptions> = {}, start = START): Promise<unknown> =>
    (await readerOf(options, now)).latestOffset({ time: iso(start) }, new ReadAllAvailable());

  it("A stream of events begins at start, in UTC", async () => {
    const reader = await readerOf({ start: "2026-11-20T05:30:00.000001+05:30" });
    expect(reader.initialOffset()).toEqual({ time: "2026-11-20T00:00:00.000001Z" });
  });

  it.each<[string, number, Partial<EventsOptions>, number]>([
    ["is at the clock, in whole seconds", START + 10_999, {}, START + 10_000],
    ["is in whole steps", START + 119_000, { stepSeconds: 60 }, START + 60_000],
    ["stays lagSeconds behind", START + HOUR, { lagSeconds: 1.5 }, START + HOUR - 2000],
    ["is at until", START + HOUR, { until: iso(START + 1234) }, START + 1234],
    [
      "is maxPartitionsPerBatch away",
      START + HOUR,
      { partitionSeconds: 7, maxPartitionsPerBatch: 3 },
      START + 21_000,
    ],
    ["does not go back with the clock", START - HOUR, {}, START],
  ])("A stream of events ends a batch as follows: it %s", async (_behaviour, now, options, end) => {
    expect(await endAt(now, options)).toEqual({ time: iso(end) });
  });

  it("A stream of events has partitions that join without gap and overlap", async () => {
    const reader = await readerOf({ partitionSeconds: 60 });
    const [start, end] = [{ time: iso(START + 7) }, { time: iso(START + 600_000) }];
    const ranges = (await reader.partitions(start, end)).map((part) => TimeRange.fromJSON(part));
    expect(ranges).toHaveLength(10);
    expect(TimeRange.overlaps(ranges)).toBeUndefined();
    expect(ranges.slice(1).every((range, i) => ranges[i]?.meets(range))).toBe(true);
    expect([ranges[0]?.toJSON().from, ranges.at(-1)?.toJSON().to]).toEqual([start.time, end.time]);
  });

  it("A run of availableNow fixes what is available at its beginning, in each reader that plans for it", async () => {
    const reader = await readerOf();
    reader.prepareForTriggerAvailableNow();
    const later = await readerOf({}, START + 5 * HOUR);
    const target = json((await reader.availableNowTarget()) as JsonValue);
    later.restoreAvailableNow(target);
    expect(later.latestOffset({ time: iso(START) }, new ReadAllAvailable())).toEqual({
      time: iso(START + HOUR),
    });
    expect(later.reportLatestOffset()).toEqual({ time: iso(START + 5 * HOUR) });
  });

  it("A stream of events compares its offsets as times", async () => {
    const { compareOffsets } = await readerOf();
    expect(
      compareOffsets?.({ time: "2026-11-20T00:00:00.1Z" }, { time: "2026-11-20T00:00:00.100001Z" }),
    ).toBe(-1);
    expect(compareOffsets?.({ time: iso(START) }, { time: iso(START) })).toBe(0);
  });

  it("A stream of events passes each event to a sink once, batch after batch", async () => {
    const world = new EngineWorld();
    const table = memoryTable("events-stream");
    const options = {
      start: iso(world.now),
      eventsPerSecond: 0.5,
      partitionSeconds: 30,
      maxPartitionsPerBatch: 4,
    };
    const definition = pipeline("clicks")
      .readStream.format(Events)
      .options(options)
      .writeStream.format(Memory)
      .options({ table: table.name }) as unknown as Pipeline;
    const range = rangeOf(world.now, world.now + 190_000);
    for (const step of [45_000, 0, 145_000, 0, 0]) {
      world.now += step;
      await (await world.run(definition, "a")).batch();
    }
    expect(table.batches().map(({ rows }) => rows.length > 0)).toEqual([true, true, true]);
    expect(table.rows()).toEqual(await rowsIn(range, options));
  });
});

describe("a batch of events", () => {
  const partitions = async (options: Partial<EventsOptions>): Promise<unknown> =>
    ((await events(options)).reader(parseDdl("id int")) as DataSourceReader).partitions();

  it("A batch of events goes from start to until, or to the clock", async () => {
    const half = rangeOf(START, START + HOUR / 2);
    expect(await partitions({ until: iso(START + HOUR / 2) })).toEqual([half]);
    expect(await partitions({ partitionSeconds: 1800 })).toEqual([
      half,
      rangeOf(START + HOUR / 2, START + HOUR),
    ]);
    expect(await partitions({ start: iso(START + 2 * HOUR) })).toEqual([]);
  });

  it("A batch of events has the same rows as the stream", async () => {
    const reader = (await events()).reader(parseDdl("id int"));
    const rows = await Array.fromAsync(await reader.read(rangeOf(START, START + 5000), task));
    const ids = (await rowsIn(rangeOf(START, START + 5000))).map(({ id }) => id);
    expect(rows).toMatchObject(ids.map((id) => ({ id: BigInt(Number(id)) })));
  });
});
