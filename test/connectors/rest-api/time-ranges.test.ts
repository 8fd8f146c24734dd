import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Pagination, RestApiOptions, TimeRange } from "../../../shared/connectors/rest-api/index.ts";
import type { Runtime } from "../../../shared/contract/context.ts";
import type { JsonValue } from "../../../shared/contract/json.ts";
import { ReadAllAvailable } from "../../../shared/contract/read-limit.ts";
import { type Api, failure, runtimeAt, serve } from "../../support/api-server.ts";
import { type Drained, drain, readerOf, rowsIn } from "./draining-reader.ts";
import { kinds, page } from "./paginated-api.ts";

const HOUR = 3_600_000;
const START = Date.parse("2026-01-01T00:00:00Z");
const iso = (time: number): string => new Date(time).toISOString();

interface RangeApi extends Api {
  readonly events: { id: number; time: number }[];
}

/**
 * Starts an API of events that is read by time ranges. Its answers include events up to `slack`
 * milliseconds outside of both ends.
 */
async function rangeApi(
  pagination: Pagination,
  format: TimeRange["format"] = "iso",
  inclusive = false,
  slack = 0,
): Promise<RangeApi> {
  const events: { id: number; time: number }[] = [];
  const read = (text: string | null): number =>
    format === "iso" ? Date.parse(String(text)) : Number(text) * (format === "epochSeconds" ? 1000 : 1);
  const api = await serve((asked) => {
    const from = read(asked.url.searchParams.get("since")) - slack;
    const to = read(asked.url.searchParams.get("before")) + slack;
    const inside = events.filter(({ time }) => time >= from && (inclusive ? time <= to : time < to));
    return page(
      pagination,
      inside.map(({ id, time }) => ({ id, time: iso(time) })),
      asked,
    );
  });
  return { ...api, events };
}

const rangeOptions = (
  url: string,
  timeRange: Partial<TimeRange> = {},
  more: Partial<RestApiOptions> = {},
): RestApiOptions => ({
  url,
  schema: "id int, time timestamp",
  rows: "data",
  pageSize: 3,
  timeRange: { startParam: "since", endParam: "before", start: iso(START), lagSeconds: 0, ...timeRange },
  ...more,
});
const idsOf = (drained: Drained): unknown[] => drained.rows.map((row) => row["id"]);

describe("ranges of time", () => {
  it.each(kinds)("Ranges of time return every row once with the pagination %s", async (_name, pagination) => {
    const api = await rangeApi(pagination);
    for (let id = 0; id < 20; id++) api.events.push({ id, time: START + id * HOUR * 0.4 });
    const options = rangeOptions(api.url, {}, { pagination });
    const drained = await drain(options, { runtime: runtimeAt(START + 5 * HOUR) });
    expect(idsOf(drained)).toEqual(Array.from({ length: 13 }, (_, id) => id));
    expect(drained.batches).toEqual([[3, 2, 3, 2, 3]]);
  });

  it.each<[NonNullable<TimeRange["format"]>, boolean, number]>([
    ["iso", false, 1],
    ["iso", true, 1],
    ["epochSeconds", false, 1000],
    ["epochSeconds", true, 1000],
    ["epochMilliseconds", false, 1],
    ["epochMilliseconds", true, 1],
  ])(
    "Ranges of time written as %s, with an inclusive end: %s, leave no gap and never overlap",
    async (format, endInclusive, unit) => {
      const api = await rangeApi({ type: "none" }, format, endInclusive);
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.integer({ min: 0, max: Math.floor((30 * 60_000) / unit) }), { maxLength: 30 }),
          fc.integer({ min: 1, max: 1000 }),
          fc.integer({ min: 1, max: 20 }),
          fc.array(fc.integer({ min: 0, max: 10 * 60_000 }), { minLength: 1, maxLength: 4 }),
          async (times, partitionSeconds, maxPartitionsPerBatch, steps) => {
            api.events.splice(
              0,
              Number.POSITIVE_INFINITY,
              ...times.map((time, id) => ({ id, time: START + time * unit })),
            );
            const options = rangeOptions(
              api.url,
              { format, endInclusive, partitionSeconds, maxPartitionsPerBatch },
              { pagination: { type: "none" } },
            );
            const runtime = runtimeAt(START);
            const [ids, partitions]: [unknown[], { from: string; to: string }[]] = [[], []];
            let start: object | undefined;
            for (const step of steps) {
              runtime.time += step;
              const drained = await drain(options, { runtime, ...(start === undefined ? {} : { start }) });
              ids.push(...idsOf(drained));
              partitions.push(...(drained.partitions as { from: string; to: string }[]));
              for (const batch of drained.batches)
                expect(batch.length).toBeLessThanOrEqual(maxPartitionsPerBatch);
              start = drained.end;
            }
            const read = Math.floor(runtime.time / 1000) * 1000;
            expect(start).toEqual({ time: iso(read) });
            expect(partitions.map(({ from }) => from)).toEqual(
              [iso(START), ...partitions.map(({ to }) => to)].slice(0, partitions.length),
            );
            for (const { from, to } of partitions) {
              expect(Date.parse(to) - Date.parse(from)).toBeGreaterThan(0);
              expect(Date.parse(to) - Date.parse(from)).toBeLessThanOrEqual(partitionSeconds * 1000);
            }
            const expected = api.events.filter(({ time }) => time < read).map(({ id }) => id);
            expect(ids.sort((a, b) => Number(a) - Number(b))).toEqual(expected);
          },
        ),
        { numRuns: 15 },
      );
    },
  );

  it.each<[NonNullable<TimeRange["format"]>, string, string, string]>([
    ["iso", "2026-01-01T00:00:00.000Z", "2026-01-01T01:00:00.000Z", "2026-01-01T00:59:59.999Z"],
    ["epochSeconds", "1767225600", "1767229200", "1767229199"],
    ["epochMilliseconds", "1767225600000", "1767229200000", "1767229199999"],
  ])(
    "Ranges of time are sent as %s, one unit less if the end is inclusive",
    async (format, since, before, inclusive) => {
      const api = await rangeApi({ type: "none" });
      for (const endInclusive of [false, true]) {
        await rowsIn(rangeOptions(api.url, { format, endInclusive }), {
          from: iso(START),
          to: iso(START + HOUR),
        });
      }
      expect(
        api.asked.map(({ url }) => [url.searchParams.get("since"), url.searchParams.get("before")]),
      ).toEqual([
        [since, before],
        [since, inclusive],
      ]);
    },
  );

  it.each<[string, (time: number) => unknown, RestApiOptions["columns"]]>([
    ["timestamp", iso, {}],
    ["timestamp", Number, { time: { path: "time", epoch: "milliseconds" } }],
    ["timestamp_ntz", (time) => iso(time).slice(0, -1), {}],
  ])("Ranges of time drop rows of the neighbours if column names a %s", async (type, write, columns) => {
    const times = [0, 30, 59.5, 60, 60.5, 119.99].map((minutes) => START + minutes * 60_000);
    const api = await serve(() => ({ json: { data: times.map((time, id) => ({ id, time: write(time) })) } }));
    const more = {
      schema: `id int, time ${type}`,
      pagination: { type: "none" as const },
      ...(columns && { columns }),
    };
    const options = rangeOptions(api.url, { column: "time" }, more);
    const drained = await drain(options, { runtime: runtimeAt(START + 2 * HOUR) });
    expect(drained.batches).toEqual([[3, 3]]);
    expect(idsOf(drained)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it("Ranges of time trust the API if no column is named", async () => {
    const api = await rangeApi({ type: "none" }, "iso", false, HOUR);
    api.events.push({ id: 0, time: START + 1.5 * HOUR });
    const options = rangeOptions(api.url, {}, { pagination: { type: "none" } });
    expect((await drain(options, { runtime: runtimeAt(START + 2 * HOUR) })).batches).toEqual([[1, 1]]);
  });

  it("Ranges of time with an inclusive end lose no row in the last unit if column names the time", async () => {
    const api = await rangeApi({ type: "none" }, "epochSeconds", true);
    api.events.push({ id: 0, time: START + HOUR - 500 }, { id: 1, time: START + HOUR });
    const options = rangeOptions(
      api.url,
      { format: "epochSeconds", endInclusive: true, column: "time" },
      { pagination: { type: "none" } },
    );
    expect(idsOf(await drain(options, { runtime: runtimeAt(START + 2 * HOUR) }))).toEqual([0, 1]);
  });

  it("Ranges of time lose no row if the stream begins within a second and the API takes whole seconds", async () => {
    const api = await rangeApi({ type: "none" }, "epochSeconds");
    api.events.push({ id: 0, time: START + 700 }, { id: 1, time: START + HOUR + 700 });
    const options = rangeOptions(
      api.url,
      { format: "epochSeconds", start: iso(START + 500), column: "time" },
      { pagination: { type: "none" } },
    );
    expect(idsOf(await drain(options, { runtime: runtimeAt(START + 3 * HOUR) }))).toEqual([0, 1]);
  });

  it("The error of time ranges names a column that the schema lacks", async () => {
    const error = await failure(() =>
      rowsIn(rangeOptions("http://127.0.0.1:1/", { column: "when" }), { from: iso(0), to: iso(1) }),
    );
    expect(error).toMatchObject({ code: "OPTIONS_INVALID", message: expect.stringContaining('"when"') });
  });

  it("The conversion to Arrow names a row with a wrong time", async () => {
    const api = await serve(() => ({ json: { data: [{ id: 1, time: "yesterday" }] } }));
    const options = rangeOptions(api.url, { column: "time" }, { pagination: { type: "none" } });
    const error = await failure(() => rowsIn(options, { from: iso(START), to: iso(START + HOUR) }));
    expect(error).toMatchObject({ code: "ROW_MISMATCH", where: { row: 1, field: "time" } });
  });
});

describe("the end of a stream by time", () => {
  const url = "http://127.0.0.1:1/"; // The planner sends no request to the API.
  const endAt = (runtime: Runtime, timeRange: Partial<TimeRange>, start = START): unknown =>
    readerOf(rangeOptions(url, timeRange), runtime).latestOffset(
      { time: iso(start) },
      new ReadAllAvailable(),
    );

  it.each<[string, number, Partial<TimeRange>, number]>([
    ["stays lagSeconds behind the clock", START + HOUR, { lagSeconds: 90 }, START + HOUR - 90_000],
    [
      "stays 60 seconds behind by default",
      START + HOUR,
      { lagSeconds: undefined as never },
      START + HOUR - 60_000,
    ],
    ["is at whole seconds", START + 10_999, { lagSeconds: 0.5 }, START + 10_000],
    [
      "is at until, once the clock is past it",
      START + HOUR,
      { until: "2026-01-01T01:30:00+01:00" },
      START + HOUR / 2,
    ],
    [
      "waits for rows that come late also before until",
      START + HOUR,
      { until: iso(START + HOUR), lagSeconds: 60 },
      START + HOUR - 60_000,
    ],
    [
      "is at maxPartitionsPerBatch",
      START + 100 * HOUR,
      { partitionSeconds: 60, maxPartitionsPerBatch: 5 },
      START + 300_000,
    ],
    ["does not go back with the clock", START - HOUR, {}, START],
    ["is where it began while nothing is old enough", START + 59_000, { lagSeconds: 60 }, START],
    ["does not go back to an until that was moved", START + HOUR, { until: iso(START - HOUR) }, START],
  ])("The end of a stream by time %s", (_behaviour, now, timeRange, end) => {
    expect(endAt(runtimeAt(now), timeRange)).toEqual({ time: iso(end) });
  });

  it("The end of a stream by time is fixed when an available-now run begins", () => {
    const runtime = runtimeAt(START + HOUR);
    const reader = readerOf(rangeOptions(url), runtime);
    reader.prepareForTriggerAvailableNow();
    runtime.time += 10 * HOUR;
    expect(reader.latestOffset({ time: iso(START) }, new ReadAllAvailable())).toEqual({
      time: iso(START + HOUR),
    });
    expect(reader.latestOffset({ time: iso(START + HOUR) }, new ReadAllAvailable())).toEqual({
      time: iso(START + HOUR),
    });
    const elsewhere = readerOf(rangeOptions(url), runtime);
    elsewhere.restoreAvailableNow(reader.availableNowTarget() as JsonValue);
    expect(elsewhere.latestOffset({ time: iso(START) }, new ReadAllAvailable())).toEqual({
      time: iso(START + HOUR),
    });
  });

  it("A stream by time begins at start, in UTC, and compares its offsets", () => {
    const reader = readerOf(rangeOptions(url, { start: "2026-01-01T05:30:00+05:30" }));
    expect(reader.initialOffset()).toEqual({ time: iso(START) });
    expect(reader.compareOffsets?.({ time: iso(START) }, { time: iso(START + 1) })).toBeLessThan(0);
    expect(reader.compareOffsets?.({ time: iso(START) }, { time: iso(START) })).toBe(0);
  });
});
