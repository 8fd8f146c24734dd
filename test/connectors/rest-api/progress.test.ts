import { describe, expect, it } from "vitest";
import type { Pagination, RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import { failure, type Respond, serve } from "../../support/api-server.ts";
import { drain } from "./draining-reader.ts";
import { idsOf, listError, records, upTo } from "./reading-list.ts";

const numberIn = (url: URL, name: string): number => Number(url.searchParams.get(name) ?? 0);
const page = (url: URL, count: number): { id: number }[] => {
  const from = (numberIn(url, "page") - 1) * 10;
  return records(Math.min(from, count), Math.min(from + 10, count));
};
const clamped =
  (count: number): Respond =>
  ({ url }) => {
    url.searchParams.set("page", String(Math.min(numberIn(url, "page"), Math.ceil(count / 10))));
    return { json: page(url, count) };
  };

describe("a list that does not advance", () => {
  it.each<[string, Pagination, Respond]>([
    ["the whole list in each answer", { type: "offset" }, () => ({ json: records(0, 25) })],
    ["the whole list in each answer, by pages", { type: "page" }, () => ({ json: records(0, 25) })],
    ["the last page again, which is full", { type: "page" }, clamped(20)],
    ["the last page again, which is not full", { type: "page" }, clamped(25)],
    [
      "the first page after the last",
      { type: "page" },
      ({ url }) => {
        url.searchParams.set("page", String(((numberIn(url, "page") - 1) % 2) + 1));
        return { json: page(url, 20) };
      },
    ],
  ])("The answers of %s are an error after a few requests", async (_what, pagination, respond) => {
    const { api, error, text } = await listError(respond, { pageSize: 10, pagination });
    expect(error).toMatchObject({ code: "PAGES_LOOP", retryable: false });
    expect(text).toMatch(/page \d\) has the same rows as page \d/);
    // If the first page comes again, a wrong parameter is likelier than the end of the list.
    const isFirst = text.includes("same rows as page 1");
    expect(text.includes('`endOn: "repeated"`')).toBe(!isFirst);
    expect(text.includes('`pagination: { type: "none" }`')).toBe(isFirst);
    expect(api.asked.length).toBeLessThan(7);
  });

  it.each([20, 25])(
    'A last page that is repeated ends a list of %d rows with endOn: "repeated"',
    async (count) => {
      const pagination: Pagination = { type: "page", endOn: "repeated" };
      expect((await idsOf(clamped(count), { pageSize: 10, pagination })).ids).toEqual(upTo(count));
    },
  );

  it("An offset that the API moves back to its last full page is an error", async () => {
    const respond: Respond = ({ url }) => {
      const from = Math.min(numberIn(url, "offset"), 15);
      return { json: records(from, from + 10) };
    };
    const { error } = await listError(respond, { pageSize: 10, pagination: { type: "offset" } });
    expect(error).toMatchObject({ code: "LIST_MOVED", retryable: true });
    expect(error.message).toContain("page 3 has 5 rows of page 2 again");
  });

  it("Pages may be equal with allowRepeats", async () => {
    const respond: Respond = ({ url }) => ({
      json: numberIn(url, "offset") < 6 ? [{ id: 1 }, { id: 1 }] : [],
    });
    const options: Partial<RestApiOptions> = { pageSize: 2 };
    const { error } = await listError(respond, { ...options, pagination: { type: "offset" } });
    expect(`${error.code} ${error.hint}`).toMatch(/PAGES_LOOP .*allowRepeats/);
    const { ids } = await idsOf(respond, { ...options, pagination: { type: "offset", allowRepeats: true } });
    expect(ids).toEqual([1, 1, 1, 1, 1, 1]);
  });

  it.each([1, 2, 100])(
    "A stream notices a repeated page with %d pages per batch",
    async (maxPagesPerBatch) => {
      const api = await serve(clamped(20));
      const options: RestApiOptions = { url: api.url, schema: "id int", pageSize: 10, maxPagesPerBatch };
      const error = await failure(() => drain({ ...options, pagination: { type: "page" } }));
      expect(error.code).toBe("PAGES_LOOP");
      const { rows } = await drain({ ...options, pagination: { type: "page", endOn: "repeated" } });
      expect(rows).toEqual(records(0, 20));
    },
  );

  it("A stream notices that an API ignores its offset, also if the list has grown since", async () => {
    let count = 15;
    const api = await serve(() => ({ json: records(0, count) }));
    const options: RestApiOptions = {
      url: api.url,
      schema: "id int",
      pageSize: 10,
      pagination: { type: "offset" },
    };
    const start = { page: null, row: 15 };
    for (count of [15, 18]) {
      expect((await failure(() => drain(options, { start }))).code).toBe("PAGES_LOOP");
    }
  });
});

describe("a list without the option pagination", () => {
  it("A list whose API knows no pages is read once, as a batch and as a stream that grows", async () => {
    let count = 25;
    const respond: Respond = () => ({ json: records(0, count) });
    expect((await idsOf(respond, {})).ids).toEqual(upTo(25));
    const api = await serve(respond);
    const options: RestApiOptions = { url: api.url, schema: "id int" };
    const first = await drain(options);
    count = 30;
    const second = await drain(options, { start: first.end });
    expect([...first.rows, ...second.rows]).toEqual(records(0, 30));
  });

  it.each<[string, Respond]>([
    [
      "its pages have numbers",
      ({ url }) => ({ json: records(numberIn(url, "page"), numberIn(url, "page") + 10) }),
    ],
    [
      "the page size has another name",
      ({ url }) => ({ json: records(0, url.searchParams.has("page_size") ? 1 : 10) }),
    ],
    ["the answer has a cursor", () => ({ json: { rows: records(0, 10), meta: { next_cursor: "x" } } })],
    ["the answer has a larger total", () => ({ json: { rows: records(0, 10), total: 25 } })],
    [
      "there is a Link to a next page",
      () => ({ json: records(0, 10), headers: { link: '<?page=2>; rel="next"' } }),
    ],
    [
      "the API refuses other parameters",
      ({ url }) => (url.searchParams.has("page") ? { status: 400 } : { json: records(0, 10) }),
    ],
  ])("A list whose API ignores offset is an error if %s", async (_why, respond) => {
    const isObject = /rows/.test(String(respond));
    const { api, error } = await listError(respond, isObject ? { rows: "rows" } : {});
    expect(error).toMatchObject({ code: "PAGES_LOOP", hint: expect.stringContaining("Set pagination") });
    expect(api.asked.length).toBeLessThan(4);
  });

  it("The parameters of the options are not changed to find out whether the API has pages", async () => {
    const { api } = await idsOf(() => ({ json: records(0, 3) }), { query: { from: "2026", size: 50 } });
    expect(api.asked).toHaveLength(3);
    for (const { url } of api.asked) {
      expect([url.searchParams.get("from"), url.searchParams.get("size")]).toEqual(["2026", "50"]);
    }
  });
});

describe("a list that moves while it is read", () => {
  /** A list with the newest row first, which gets a row before the second request. */
  const newestFirst: Respond = ({ url }, count) => {
    const ids = upTo(count > 1 ? 26 : 25).reverse();
    const from = numberIn(url, "offset");
    return { json: ids.slice(from, from + 10).map((id) => ({ id, seen: count })) };
  };
  const options: Partial<RestApiOptions> = { pageSize: 10, pagination: { type: "offset" } };

  it("A row that comes again is an error with the option key, which names both pages", async () => {
    const { error, text } = await listError(newestFirst, { ...options, key: "id" });
    expect(error).toMatchObject({ code: "LIST_MOVED", retryable: true });
    expect(text).toMatch(/page 2 has the same id as one of page 1.*rows may be missing, too/);
  });

  it("A key is found by the path of its column, and is the same as a number and as text", async () => {
    const respond: Respond = ({ url }) => {
      const from = numberIn(url, "offset");
      return { json: [{ a: { id: from === 0 ? 7 : "7" }, at: from }].slice(from > 1 ? 1 : 0) };
    };
    const key: Partial<RestApiOptions> = {
      schema: "id string",
      columns: { id: { path: "a.id", as: "text" } },
      key: ["id"],
    };
    const { error } = await listError(respond, { ...options, ...key });
    expect(error.code).toBe("LIST_MOVED");
  });

  it("A row without its key is an error", async () => {
    const { error } = await listError(() => ({ json: [{ id: null }] }), { ...options, key: "id" });
    expect(error).toMatchObject({ code: "ROW_MISMATCH", where: { field: "id" } });
  });

  it("A row of the page before is an error without a key, too, if it is equal", async () => {
    const respond: Respond = ({ url }, count) => {
      const ids = upTo(count > 1 ? 26 : 25).reverse();
      return {
        json: ids
          .slice(numberIn(url, "offset"))
          .slice(0, 10)
          .map((id) => ({ id })),
      };
    };
    const { error } = await listError(respond, options);
    expect(error).toMatchObject({ code: "LIST_MOVED", message: expect.stringContaining("1 row of page 1") });
  });

  it("A total that changes is an error in a batch", async () => {
    const respond: Respond = ({ url }, count) => {
      const from = numberIn(url, "offset");
      return { json: { data: records(from, Math.min(from + 10, 25)), total: 24 + count } };
    };
    const pagination: Pagination = { type: "offset", totalPath: "total" };
    const { error, text } = await listError(respond, { ...options, rows: "data", pagination });
    expect(error).toMatchObject({ code: "LIST_MOVED", retryable: true });
    expect(text).toContain("26 rows, and had 25");
  });

  it.each([undefined, 1])(
    "A numbered page that fills up while the list is read loses no row (%o)",
    async (maxPages) => {
      // The API caps pages at 10 rows. The list has 17 rows, and 5 more once the second page was
      // read.
      let count = 17;
      const api = await serve(({ url }, asked) => {
        if (asked > 2) count = 22;
        return { json: page(url, count) };
      });
      const drained = await drain({
        url: api.url,
        schema: "id int",
        pagination: { type: "page" },
        ...(maxPages === undefined ? {} : { maxPagesPerBatch: maxPages }),
      });
      expect(drained.rows).toEqual(records(0, 22));
    },
  );

  it("A change of pageSize is refused if the API caps the size of numbered pages", async () => {
    let count = 25;
    const api = await serve(({ url }) => ({ json: page(url, count) }));
    const options: RestApiOptions = { url: api.url, schema: "id int", pagination: { type: "page" } };
    const { end } = await drain({ ...options, pageSize: 100 });
    expect(end).toEqual({ page: 200, row: 5, size: 100, before: 20 });
    count = 30;
    const error = await failure(() => drain({ ...options, pageSize: 50 }, { start: end }));
    expect(error).toMatchObject({
      code: "OPTIONS_INVALID",
      hint: expect.stringContaining("`pageSize: 100`"),
    });
    // An offset of an older version has no size.
    const old = await failure(() => drain({ ...options, pageSize: 20 }, { start: { page: 20, row: 5 } }));
    expect(old.code).toBe("OPTIONS_INVALID");
    const { rows } = await drain({ ...options, pageSize: 10 }, { start: { page: 20, row: 5 } });
    expect(rows).toEqual(records(25, 30));
  });
});
