import { describe, expect, it } from "vitest";
import { toRecordBatches } from "../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { type Pagination, RestApi, type RestApiOptions } from "../../shared/connectors/rest-api/index.ts";
import type { DataSourceReader } from "../../shared/contract/batch-reader.ts";
import type { Runtime, TaskContext } from "../../shared/contract/context.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import {
  EqualTo,
  type Filter,
  GreaterThan,
  GreaterThanOrEqual,
  In,
  IsNotNull,
  LessThan,
  LessThanOrEqual,
  Not,
} from "../../shared/contract/filters.ts";
import { parseOptions } from "../../shared/contract/options/parse.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { type Api, failure, runtimeAt, serve, serveRows } from "../support/api-server.ts";
import { EngineWorld } from "../support/engine.ts";
import { withStores } from "../support/runtime.ts";

const task = { signal: new AbortController().signal } as TaskContext;
const SCHEMA = "id int, time timestamp";
const HOUR = 3_600_000;
const START = Date.parse("2026-01-01T00:00:00Z");
const iso = (time: number): string => new Date(time).toISOString();

async function apiOf(options: RestApiOptions, runtime: Runtime = runtimeAt(0)): Promise<RestApi> {
  return new RestApi((await parseOptions(RestApi, { ...options })) as never, withStores(runtime));
}

async function readerOf(
  options: RestApiOptions,
  runtime?: Runtime,
  schema = SCHEMA,
): Promise<DataSourceReader<unknown>> {
  return (await apiOf(options, runtime)).reader(parseDdl(schema));
}

/** Returns the rows of each partition. Each partition is read with a new reader, as in a task. */
async function read(options: RestApiOptions, runtime?: Runtime, schema = SCHEMA): Promise<unknown[][]> {
  const partitions = await (await readerOf(options, runtime, schema)).partitions();
  return await Promise.all(
    partitions.map(async (partition) => {
      const reader = await readerOf(options, runtime, schema);
      const rows = await reader.read(JSON.parse(JSON.stringify(partition)), task);
      const batches = await Array.fromAsync(toRecordBatches(parseDdl(schema), rows, {}));
      return batches.flatMap((batch) => [...rowsOf(batch)].map((row) => row["id"]));
    }),
  );
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe("a list that is read as a batch", () => {
  it.each<[Pagination, number]>([
    [{ type: "offset" }, 5],
    [{ type: "page" }, 5],
    [{ type: "cursor", cursorPath: "next" }, 4],
    [{ type: "link" }, 4],
    [{ type: "next", nextPath: "url", sizeParam: "per_page" }, 4],
    [{ type: "none" }, 1],
  ])(
    "A list that is read as a batch is read to its end in one partition, with the pagination %o",
    async (pagination, requests) => {
      const items = upTo(10).map((id) => ({ id, time: null }));
      const api = await serve(({ url }) => {
        const number = (name: string) => Number(url.searchParams.get(name) ?? 0);
        const size = pagination.type === "none" ? 10 : number("limit") || number("per_page");
        const from =
          pagination.type === "page" ? (number("page") - 1) * size : number("offset") + number("cursor");
        const hasMore = from + size < items.length;
        const link = `?offset=${from + size}&per_page=${size}`;
        return {
          json: {
            data: items.slice(from, from + size),
            ...(hasMore ? { next: from + size, url: link } : { next: null, url: null }),
          },
          headers: { link: `<${link}>; rel="${hasMore ? "next" : "first"}"` },
        };
      });
      const options: RestApiOptions = { url: api.url, rows: "data", pageSize: 3, pagination };
      expect(await read(options)).toEqual([upTo(10)]);
      expect(api.asked).toHaveLength(requests);
    },
  );

  it("A list that is read as a batch may be empty", async () => {
    const api = await serve(() => ({ json: [] }));
    expect(await read({ url: api.url })).toEqual([[]]);
  });
});

interface RangeApi extends Api {
  readonly options: RestApiOptions;
}

/** Starts an API that is read by time ranges. It has an event every half hour of a day. */
async function events(timeRange: Partial<RestApiOptions["timeRange"]> = {}): Promise<RangeApi> {
  const api = await serve(({ url }) => {
    const [since, before] = ["since", "before"].map((name) => Date.parse(url.searchParams.get(name) ?? ""));
    const all = upTo(48).map((id) => ({ id, time: START + (id * HOUR) / 2 }));
    const inside = all.filter(({ time }) => time >= (since ?? 0) && time < (before ?? 0));
    return { json: inside.map(({ id, time }) => ({ id, time: iso(time) })) };
  });
  const options: RestApiOptions = {
    url: api.url,
    pagination: { type: "none" },
    timeRange: { startParam: "since", endParam: "before", start: iso(START), ...timeRange },
  };
  return { ...api, options };
}

/** Returns the ranges that were asked for, less `margin` milliseconds at both ends. */
const askedRanges = (api: Api, margin = 0): string[] =>
  api.asked
    .map(({ url }) =>
      [iso(timeIn(url, "since") + margin), iso(timeIn(url, "before") - margin)]
        .map((time) => time.slice(11, 16))
        .join("-"),
    )
    .sort();
const timeIn = (url: URL, name: string): number => Date.parse(url.searchParams.get(name) ?? "");

describe("a range of time that is read as a batch", () => {
  it("A batch of a time range goes from start to until, however many partitions a stream may have", async () => {
    const { options, ...api } = await events({ until: iso(START + 2.5 * HOUR), maxPartitionsPerBatch: 1 });
    expect(await read(options, runtimeAt(START + 10 * HOUR))).toEqual([[0, 1], [2, 3], [4]]);
    expect(askedRanges(api)).toEqual(["00:00-01:00", "01:00-02:00", "02:00-02:30"]);
  });

  it("A batch of a time range goes to until even if that is within lagSeconds or in the future", async () => {
    const { options } = await events({ until: iso(START + HOUR), lagSeconds: 3600 });
    for (const now of [START, START + HOUR]) expect(await read(options, runtimeAt(now))).toEqual([[0, 1]]);
  });

  it("A batch of a time range without until ends lagSeconds behind the clock at planning", async () => {
    const { options } = await events({ lagSeconds: 90, partitionSeconds: 2 * 3600 });
    const runtime = runtimeAt(START + 2 * HOUR + 90_999);
    const partitions = await (await readerOf(options, runtime)).partitions();
    expect(partitions).toEqual([{ from: iso(START), to: iso(START + 2 * HOUR) }]);
    expect(await read(options, runtime)).toEqual([[0, 1, 2, 3]]);
  });

  it("A batch of a time range has no partition before its start, and an until before it is an error", async () => {
    const { options } = await events();
    expect(await (await readerOf(options, runtimeAt(START - HOUR))).partitions()).toEqual([]);
    const backwards = await events({ until: iso(START - HOUR) });
    expect(await failure(async () => (await readerOf(backwards.options)).partitions())).toMatchObject({
      code: "TIME_RANGE_INVALID",
    });
  });

  const at = (hours: number) => iso(START + hours * HOUR);

  it.each<[string, readonly Filter[], string[]]>([
    ["from a time on", [new GreaterThanOrEqual("time", at(22.5))], ["22:30-23:30", "23:30-00:00"]],
    ["after a time", [new GreaterThan("time", at(23))], ["23:00-00:00"]],
    ["before a time", [new LessThan("time", new Date(START + 1.5 * HOUR))], ["00:00-01:00", "01:00-01:30"]],
    ["up to a time", [new LessThanOrEqual("time", at(1))], ["00:00-01:00", "01:00-01:00"]],
    ["at a time", [new EqualTo("time", BigInt(START + 3 * HOUR) * 1000n)], ["03:00-03:00"]],
    [
      "between two times",
      [new LessThan("time", at(5)), new GreaterThanOrEqual("time", at(4.5)), new LessThan("time", at(9))],
      ["04:30-05:00"],
    ],
    ["in no time", [new LessThan("time", at(4)), new GreaterThan("time", at(5))], []],
    [
      "from before its start on",
      [new GreaterThan("time", at(-9)), new LessThan("time", at(1))],
      ["00:00-01:00"],
    ],
  ])(
    "A batch of a time range asks only for the ranges %s, if column names the time",
    async (_what, filters, ranges) => {
      const { options, ...api } = await events({ column: "time", until: at(24) });
      const { rows, sent } = await copied(options, filters);
      expect(askedRanges(api, 1000)).toEqual(ranges);
      expect(sent).toEqual(rows);
    },
  );

  it.each<[string, Filter, Partial<RestApiOptions["timeRange"]>]>([
    ["without column", new LessThan("time", at(1)), {}],
    ["for another column", new LessThan("id", 1), { column: "time" }],
    ["for a null", new LessThan("time", null), { column: "time" }],
    ["for what is negated", new Not(new LessThan("time", at(1))), { column: "time" }],
    ["for a list of times", new In("time", [at(1)]), { column: "time" }],
    ["for all that are there", new IsNotNull("time"), { column: "time" }],
  ])("A batch of a time range asks for all of it %s", async (_what, filter, more) => {
    const { options, ...api } = await events({ until: at(24), ...more });
    const { rows, sent } = await copied(options, [filter]);
    expect(api.asked).toHaveLength(24);
    expect(sent).toEqual(rows);
  });

  /**
   * Runs a batch pipeline with these filters. Returns the ids that it writes, and the expected ids.
   */
  async function copied(options: RestApiOptions, filters: readonly Filter[]) {
    const sink = await serveRows();
    const definition = pipeline("filtered")
      .read.format(RestApi)
      .options(options)
      .schema(SCHEMA)
      .filter(...filters)
      .write.format(RestApi)
      .options({ url: sink.url })
      .mode("append") as unknown as Pipeline;
    const result = await (await new EngineWorld().run(definition, "run")).batch();
    expect(result?.batch.state).toBe("committed");
    const ids = upTo(48).filter((id) => filters.every((filter) => passes(filter, id)));
    return { rows: ids, sent: sink.rows.map(({ id }) => Number(id)).sort((a, b) => a - b) };
  }

  /** Returns true if a row passes a filter. Does not use the engine's code. */
  function passes(filter: Filter, id: number): boolean {
    if (filter.kind === "Not") return !passes(filter.child, id);
    if (!("value" in filter)) return true;
    if (filter.value === null) return false;
    const time = START + (id * HOUR) / 2;
    const read = (value: unknown) =>
      typeof value === "bigint" ? Number(value / 1000n) : new Date(value as string).getTime();
    const [left, right] =
      filter.attribute[0] === "id" ? [id, Number(filter.value)] : [time, read(filter.value)];
    switch (filter.kind) {
      case "EqualTo":
        return left === right;
      case "LessThan":
        return left < right;
      case "LessThanOrEqual":
        return left <= right;
      case "GreaterThan":
        return left > right;
      case "GreaterThanOrEqual":
        return left >= right;
      case "In":
        return (filter.value as readonly string[]).some((value) => read(value) === time);
      default:
        throw new Error(filter.kind);
    }
  }
});

describe("the schema", () => {
  it("The schema is the one of the option, and its absence is an error", async () => {
    expect((await apiOf({ url: "http://127.0.0.1:1/", schema: "id int" })).schema()).toBe("id int");
    const api = await apiOf({ url: "http://127.0.0.1:1/" });
    expect(await failure(() => api.schema())).toMatchObject({
      code: "SCHEMA_REQUIRED",
      hint: expect.stringContaining(".schema("),
    });
  });
});

describe("an error of a row", () => {
  const pages = async (bad: unknown) =>
    await serve(({ url }) => {
      const from = Number(url.searchParams.get("offset"));
      return { json: [0, 1, 2, 3, 4, 5, 6].map((id) => (id === 4 ? bad : { id })).slice(from, from + 3) };
    });

  it.each<[string, unknown, string]>([
    ["ROW_MISMATCH", { id: "four" }, 'row 5, field "id"'],
    ["ROW_NOT_A_ROW", "four", "in place of a record"],
  ])("The row error %s names the URL of its page, in a batch", async (code, bad, message) => {
    const api = await pages(bad);
    const error = await failure(() => read({ url: api.url, pageSize: 3 }, undefined, "id int"));
    expect(error).toMatchObject({ code, where: { url: `${api.url}?offset=3&limit=3` } });
    expect(error.message).toContain(message);
  });

  it("The error of a row names the URL of its page without secrets, in a stream", async () => {
    const api = await pages({ id: "four" });
    const options: RestApiOptions = { url: api.url, pageSize: 3, query: { key: { env: "KEY" }, a: 1 } };
    const source = await apiOf(options, runtimeAt(0, { KEY: "s3cret" }));
    const reader = source.streamReader(parseDdl("id int"));
    const rows = await reader.read({ page: 3, size: 3, from: 0, to: 3 }, task);
    const error = await failure(() => Array.fromAsync(rows as AsyncIterable<unknown>));
    expect(error).toMatchObject({
      code: "ROW_MISMATCH",
      where: { url: `${api.url}?a=1&offset=3&limit=3`, row: 2, field: "id" },
      found: '"four"',
    });
  });
});
