import type { ServerResponse } from "node:http";
import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toRecordBatches } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import {
  type Pagination,
  RestApi,
  type RestApiOptions,
  type TimeRange,
} from "../../../shared/connectors/rest-api/index.ts";
import { OPTIONS } from "../../../shared/connectors/rest-api/options.ts";
import { parseNextLink } from "../../../shared/connectors/rest-api/response-headers.ts";
import type { Runtime, TaskContext } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { MillraceError } from "../../../shared/contract/errors.ts";
import type { JsonValue } from "../../../shared/contract/json.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { ReadAllAvailable } from "../../../shared/contract/read-limit.ts";
import type {
  DataSourceStreamReader,
  SupportsTriggerAvailableNow,
} from "../../../shared/contract/stream-reader.ts";
import {
  type Api,
  type Asked,
  failure,
  type Reply,
  type Respond,
  runtimeAt,
  serve,
} from "../../support/api-server.ts";
import { withStores } from "../../support/runtime.ts";

type Reader = DataSourceStreamReader<object, unknown> &
  Required<SupportsTriggerAvailableNow> & { prepareForTriggerAvailableNow(): void };
const task = { signal: new AbortController().signal } as TaskContext;
const json = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

function readerOf(options: RestApiOptions, runtime: Runtime = runtimeAt(0)): Reader {
  const api = new RestApi(OPTIONS.parse(options), withStores(runtime));
  return api.streamReader(parseDdl(api.schema())) as Reader;
}

/** The rows of a partition, read by a reader of its own, as in a task. */
async function rowsIn(
  options: RestApiOptions,
  partition: unknown,
  runtime?: Runtime,
): Promise<Record<string, unknown>[]> {
  const rows = await readerOf(options, runtime).read(json(partition), task);
  const batches = await Array.fromAsync(toRecordBatches(parseDdl(options.schema ?? ""), rows, {}));
  return batches.flatMap((batch) => [...rowsOf(batch)]);
}

interface Drained {
  readonly end: object;
  readonly rows: readonly Record<string, unknown>[];
  /** For each batch the rows of each of its partitions. */
  readonly batches: readonly (readonly number[])[];
  readonly offsets: readonly object[];
  readonly partitions: readonly unknown[];
}

/** Runs batches until nothing is new, as the engine does: offsets and partitions go through JSON. */
async function drain(
  options: RestApiOptions,
  given: { reader?: Reader; start?: object; runtime?: Runtime; after?: () => void } = {},
): Promise<Drained> {
  const reader = given.reader ?? readerOf(options, given.runtime);
  let start = given.start ?? json(await reader.initialOffset());
  const drained = {
    rows: [] as Record<string, unknown>[],
    batches: [] as number[][],
    offsets: [start],
    partitions: [] as unknown[],
  };
  for (;;) {
    const end = json(await reader.latestOffset(start, new ReadAllAvailable()));
    if (JSON.stringify(end) === JSON.stringify(start)) return { end, ...drained };
    const partitions = json(await reader.partitions(start, end));
    const perPartition = await Promise.all(
      partitions.map((partition) => rowsIn(options, partition, given.runtime)),
    );
    drained.rows.push(...perPartition.flat());
    drained.batches.push(perPartition.map((rows) => rows.length));
    drained.partitions.push(...partitions);
    drained.offsets.push(end);
    start = end;
    given.after?.();
  }
}

const KINDS: readonly Pagination[] = [
  { type: "offset" },
  { type: "offset", offsetParam: "skip", limitParam: "top", first: 1 },
  { type: "page" },
  { type: "page", pageParam: "p", sizeParam: "n", first: 0 },
  { type: "cursor", cursorPath: "meta.next", cursorParam: "after", sizeParam: "n" },
  { type: "link", sizeParam: "n" },
  { type: "none" },
];
const kinds = KINDS.map((pagination) => [JSON.stringify(pagination), pagination] as const);

/** One page of `items` as an API with this pagination answers it, written without the connector's code. */
function page(pagination: Pagination, items: readonly unknown[], { url }: Asked): Reply {
  const number = (name: string, otherwise = 0): number => Number(url.searchParams.get(name) ?? otherwise);
  const slice = (from: number, size: number): unknown[] => items.slice(from, from + size);
  switch (pagination.type) {
    case "offset": {
      const from = number(pagination.offsetParam ?? "offset", Number.NaN) - (pagination.first ?? 0);
      return { json: { data: slice(from, number(pagination.limitParam ?? "limit")) } };
    }
    case "page": {
      const size = number(pagination.sizeParam ?? "per_page");
      return {
        json: {
          data: slice(
            (number(pagination.pageParam ?? "page", Number.NaN) - (pagination.first ?? 1)) * size,
            size,
          ),
        },
      };
    }
    case "cursor": {
      const from = Number(url.searchParams.get("after")?.slice(2) ?? 0);
      const to = from + number("n");
      return {
        json: { data: slice(from, number("n")), meta: { next: to < items.length ? `c-${to}` : null } },
      };
    }
    case "link": {
      const [from, size] = [number("from"), number("n")];
      const next = new URL(url);
      next.searchParams.set("from", String(from + size));
      const link = `<${next}>; rel="next"`;
      return { json: { data: slice(from, size) }, headers: from + size < items.length ? { link } : {} };
    }
    case "none":
      return { json: { data: items } };
  }
}

const listOptions = (url: string, more: Partial<RestApiOptions> = {}): RestApiOptions => ({
  url,
  schema: "id int",
  rows: "data",
  pageSize: 3,
  ...more,
});
const idsUpTo = (count: number): { id: number }[] => Array.from({ length: count }, (_, id) => ({ id }));

describe.each(kinds)("a list that grows, with the pagination %s", (_name, pagination) => {
  async function growing(): Promise<{
    items: { id: number }[];
    grow(count: number): void;
    api: Api;
    options: RestApiOptions;
  }> {
    const items: { id: number }[] = [];
    const api = await serve((asked) => page(pagination, items, asked));
    const grow = (count: number): void => {
      for (let i = 0; i < count; i++) items.push({ id: items.length });
    };
    return { items, grow, api, options: listOptions(api.url, { pagination }) };
  }

  it("is read without loss and without repetition, however it grows", async () => {
    const list = await growing();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 5 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 3 }),
        fc.boolean(),
        async (steps, pageSize, maxPagesPerBatch, availableNow) => {
          list.items.length = 0;
          const options = { ...list.options, pageSize, maxPagesPerBatch };
          const seen: unknown[] = [];
          let start: object | undefined;
          for (const step of steps) {
            list.grow(step);
            const reader = readerOf(options);
            if (availableNow) reader.prepareForTriggerAvailableNow();
            const drained = await drain(options, { reader, ...(start === undefined ? {} : { start }) });
            seen.push(...drained.rows);
            start = drained.end;
          }
          expect(seen).toEqual(list.items);
        },
      ),
      { numRuns: 25 },
    );
  });

  it("goes on at the same row where the size of its pages was changed", async () => {
    const { grow, options } = await growing();
    grow(25);
    const first = await drain({ ...options, pageSize: 10 });
    grow(35);
    const second = await drain({ ...options, pageSize: 20 }, { start: first.end });
    grow(5);
    const smaller = { ...options, pageSize: 7 };
    if (pagination.type === "cursor") {
      // What a cursor of larger pages stands for cannot be found in smaller ones: told, never guessed.
      expect((await failure(() => drain(smaller, { start: second.end }))).code).toBe("LIST_SHRANK");
      return;
    }
    const third = await drain(smaller, { start: second.end });
    expect(await drain({ ...options, pageSize: 9 }, { start: third.end })).toMatchObject({ batches: [] });
    expect([first, second, third].map((drained) => drained.rows.length)).toEqual([25, 35, 5]);
  });

  it("is replayed as it was planned, though the size of its pages was changed since", async () => {
    const { grow, options } = await growing();
    grow(30);
    const { partitions } = await drain({ ...options, pageSize: 10 });
    const replayed = await Promise.all(
      partitions.map((partition) => rowsIn({ ...options, pageSize: 7 }, partition as never)),
    );
    expect(replayed.flat()).toEqual(idsUpTo(30));
  });

  it("gives no batch while it is empty, or has nothing new", async () => {
    const { grow, options } = await growing();
    expect((await drain(options)).batches).toEqual([]);
    grow(3);
    const { end } = await drain(options);
    expect(await drain(options, { start: end })).toMatchObject({ batches: [], end });
  });

  it("is read a page a partition, maxPagesPerBatch at a time", async () => {
    const { grow, options } = await growing();
    grow(10);
    const { batches } = await drain({ ...options, maxPagesPerBatch: 2 });
    expect(batches).toEqual(
      pagination.type === "none"
        ? [[10]]
        : [
            [3, 3],
            [3, 1],
          ],
    );
  });

  it("is read up to what was there when an available-now run began", async () => {
    const { grow, api, options } = await growing();
    grow(10);
    const reader = readerOf({ ...options, maxPagesPerBatch: 2 });
    reader.prepareForTriggerAvailableNow();
    const { rows, batches, end } = await drain(options, { reader, after: () => grow(5) });
    expect(rows).toEqual(idsUpTo(10));
    expect(batches.flat()).toEqual(pagination.type === "none" ? [10] : [3, 3, 3, 1]);
    const pages = batches.flat().length;
    expect(api.asked).toHaveLength(2 * pages);
    reader.prepareForTriggerAvailableNow();
    expect((await drain(options, { reader, start: end })).rows[0]).toEqual({ id: 10 });
  });

  it("is read up to what was there when an available-now run began, though each batch is planned by a reader of its own", async () => {
    const { grow, options } = await growing();
    grow(10);
    const bounded = { ...options, maxPagesPerBatch: 2 };
    const rows: unknown[] = [];
    let target: JsonValue | undefined;
    let start = readerOf(bounded).initialOffset() as object;
    for (;;) {
      const reader = readerOf(bounded);
      if (target === undefined) reader.prepareForTriggerAvailableNow();
      else reader.restoreAvailableNow(JSON.parse(JSON.stringify(target)));
      const end = await reader.latestOffset(start, new ReadAllAvailable());
      target = await reader.availableNowTarget();
      if (JSON.stringify(end) === JSON.stringify(start)) break;
      for (const partition of await reader.partitions(start, end))
        rows.push(...(await rowsIn(bounded, partition as never)));
      start = end as object;
      grow(3);
    }
    expect(rows).toEqual(idsUpTo(10));
  });

  it("gives the same rows again for the same partition after it has grown", async () => {
    const { grow, options } = await growing();
    grow(4);
    const { partitions, rows } = await drain(options);
    grow(4);
    expect((await Promise.all(partitions.map((partition) => rowsIn(options, partition)))).flat()).toEqual(
      rows,
    );
  });

  it("is an error when it has shrunk", async () => {
    const { items, grow, api, options } = await growing();
    grow(5);
    const { end, partitions } = await drain(options);
    items.length = 4;
    const expected = {
      code: "LIST_SHRANK",
      retryable: false,
      where: { url: expect.stringContaining(api.url) },
    };
    expect(await failure(() => readerOf(options).latestOffset(end, new ReadAllAvailable()))).toMatchObject(
      expected,
    );
    expect(await failure(() => rowsIn(options, partitions.at(-1)))).toMatchObject(expected);
  });

  it("keeps the configured query on every page", async () => {
    const { grow, api, options } = await growing();
    grow(7);
    await drain({ ...options, query: { kind: "a b", n2: 5, flag: true } });
    expect(
      new Set(
        api.asked.map(({ url }) => ["kind", "n2", "flag"].map((name) => url.searchParams.get(name)).join()),
      ),
    ).toEqual(new Set(["a b,5,true"]));
  });
});

const HOUR = 3_600_000;
const START = Date.parse("2026-01-01T00:00:00Z");
const iso = (time: number): string => new Date(time).toISOString();

interface RangeApi extends Api {
  readonly events: { id: number; time: number }[];
}

/** An API of events that is asked by ranges of time; `slack` milliseconds more come at both ends. */
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
  it.each(kinds)("with the pagination %s give every row once", async (_name, pagination) => {
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
    "written as %s, with an inclusive end: %s, leave no gap and never overlap",
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
  ])("are sent as %s, one unit less where the end is inclusive", async (format, since, before, inclusive) => {
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
  });

  it.each<[string, (time: number) => unknown, RestApiOptions["columns"]]>([
    ["timestamp", iso, {}],
    ["timestamp", Number, { time: { path: "time", epoch: "milliseconds" } }],
    ["timestamp_ntz", (time) => iso(time).slice(0, -1), {}],
  ])("drop rows of the neighbours where column names a %s", async (type, write, columns) => {
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

  it("believe the API where no column is named", async () => {
    const api = await rangeApi({ type: "none" }, "iso", false, HOUR);
    api.events.push({ id: 0, time: START + 1.5 * HOUR });
    const options = rangeOptions(api.url, {}, { pagination: { type: "none" } });
    expect((await drain(options, { runtime: runtimeAt(START + 2 * HOUR) })).batches).toEqual([[1, 1]]);
  });

  it("lose no row between the last unit and the end, where the end is inclusive and column tells the time", async () => {
    const api = await rangeApi({ type: "none" }, "epochSeconds", true);
    api.events.push({ id: 0, time: START + HOUR - 500 }, { id: 1, time: START + HOUR });
    const options = rangeOptions(
      api.url,
      { format: "epochSeconds", endInclusive: true, column: "time" },
      { pagination: { type: "none" } },
    );
    expect(idsOf(await drain(options, { runtime: runtimeAt(START + 2 * HOUR) }))).toEqual([0, 1]);
  });

  it("lose no row where the stream begins within a second and the API takes whole seconds", async () => {
    const api = await rangeApi({ type: "none" }, "epochSeconds");
    api.events.push({ id: 0, time: START + 700 }, { id: 1, time: START + HOUR + 700 });
    const options = rangeOptions(
      api.url,
      { format: "epochSeconds", start: iso(START + 500), column: "time" },
      { pagination: { type: "none" } },
    );
    expect(idsOf(await drain(options, { runtime: runtimeAt(START + 3 * HOUR) }))).toEqual([0, 1]);
  });

  it("name a column that the schema has", async () => {
    const error = await failure(() =>
      rowsIn(rangeOptions("http://127.0.0.1:1/", { column: "when" }), { from: iso(0), to: iso(1) }),
    );
    expect(error).toMatchObject({ code: "OPTIONS_INVALID", message: expect.stringContaining('"when"') });
  });

  it("let the conversion to Arrow name a row whose time is none", async () => {
    const api = await serve(() => ({ json: { data: [{ id: 1, time: "yesterday" }] } }));
    const options = rangeOptions(api.url, { column: "time" }, { pagination: { type: "none" } });
    const error = await failure(() => rowsIn(options, { from: iso(START), to: iso(START + HOUR) }));
    expect(error).toMatchObject({ code: "ROW_MISMATCH", where: { row: 1, field: "time" } });
  });
});

describe("the end of a stream by time", () => {
  const url = "http://127.0.0.1:1/"; // Planning asks nothing of the API.
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
  ])("%s", (_behaviour, now, timeRange, end) => {
    expect(endAt(runtimeAt(now), timeRange)).toEqual({ time: iso(end) });
  });

  it("is fixed when an available-now run begins", () => {
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

  it("begins at start, in UTC, and can be compared", () => {
    const reader = readerOf(rangeOptions(url, { start: "2026-01-01T05:30:00+05:30" }));
    expect(reader.initialOffset()).toEqual({ time: iso(START) });
    expect(reader.compareOffsets?.({ time: iso(START) }, { time: iso(START + 1) })).toBeLessThan(0);
    expect(reader.compareOffsets?.({ time: iso(START) }, { time: iso(START) })).toBe(0);
  });
});

/** The rows of one answer of one page. */
async function read(
  reply: Reply | Respond,
  more: Partial<RestApiOptions> = {},
  runtime: Runtime = runtimeAt(0),
) {
  const api = await serve(typeof reply === "function" ? reply : () => reply);
  const options: RestApiOptions = {
    url: api.url,
    schema: "id bigint",
    pagination: { type: "none" },
    ...more,
  };
  return { api, rows: rowsIn(options, { page: null, from: 0, to: 1 }, runtime) };
}
const failed = async (...args: Parameters<typeof read>): Promise<MillraceError & { api: Api }> => {
  const { api, rows } = await read(...args);
  return Object.assign(await failure(() => rows), { api });
};
const column = async (type: string, record: string, path?: RestApiOptions["columns"]): Promise<unknown> => {
  const { rows } = await read(
    { text: `[${record}]` },
    { schema: `v ${type}`, ...(path === undefined ? {} : { columns: path }) },
  );
  return (await rows)[0]?.["v"];
};

describe("values", () => {
  it.each([
    ["bigint", "9007199254740993", "9007199254740993"],
    ["bigint", "-9223372036854775808", "-9223372036854775808"],
    ["bigint", "9007199254740991", 9007199254740991],
    ["decimal(38,0)", "99999999999999999999999999999999999999", "99999999999999999999999999999999999999"],
    ["double", "0.12345678901234566", 0.12345678901234566],
    ["double", "12345678901234567.5", 12345678901234568],
    ["double", "100000000000000000000", 1e20],
    ["double", "1e20", 1e20],
    ["string", '"9007199254740993"', "9007199254740993"],
    ["array<bigint>", "[1,18014398509481985]", [1, "18014398509481985"]],
  ])("%s takes %s from JSON without loss", async (type, text, expected) => {
    expect(await column(type, `{"v":${text}}`)).toEqual(expected);
  });

  it.each<[string, RestApiOptions["columns"], unknown]>([
    ["{}", undefined, null],
    ['{"v":null}', undefined, null],
    ['{"a":{"b":["x"]}}', { v: "a.b.0" }, "x"],
    ['{"a":{"b":["x"]}}', { v: "a.b.1" }, null],
    ['{"a":{"b":["x"]}}', { v: "a.c.d.e" }, null],
    ['{"a":"text"}', { v: "a.length" }, null],
    ['{"a":null}', { v: { path: "a.b" } }, null],
    ["{}", { v: "constructor.name" }, null],
  ])(
    "of %s at %o lie where the path says, null where there is nothing",
    async (record, columns, expected) => {
      expect(await column("string", record, columns)).toBe(expected);
    },
  );

  it("are null also where a column is named as something that every JavaScript object has", async () => {
    const { rows } = await read({ text: '[{"id":1}]' }, { schema: "id bigint, constructor string" });
    expect(await rows).toEqual([{ id: 1, constructor: null }]);
  });

  it("under another name than the schema's are an error, not null, in the first record of a page", async () => {
    const json = [{ id: 1, userName: "a" }];
    const error = await failed({ json }, { schema: "id bigint, user_name string" });
    expect(error).toMatchObject({
      code: "COLUMN_MISNAMED",
      message: 'column "user_name" is not there, but "userName" is',
      where: { url: error.api.url },
      hint: 'Call it "userName" in the schema, or set columns: { "user_name": "userName" }.',
    });
  });

  it.each<[string, RestApiOptions["columns"], object]>([
    ["columns", { user_name: "userName" }, { id: 1, user_name: "a" }],
    ["columns, where it is another one", { id: "userName" }, { id: "a", user_name: null }],
    ["columns, as nothing", { user_name: "user_name" }, { id: 1, user_name: null }],
  ])("may have another name than the schema's where that is told by %s", async (_, columns, expected) => {
    const schema =
      columns?.["id"] === undefined ? "id bigint, user_name string" : "id string, user_name string";
    const { rows } = await read({ json: [{ id: 1, userName: "a" }] }, { schema, columns: columns ?? {} });
    expect(await rows).toEqual([expected]);
  });

  it("of a column whose name has dots lie under that name, unless columns has a path for it", async () => {
    const { rows } = await read({ text: '[{"a.b":1,"a":{"b":2}}]' }, { schema: "`a.b` bigint" });
    expect(await rows).toEqual([{ "a.b": 1 }]);
  });

  it.each<["seconds" | "milliseconds" | "microseconds", string, string | null]>([
    ["seconds", "1767225600", "2026-01-01T00:00:00.000Z"],
    ["seconds", "1767225600.000001", "2026-01-01T00:00:00.000001Z"],
    ["seconds", "-0.5", "1969-12-31T23:59:59.500Z"],
    ["milliseconds", "1767225600123", "2026-01-01T00:00:00.123Z"],
    ["milliseconds", "1767225600123.25", "2026-01-01T00:00:00.123250Z"],
    ["microseconds", "1767225600123456", "2026-01-01T00:00:00.123456Z"],
    ["milliseconds", "null", null],
    ["milliseconds", '"2026-01-01T00:00:00Z"', "2026-01-01T00:00:00.000Z"],
  ])("that count %s since 1970 become times: %s", async (epoch, text, expected) => {
    expect(await column("timestamp", `{"at":${text}}`, { v: { path: "at", epoch } })).toBe(expected);
  });

  it.each<[unknown, string | undefined, string]>([
    [{ items: [] }, undefined, "the answer is an object, not an array of records"],
    [{ items: [] }, "data.items", '"data.items" in the answer is undefined, not an array of records'],
    [
      { data: { items: "x" } },
      "data.items",
      '"data.items" in the answer is a string of 1 character, not an array of records',
    ],
  ])("that are not where rows says are an error: %o, %s", async (body, rows, problem) => {
    const error = await failed({ json: body }, rows === undefined ? {} : { rows });
    expect(error).toMatchObject({
      code: "ROWS_NOT_FOUND",
      message: `GET ${error.api.url}: ${problem}`,
      retryable: false,
    });
  });
});

describe("requests that fail", () => {
  const once =
    (reply: Reply) =>
    (_asked: Asked, count: number): Reply =>
      count === 1 ? reply : { text: '[{"id":1}]' };

  it.each([408, 425, 429, 500, 502, 503, 504])("with %d are tried again", async (status) => {
    const runtime = runtimeAt(0);
    const { rows } = await read(once({ status }), {}, runtime);
    expect(await rows).toEqual([{ id: 1 }]);
    expect(runtime.sleeps).toEqual([250]);
  });

  it.each([400, 401, 403, 404, 410, 422, 501])("with %d are not tried again", async (status) => {
    const runtime = runtimeAt(0);
    const error = await failed({ status }, {}, runtime);
    expect(error).toMatchObject({
      code: "HTTP_STATUS",
      message: `GET ${error.api.url} answered ${status}`,
      where: { url: error.api.url, status },
      retryable: false,
    });
    expect([error.api.asked.length, runtime.sleeps]).toEqual([1, []]);
  });

  it("for ever are given up after maxRetries, with the URL and the status", async () => {
    const runtime = runtimeAt(0);
    const error = await failed(
      { status: 500 },
      { query: { q: "x" }, maxRetryDelaySeconds: 1, maxRetries: 4 },
      runtime,
    );
    const url = `${error.api.url}?q=x`;
    expect(error).toMatchObject({
      code: "HTTP_STATUS",
      message: `GET ${url} answered 500`,
      where: { url, status: 500 },
      retryable: true,
    });
    expect(error.hint).toContain("The API is at fault");
    expect([error.api.asked.length, runtime.sleeps]).toEqual([5, [250, 500, 1000, 1000]]);
  });

  it("are not tried again where maxRetries is 0", async () => {
    expect((await failed({ status: 500 }, { maxRetries: 0 })).api.asked).toHaveLength(1);
  });

  const now = "2026-11-21T03:00:00.500Z";
  it.each([
    ["7", 7000],
    [" 0 ", 250],
    ["Sat, 21 Nov 2026 03:00:30 GMT", 29_500],
    ["Sat, 21 Nov 2026 02:00:00 GMT", 250],
    ["soon", 250],
    ["60", 60_000],
  ])("with Retry-After: %s wait as long as that says, and no less than without it", async (header, delay) => {
    const runtime = runtimeAt(now);
    const { rows } = await read(once({ status: 429, headers: { "retry-after": header } }), {}, runtime);
    expect(await rows).toEqual([{ id: 1 }]);
    expect(runtime.sleeps).toEqual([delay]);
  });

  it("wait for a random part of the time, so that tasks that failed together do not come back together", async () => {
    const runtime = runtimeAt(0, {}, 0.3);
    await failed({ status: 500 }, { maxRetries: 3 }, runtime);
    expect(runtime.sleeps).toEqual([75, 150, 300]);
    const asked = runtimeAt(0, {}, 0);
    await failed({ status: 429, headers: { "retry-after": "2" } }, { maxRetries: 1 }, asked);
    expect(asked.sleeps).toEqual([2000]);
  });

  it.each(["61", "Sat, 21 Nov 2026 03:02:00 GMT"])(
    "with Retry-After: %s beyond maxRetryDelaySeconds are given up at once",
    async (header) => {
      const runtime = runtimeAt(now);
      const error = await failed({ status: 429, headers: { "retry-after": header } }, {}, runtime);
      expect(error).toMatchObject({ code: "HTTP_STATUS", where: { status: 429 }, retryable: true });
      expect([error.api.asked.length, runtime.sleeps]).toEqual([1, []]);
    },
  );

  it.each(["content-length", "transfer-encoding"])(
    "because the connection was cut in the middle of the body (%s) are tried again",
    async (header) => {
      const runtime = runtimeAt(0);
      const { api, rows } = await read(
        (_asked, count, response) => {
          if (count > 2) return { text: '[{"id":1}]' };
          response.writeHead(
            200,
            header === "content-length" ? { "content-length": "10" } : { "transfer-encoding": "chunked" },
          );
          response.write('[{"id"', () => response.destroy());
          return undefined;
        },
        {},
        runtime,
      );
      expect(await rows).toEqual([{ id: 1 }]);
      expect([api.asked.length, runtime.sleeps]).toEqual([3, [250, 500]]);
    },
  );

  it("because nobody answers say why", async () => {
    const runtime = runtimeAt(0);
    const { api, rows } = await read(
      (_asked, _count, response) => void response.destroy(),
      { maxRetries: 2 },
      runtime,
    );
    const error = await failure(() => rows);
    expect(error).toMatchObject({ code: "HTTP_FAILED", retryable: true, where: { url: api.url } });
    expect(error.message).toMatch(/^GET http:\S+\/items failed: [A-Z_]+: ./);
    expect(api.asked).toHaveLength(3);
  });

  it("because the answer takes longer than timeoutSeconds say so", async () => {
    const runtime = runtimeAt(0);
    const hang = (_asked: Asked, _count: number, response: ServerResponse) =>
      void response.writeHead(200).write("[");
    const error = await failed(hang, { timeoutSeconds: 0.02, maxRetries: 1 }, runtime);
    expect(error).toMatchObject({
      code: "HTTP_FAILED",
      message: `GET ${error.api.url} failed: no answer within 0.02 s`,
    });
    expect(runtime.sleeps).toEqual([250]);
  });

  it("are not tried again once the task was told to stop", async () => {
    const controller = new AbortController();
    const runtime = runtimeAt(0);
    const api = await serve(() => {
      controller.abort();
      return { status: 503 };
    });
    const reader = readerOf({ url: api.url, schema: "id int", pagination: { type: "none" } }, runtime);
    const rows = (await reader.read(
      { page: null, from: 0, to: 1 },
      { ...task, signal: controller.signal },
    )) as AsyncIterable<unknown>;
    await failure(() => Array.fromAsync(rows));
    expect([api.asked.length, runtime.sleeps]).toEqual([1, []]);
  });

  it.each(["<!doctype html><p>Sign in", "", "[{]"])(
    "because the body is not JSON are not tried again: %o",
    async (text) => {
      const error = await failed({ text, headers: { "content-type": "text/html" } });
      expect(error).toMatchObject({
        code: "HTTP_NOT_JSON",
        message: `GET ${error.api.url} answered 200 with a body that is not JSON`,
        where: { url: error.api.url, status: 200 },
        retryable: false,
      });
      expect(error.api.asked).toHaveLength(1);
    },
  );
});

describe("secrets", () => {
  const env = { TOKEN: "s3cret-bearer", KEY: "s3cret-query &", HEADER: "s3cret-header" };
  const secrets: Partial<RestApiOptions> = {
    bearerToken: { env: "TOKEN" },
    headers: { "x-api-key": { env: "HEADER" }, "x-plain": "plain" },
    query: { api_key: { env: "KEY" }, kind: "a" },
  };
  /** All that an error shows to anybody, with its causes and stacks. */
  const shown = (value: unknown): string => inspect(value, { depth: 20 }) + JSON.stringify(value);

  /** An API that echoes what it was sent, in the links too. */
  const echoing =
    (items: readonly unknown[]) =>
    (asked: Asked): Reply => {
      const reply = page({ type: "link" }, items, { ...asked, url: new URL(asked.url) });
      return { ...reply, json: { ...(reply.json as object), echo: asked.headers, url: asked.url.href } };
    };
  const linked = (url: string): RestApiOptions =>
    listOptions(url, { ...secrets, pagination: { type: "link", sizeParam: "n" } });

  it.each(kinds)(
    "are sent with every request, and are in no offset and no partition, with the pagination %s",
    async (_name, pagination) => {
      const items = idsUpTo(7);
      const api = await serve((asked) =>
        pagination.type === "link" ? echoing(items)(asked) : page(pagination, items, asked),
      );
      const drained = await drain({ ...linked(api.url), pagination }, { runtime: runtimeAt(0, env) });
      expect(drained.rows).toEqual(items);
      for (const { url, headers } of api.asked) {
        expect(url.searchParams.getAll("api_key")).toEqual([env.KEY]);
        expect(url.searchParams.get("kind")).toBe("a");
        expect(headers).toMatchObject({
          authorization: "Bearer s3cret-bearer",
          "x-api-key": "s3cret-header",
          "x-plain": "plain",
        });
      }
      expect(shown([drained.offsets, drained.partitions])).not.toContain("s3cret");
    },
  );

  it.each<[string, Reply]>([
    ["a status", { status: 401, json: { echo: Object.values(env) } }],
    ["a status that is tried again", { status: 503, json: { echo: Object.values(env) } }],
    ["a body without rows", { json: { echo: Object.values(env) } }],
    ["a body that is not JSON", { text: `${env.TOKEN} is no good key` }],
    [
      "a redirect to nowhere",
      { status: 302, headers: { location: `http://127.0.0.1:1/?api_key=${env.HEADER}` } },
    ],
    [
      "a link to another origin",
      {
        json: { data: [{ id: 1 }] },
        headers: { link: `<http://127.0.0.1:1/?api_key=${env.HEADER}>; rel=next` },
      },
    ],
  ])("are in no error that comes from %s, with its cause", async (_what, reply) => {
    const api = await serve(() => reply);
    const error = await failure(() =>
      readerOf({ ...linked(api.url), maxRetries: 1 }, runtimeAt(0, env)).latestOffset(
        { page: null, row: 0 },
        new ReadAllAvailable(),
      ),
    );
    expect(shown(error)).not.toContain("s3cret");
    expect(shown(error.toRecord())).not.toContain("s3cret");
  });

  it("are in no error when they cannot be sent, because an environment variable has two lines", async () => {
    const api = await serve(() => ({ json: [] }));
    const options: RestApiOptions = { url: api.url, schema: "id int", bearerToken: { env: "TOKEN" } };
    const thrown: unknown = await rowsIn(
      options,
      { page: null, from: 0, to: 1 },
      runtimeAt(0, { TOKEN: "s3cret\nline" }),
    ).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(Error);
    expect(shown(thrown)).not.toContain("s3cret");
  });

  it("are in no offset where a link has them under a name of its own", async () => {
    const items = idsUpTo(7);
    const api = await serve((asked) => {
      asked.url.searchParams.set("access_token", env.TOKEN);
      return page({ type: "link" }, items, asked);
    });
    const drained = drain(linked(api.url), { runtime: runtimeAt(0, env) });
    // Refusing the link is as good as following it without the secret.
    const result: unknown = await drained.catch((error: unknown) => error);
    expect(shown(result)).not.toContain("s3cret");
  });

  it("are not sent to another origin, to which the API redirects", async () => {
    const other = await serve(() => ({ json: { data: [{ id: 1 }] } }));
    const api = await serve(() => ({ status: 302, headers: { location: other.url } }));
    await rowsIn(linked(api.url), { page: null, from: 0, to: 1 }, runtimeAt(0, env)).catch(() => undefined);
    expect(shown(other.asked.map(({ url, headers }) => [url.href, headers]))).not.toContain("s3cret");
  });

  it("are looked up at each request, and named where they are missing or empty", async () => {
    const api = await serve(() => ({ json: { data: [] } }));
    for (const lacking of [{}, { ...env, TOKEN: "" }]) {
      const error = await failure(() =>
        rowsIn(linked(api.url), { page: null, from: 0, to: 0 }, runtimeAt(0, lacking)),
      );
      expect(error).toMatchObject({ code: "SECRET_MISSING", retryable: false });
      expect(error.message).toMatch(/^the environment variable (TOKEN|KEY) is not set$/);
    }
    expect(api.asked).toEqual([]);
  });

  it("in the URL are sent as basic authentication, and are in no error and no offset", async () => {
    const items = idsUpTo(5);
    const api = await serve((asked) =>
      asked.url.pathname === "/broken" ? { status: 404 } : page({ type: "link" }, items, asked),
    );
    const url = api.url.replace("//", "//us%40er:s3cret@");
    const drained = await drain(listOptions(url, { pagination: { type: "link", sizeParam: "n" } }));
    expect(drained.rows).toEqual(items);
    expect(new Set(api.asked.map(({ headers }) => headers.authorization))).toEqual(
      new Set([`Basic ${btoa("us@er:s3cret")}`]),
    );
    expect(shown(drained)).not.toContain("s3cret");
    const error = await failure(() =>
      rowsIn(listOptions(url.replace("items", "broken")), { page: null, from: 0, to: 1 }),
    );
    expect(shown(error)).not.toContain("s3cret");
  });
});

describe("links", () => {
  const linkTo = async (
    target: (origin: string) => string,
  ): Promise<{ api: Api; drained: Promise<Drained> }> => {
    const api = await serve(({ url }, count) => ({
      json: { data: [{ id: count - 1 }] },
      headers:
        url.pathname === "/items" && !url.searchParams.has("page")
          ? { link: `<${target(url.origin)}>; rel="next"` }
          : {},
    }));
    return { api, drained: drain(listOptions(api.url, { pagination: { type: "link" } })) };
  };

  it.each([
    "http://127.0.0.1:1/items?page=2",
    "https://example.com/",
    "//example.com/items?page=2",
    "ftp://127.0.0.1/",
  ])("to another origin are refused: %s", async (target) => {
    const { drained } = await linkTo(() => target);
    expect(await failure(() => drained)).toMatchObject({ code: "LINK_TO_OTHER_ORIGIN", retryable: false });
  });

  it.each([
    ["an absolute URL", (origin: string) => `${origin}/items?page=2`, "/items?page=2"],
    ["a path", () => "/more?page=2", "/more?page=2"],
    ["a query", () => "?page=2", "/items?page=2"],
    ["a path that begins with two slashes", (origin: string) => `${origin}//items?page=2`, "//items?page=2"],
  ])("may be %s", async (_what, target, asked) => {
    const { api, drained } = await linkTo(target);
    expect((await drained).batches).toEqual([[1, 1]]);
    expect(api.asked[1]?.url.href).toBe(new URL(api.url).origin + asked);
  });

  it("that lead around in a circle are an error, not an endless list", async () => {
    const api = await serve(({ url }, count) => {
      const next = url.searchParams.get("cursor") === "a" ? "b" : "a";
      return count > 20 ? { status: 404 } : { json: { data: [{ id: 1 }], meta: { next } } };
    });
    const options = listOptions(api.url, { pagination: { type: "cursor", cursorPath: "meta.next" } });
    expect(await failure(() => drain(options))).toMatchObject({ code: "PAGES_LOOP", retryable: false });
  });

  it("that lead back to their own page are an error", async () => {
    const api = await serve(() => ({ json: { data: [{ id: 1 }], meta: { next: "same" } } }));
    const options = listOptions(api.url, { pagination: { type: "cursor", cursorPath: "meta.next" } });
    const error = await failure(() => drain(options));
    expect(error).toMatchObject({
      code: "PAGES_LOOP",
      retryable: false,
      where: { url: `${api.url}?limit=3&cursor=same` },
    });
  });
});

describe("parseNextLink", () => {
  it.each<[string | null, string | undefined]>([
    [null, undefined],
    ["", undefined],
    ["<u>", undefined],
    ['<u>; rel="next"', "u"],
    ["<u>;rel=next", "u"],
    ["<u>; REL=NEXT", "u"],
    ['<u>; rel = "next"', "u"],
    ['<a>; rel="prev", <b>; rel="next"', "b"],
    ["<a>; rel=prev,<b>; rel=next,<c>; rel=last", "b"],
    ['<u>; rel="last next"', "u"],
    ['<u>; rel="nextish"', undefined],
    ['<u>; rel=prev; rel="next"', undefined],
    ["<u>; hreflang=en; crossorigin; rel=next", "u"],
    ["<http://h/?a=1,2;3&b=c>; rel=next", "http://h/?a=1,2;3&b=c"],
    ['<a>; rel="prev"; title="<b>; rel=next"', undefined],
    ['<a>; title="x, y; z"; rel=next', "a"],
    ['<a>; title="x; rel=next; y"; rel="prev"', undefined],
    ['<a>; title="say \\"next\\""; rel=next', "a"],
    ['<a>; title="next"', undefined],
    ["not a link", undefined],
  ])("finds in %s the target %s", (header, target) => {
    expect(parseNextLink(header)).toBe(target);
  });
});

describe("options", () => {
  const invalid = (options: object): Promise<MillraceError> =>
    failure(() => parseOptions(RestApi, options as Record<string, unknown>));

  it("that are unknown or wrong are all named in one error", async () => {
    const error = await invalid({
      url: "ftp://example.com",
      schema: "",
      pagsize: 10,
      MAXRETRIES: -1,
      pagination: { type: "cursor" },
      timeRange: { startParam: "a", endParam: "b", start: "yesterday", zone: "UTC" },
    });
    expect(error).toMatchObject({
      code: "OPTIONS_INVALID",
      message: expect.stringMatching(/^rest-api cannot use its options:/),
    });
    for (const name of [
      "url",
      "schema",
      "pagsize: there is no such option (did you mean pageSize?)",
      "maxRetries",
      "pagination.cursorPath",
      "timeRange.start",
      'timeRange: Unrecognized key: "zone"',
    ]) {
      expect(error.message).toContain(name);
    }
  });

  it("never show a value, which may be a secret in the wrong place", async () => {
    const error = await invalid({
      url: "s3cret",
      schema: "id int",
      bearerToken: "s3cret",
      headers: { a: 1 },
    });
    expect(inspect(error)).not.toContain("s3cret");
    expect(error.message).toContain("bearerToken");
  });

  it("name columns that the schema has", async () => {
    const error = await failed({ json: [{}] }, { columns: { ghost: "a" } });
    expect(error).toMatchObject({ code: "OPTIONS_INVALID", message: expect.stringContaining("ghost") });
  });

  it("need nothing but url and schema", async () => {
    const api = await serve(({ url }) => {
      const from = Number(url.searchParams.get("offset"));
      return { json: idsUpTo(150).slice(from, from + Number(url.searchParams.get("limit"))) };
    });
    const { batches } = await drain({ url: api.url, schema: "id int" });
    expect(batches).toEqual([[100, 50]]);
    expect(api.asked[0]?.headers.accept).toBe("application/json");
  });
});
