import { describe, expect, it } from "vitest";
import { RestApi, type RestApiOptions, type TimeRange } from "../../../shared/connectors/rest-api/index.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { failure, runtimeAt, serve } from "../../support/api-server.ts";
import { drain, rowsIn } from "./draining-reader.ts";

const DAY = 86_400_000;
const START = Date.parse("2026-01-01T00:00:00Z");
const iso = (time: number): string => new Date(time).toISOString();
type Format = NonNullable<TimeRange["format"]>;

/** Returns the time that an API makes of a parameter. */
function timeOf(text: string | null, format: Format): number {
  if (format === "epochSeconds") return Number(text) * 1000;
  return format === "epochMilliseconds" ? Number(text) : Date.parse(String(text));
}

const rangeOptions = (
  url: string,
  timeRange: Partial<TimeRange>,
  more: Partial<RestApiOptions> = {},
): RestApiOptions => ({
  url,
  schema: "id int, time timestamp",
  pagination: { type: "none" },
  timeRange: {
    startParam: "since",
    endParam: "before",
    start: iso(START),
    until: iso(START + 4 * DAY),
    partitionSeconds: 86_400,
    ...timeRange,
  },
  ...more,
});

/** Starts an API of events whose answers leave out or include rows at the ends of a range. */
async function eventsApi(
  times: readonly number[],
  format: Format,
  exclusiveStart: boolean,
  inclusiveEnd: boolean,
  round = (time: number): number => time,
) {
  return await serve(({ url }) => {
    const [since, before] = ["since", "before"].map((name) =>
      round(timeOf(url.searchParams.get(name), format)),
    );
    const found = times
      .map((time, id) => ({ id, time }))
      .filter(({ time }) => (exclusiveStart ? time > Number(since) : time >= Number(since)))
      .filter(({ time }) => (inclusiveEnd ? time <= Number(before) : time < Number(before)));
    return { json: found.map(({ id, time }) => ({ id, time: iso(time) })) };
  });
}

const idsIn = async (options: RestApiOptions): Promise<unknown[]> =>
  (await drain(options, { runtime: runtimeAt(START + 10 * DAY) })).rows.map((row) => row["id"]);

const FORMATS: readonly Format[] = ["iso", "isoSeconds", "date", "epochSeconds", "epochMilliseconds"];
const ENDS = [
  [false, false],
  [true, false],
  [false, true],
  [true, true],
] as const;
const CASES = FORMATS.flatMap((format) => ENDS.map(([start, end]) => [format, start, end] as const));
const borders = [0, 1, 2, 3].flatMap((day) => [
  START + day * DAY,
  START + day * DAY + 1,
  START + (day + 1) * DAY - 1,
]);

describe("the borders of ranges of time", () => {
  it.each(CASES)(
    "Each row is read once with column, in the format %s with start exclusive: %s, end inclusive: %s",
    async (format, exclusiveStart, inclusiveEnd) => {
      const api = await eventsApi(borders, format, exclusiveStart, inclusiveEnd);
      expect(await idsIn(rangeOptions(api.url, { format, column: "time" }))).toEqual(
        borders.map((_, id) => id),
      );
    },
  );

  it.each<[string, (time: number) => number]>([
    ["up", (time) => Math.ceil(time / 1000) * 1000],
    ["down", (time) => Math.floor(time / 1000) * 1000],
    ["to the nearest", (time) => Math.round(time / 1000) * 1000],
  ])(
    "Each row is read once with column by an API that rounds its parameters %s to seconds",
    async (_how, round) => {
      const times = [0, 250, 500, 750, 999]
        .flatMap((ms) => [START + ms, START + DAY + ms])
        .sort((a, b) => a - b);
      const api = await eventsApi(times, "iso", true, false, round);
      const options = rangeOptions(api.url, { column: "time", start: iso(START + 250) });
      expect(await idsIn(options)).toEqual(times.flatMap((time, id) => (time >= START + 250 ? [id] : [])));
    },
  );

  it.each([-12, 9, 14])(
    "Each row is read once with column by an API whose dates are of a zone %d hours from UTC",
    async (hours) => {
      const api = await eventsApi(borders, "date", false, false, (time) => time - hours * 3_600_000);
      expect(await idsIn(rangeOptions(api.url, { format: "date", column: "time" }))).toEqual(
        borders.map((_, id) => id),
      );
    },
  );

  it("Each row is read once without column if both borders are said", async () => {
    // The row just before the start comes along: the first range is asked for one unit earlier.
    const api = await eventsApi(borders, "iso", true, true);
    const ids = await idsIn(rangeOptions(api.url, { startExclusive: true, endInclusive: true }));
    expect(ids).toEqual(borders.map((_, id) => id));
  });

  it.each(ENDS)(
    "Each row at a whole second is read once without column, with start exclusive: %s, end inclusive: %s",
    async (startExclusive, endInclusive) => {
      const times = [0, 1, 86_399]
        .flatMap((s) => [0, 1].map((day) => START + day * DAY + s * 1000))
        .sort((a, b) => a - b);
      const api = await eventsApi(times, "isoSeconds", startExclusive, endInclusive);
      const options = rangeOptions(api.url, { format: "isoSeconds", startExclusive, endInclusive });
      expect(await idsIn(options)).toEqual(times.map((_, id) => id));
    },
  );

  it.each<[Format, string, string]>([
    ["isoSeconds", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"],
    ["date", "2026-01-01", "2026-01-02"],
  ])("A range is sent as %s, exactly as it is without column", async (format, since, before) => {
    const api = await serve(() => ({ json: [] }));
    await rowsIn(rangeOptions(api.url, { format }), { from: iso(START), to: iso(START + DAY) });
    const { searchParams } = api.asked[0]?.url ?? new URL(api.url);
    expect([searchParams.get("since"), searchParams.get("before")]).toEqual([since, before]);
  });

  it.each<[string, Partial<TimeRange>]>([
    ["start", { format: "epochSeconds", start: "2026-01-01T00:00:00.500Z" }],
    ["until", { format: "isoSeconds", until: "2026-01-02T00:00:00.500Z" }],
    ["start", { start: "2026-01-01T00:00:00.000500Z" }],
    ["partitionSeconds", { format: "date", partitionSeconds: 3600 }],
    ["start", { format: "date", start: "2026-01-01T05:00:00Z" }],
  ])(
    "A %s that the format cannot express is refused without column, and read with it",
    async (name, timeRange) => {
      const options = rangeOptions("https://example.com", timeRange);
      const error = await failure(() => parseOptions(RestApi, { ...options }));
      expect(error).toMatchObject({
        code: "OPTIONS_INVALID",
        message: expect.stringContaining(`timeRange.${name}`),
      });
      expect(error.message).toContain("unless column is set");
      await parseOptions(RestApi, {
        ...rangeOptions("https://example.com", { ...timeRange, column: "time" }),
      });
    },
  );

  it("A stored range that the format cannot express is an error without column", async () => {
    const options = rangeOptions("http://127.0.0.1:1/", { format: "epochSeconds" });
    const error = await failure(() => rowsIn(options, { from: iso(START + 500), to: iso(START + DAY) }));
    expect(error).toMatchObject({
      code: "OPTIONS_INVALID",
      hint: expect.stringContaining("timeRange.column"),
    });
  });

  it("The end of a stream by dates without column is at midnight", async () => {
    const api = await serve(() => ({ json: [] }));
    const options = rangeOptions(api.url, { format: "date", until: iso(START + 100 * DAY) });
    const { end } = await drain(options, { runtime: runtimeAt(START + 2.5 * DAY) });
    expect(end).toEqual({ time: iso(START + 2 * DAY) });
  });
});

describe("rows without a time", () => {
  const answer = [{ id: 0, time: null }, { id: 1 }, { id: 2, time: iso(START) }];
  const read = async (rowsWithoutTime?: TimeRange["rowsWithoutTime"]): Promise<unknown[]> => {
    const api = await serve(() => ({ json: answer }));
    return await idsIn(
      rangeOptions(api.url, {
        column: "time",
        ...(rowsWithoutTime === undefined ? {} : { rowsWithoutTime }),
      }),
    );
  };

  it("A row without a time is an error that names its page, its column and the option", async () => {
    const error = await failure(() => read());
    expect(error).toMatchObject({
      code: "ROW_MISMATCH",
      where: { field: "time", url: expect.stringContaining("since=") },
    });
    expect(error.hint).toContain('`rowsWithoutTime: "drop"`');
  });

  it("Rows without a time are dropped, or kept in the first range, as rowsWithoutTime says", async () => {
    expect(await read("drop")).toEqual([2]);
    expect(await read("first")).toEqual([0, 1, 2]);
  });
});

describe("rows far outside the list's time", () => {
  const read = async (json: readonly object[], rowsOutside?: "drop"): Promise<unknown[]> => {
    const api = await serve(() => ({ json }));
    const outside = rowsOutside === undefined ? {} : { rowsOutside };
    return await idsIn(rangeOptions(api.url, { column: "time", ...outside }));
  };
  const farAway = [
    { id: 0, time: iso(0) },
    { id: 1, time: iso(START + 100_000 * DAY) },
  ];

  it("An answer whose rows all lie far outside the list's time is an error, unless rowsOutside says drop", async () => {
    const error = await failure(() => read(farAway));
    expect(error).toMatchObject({
      code: "ROW_MISMATCH",
      message: 'the answer has 2 rows, all with a "time" before the start of the list or in the future',
      where: { field: "time" },
    });
    expect(error.hint).toContain("epoch");
    expect(await read(farAway, "drop")).toEqual([]);
  });

  it("Rows far outside the list's time are dropped if another row lies within it", async () => {
    expect(await read([...farAway, { id: 2, time: iso(START) }])).toEqual([2]);
  });
});

describe("an API that gives the start it was asked for as the time of its rows", () => {
  it("Each partition is asked again without a margin if none of the rows is in it", async () => {
    const { url, asked: requests } = await serve(({ url: address }) => ({
      json: [1, 2].map((id) => ({ id, time: address.searchParams.get("since") })),
    }));
    expect(await idsIn(rangeOptions(url, { column: "time" }))).toEqual([1, 2, 1, 2, 1, 2, 1, 2]);
    expect(requests).toHaveLength(8);
  });
});
