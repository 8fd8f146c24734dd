import { describe, expect, it } from "vitest";
import type { Pagination } from "../../../shared/connectors/rest-api/index.ts";
import type { Reply, Respond } from "../../support/api-server.ts";
import { idsOf, listError, records, upTo } from "./reading-list.ts";

const numberIn = (url: URL, name: string, otherwise = 0): number =>
  Number(url.searchParams.get(name) ?? otherwise);

/**
 * An API of `count` records that has pages of at most `cap` records. `more` is a part of each
 * answer.
 */
const offsets =
  (count: number, cap: number, more: (to: number) => object = () => ({})): Respond =>
  ({ url }) => {
    const from = numberIn(url, "offset");
    const to = Math.min(from + Math.min(numberIn(url, "limit", 1000), cap), count);
    return { json: { data: records(Math.min(from, to), to), ...more(to) } };
  };
const pages =
  (count: number, cap: number, past?: Reply): Respond =>
  ({ url }) => {
    const size = Math.min(numberIn(url, "per_page", 1000), cap);
    const from = (numberIn(url, "page") - 1) * size;
    if (from >= count && past !== undefined) return past;
    return { json: { data: records(from, Math.min(from + size, count)) } };
  };

describe("the end of a list whose pages are counted", () => {
  it.each([0, 9, 10, 11, 20, 25])(
    "A list of %d rows is read to its end by offsets if the API caps the page size",
    async (count) => {
      const { ids } = await idsOf(offsets(count, 10), { rows: "data", pagination: { type: "offset" } });
      expect(ids).toEqual(upTo(count));
    },
  );

  it.each([0, 9, 10, 11, 20, 25])(
    "A list of %d rows is read to its end by page numbers if the API caps the page size",
    async (count) => {
      const { ids } = await idsOf(pages(count, 10), { rows: "data", pagination: { type: "page" } });
      expect(ids).toEqual(upTo(count));
    },
  );

  it('A short page ends a list only with endOn: "short"', async () => {
    const short = { rows: "data", pageSize: 10, pagination: { type: "offset", endOn: "short" } } as const;
    const { api, ids } = await idsOf(offsets(25, 10), short);
    expect([ids, api.asked.length]).toEqual([upTo(25), 3]);
  });

  it('Status 404 after the last page is an error that names endOn: "notFound", which reads the list', async () => {
    const respond = pages(20, 10, { status: 404 });
    const options = { rows: "data", pageSize: 10 };
    const { error } = await listError(respond, { ...options, pagination: { type: "page" } });
    expect(error).toMatchObject({
      code: "HTTP_STATUS",
      hint: expect.stringContaining('`endOn: "notFound"`'),
    });
    const { ids } = await idsOf(respond, { ...options, pagination: { type: "page", endOn: "notFound" } });
    expect(ids).toEqual(upTo(20));
  });

  it.each<Pagination>([
    { type: "page", endOn: "notFound" },
    { type: "offset", endOn: ["notFound", "short"] },
  ])("Status 404 of the first page is an error with %o", async (pagination) => {
    const { error } = await listError(() => ({ status: 404 }), { pagination });
    expect(error).toMatchObject({ code: "HTTP_STATUS", where: { status: 404 } });
  });

  it("Status 404 before the total is reached is an error, although it may end the list", async () => {
    const respond: Respond = ({ url }) =>
      numberIn(url, "page") > 2
        ? { status: 404 }
        : {
            json: { count: 25, data: records((numberIn(url, "page") - 1) * 10, numberIn(url, "page") * 10) },
          };
    const { error, text } = await listError(respond, {
      rows: "data",
      pageSize: 10,
      pagination: { type: "page", endOn: "notFound", totalPath: "count" },
    });
    expect(error).toMatchObject({ code: "LIST_END_UNCLEAR", retryable: true });
    expect(text).toContain("page=3");
  });
});

describe("proofs of the end in an answer", () => {
  const total = (count: number) => () => ({ meta: { total: count } });

  it.each<[Pagination, Respond, number, number]>([
    [{ type: "offset", totalPath: "meta.total" }, offsets(20, 10, total(20)), 20, 2],
    [{ type: "offset", hasMorePath: "more" }, offsets(25, 10, (to) => ({ more: to < 25 })), 25, 3],
    [{ type: "offset", isLastPath: "last" }, offsets(25, 10, (to) => ({ last: to === 25 })), 25, 3],
    [{ type: "page", totalPagesPath: "pages" }, numbered(25, { pages: 3 }), 25, 3],
    [{ type: "page", totalPath: "n" }, numbered(25, { n: "25" }), 25, 3],
    [{ type: "page", totalPagesPath: "pages" }, numbered(0, { pages: 0 }), 0, 1],
    [{ type: "none", totalPath: "meta.total" }, offsets(20, 50, total(20)), 20, 1],
  ])(
    "A list ends without a further request by the proof of %o",
    async (pagination, respond, rows, requests) => {
      const { api, ids } = await idsOf(respond, { rows: "data", pageSize: 100, pagination });
      expect([ids, api.asked.length]).toEqual([upTo(rows), requests]);
    },
  );

  function numbered(count: number, more: object): Respond {
    return ({ url }) => {
      const from = (numberIn(url, "page") - 1) * 10;
      return { json: { data: records(from, Math.min(from + 10, count)), ...more } };
    };
  }

  it.each<[string, Pagination, Respond, string]>([
    [
      "a missing total",
      { type: "offset", totalPath: "total" },
      offsets(5, 10, total(5)),
      '"total" is not in the answer',
    ],
    [
      "a total that is no count",
      { type: "offset", totalPath: "meta" },
      offsets(5, 10, total(5)),
      '"meta" is an object',
    ],
    [
      "a missing flag",
      { type: "offset", hasMorePath: "more" },
      offsets(5, 10),
      '"more" is not in the answer',
    ],
    [
      "a flag that is text",
      { type: "offset", hasMorePath: "more" },
      offsets(5, 10, () => ({ more: "false" })),
      "not true or false",
    ],
    [
      "fewer rows than the total",
      { type: "offset", totalPath: "meta.total" },
      offsets(5, 10, total(7)),
      "no rows",
    ],
    [
      "more rows than the total",
      { type: "offset", totalPath: "meta.total" },
      offsets(25, 10, total(15)),
      "15 by totalPath",
    ],
    [
      "a flag against the total",
      { type: "offset", totalPath: "meta.total", hasMorePath: "more" },
      offsets(5, 10, () => ({ ...total(5)(), more: true })),
      '"more" the list goes on',
    ],
    [
      "two flags that are equal",
      { type: "offset", isLastPath: "a", hasMorePath: "b" },
      offsets(5, 10, () => ({ a: true, b: true })),
      "are both true",
    ],
    [
      "a flag that stays true",
      { type: "offset", hasMorePath: "more" },
      offsets(5, 10, () => ({ more: true })),
      "no rows",
    ],
    [
      "one answer of several",
      { type: "none", totalPath: "meta.total" },
      offsets(5, 10, total(7)),
      "there are more rows",
    ],
  ])("The proof of an end that has %s is an error", async (_what, pagination, respond, message) => {
    const { error } = await listError(respond, { rows: "data", pagination });
    expect(error.code).toBe("LIST_END_UNCLEAR");
    expect(error.message).toContain(message);
    expect(error.hint).not.toBe("");
  });

  it("The error of a missing path names the keys of the answer", async () => {
    const { text } = await listError(offsets(5, 10, total(5)), {
      rows: "data",
      pagination: { type: "offset", totalPath: "total" },
    });
    expect(text).toContain('the keys "data", "meta"');
    expect(text).toContain("totalPath");
  });
});

/** An API with cursors. `say` makes the part of an answer that leads to the next page. */
const cursors =
  (count: number, say: (to: number, from: number) => object): Respond =>
  ({ url }) => {
    const from = numberIn(url, "cursor");
    const to = Math.min(from + 10, count);
    return { json: { data: records(Math.min(from, to), to), ...say(to, from) } };
  };

describe("the end of a list with cursors", () => {
  const cursor: Pagination = { type: "cursor", cursorPath: "next" };
  const read = { rows: "data", pageSize: 10 };

  it.each([null, "", false])("The cursor %o ends a list", async (end) => {
    const { api, ids } = await idsOf(
      cursors(25, (to) => ({ next: to < 25 ? to : end })),
      { ...read, pagination: cursor },
    );
    expect([ids, api.asked.length]).toEqual([upTo(25), 3]);
  });

  const bare = cursors(25, (to) => (to < 25 ? { next: to } : {}));

  it('A missing cursor is an error that names endOn: "missing", which reads the list', async () => {
    const { error, text } = await listError(bare, { ...read, pagination: cursor });
    expect(error).toMatchObject({ code: "LIST_END_UNCLEAR", retryable: false });
    for (const part of ['"next"', 'the keys "data"', '`endOn: "missing"`', "hasMorePath"])
      expect(text).toContain(part);
    const { ids } = await idsOf(bare, { ...read, pagination: { ...cursor, endOn: "missing" } });
    expect(ids).toEqual(upTo(25));
  });

  it.each<[string, Pagination, Respond]>([
    [
      "hasMorePath is false",
      { ...cursor, hasMorePath: "more" },
      cursors(25, (to) => ({ more: to < 25, next: to })),
    ],
    [
      "hasMorePath is false and the cursor missing",
      { ...cursor, hasMorePath: "more" },
      cursors(25, (to) => (to < 25 ? { more: true, next: to } : { more: false })),
    ],
    [
      "the total is reached",
      { ...cursor, totalPath: "total" },
      cursors(25, (to) => (to < 25 ? { total: 25, next: to } : { total: 25 })),
    ],
    ["an empty page leads to itself", cursor, cursors(25, (to) => ({ next: String(to) }))],
    ["an empty page has no cursor", cursor, cursors(25, (to, from) => (from < 25 ? { next: to } : {}))],
    [
      "a page leads to itself",
      { ...cursor, endOn: "repeated" },
      cursors(25, (to) => ({ next: to < 25 ? to : 20 })),
    ],
    [
      "a page is empty",
      { ...cursor, endOn: "empty" },
      cursors(25, (to, from) => ({ next: from >= 25 ? from + 1 : to })),
    ],
  ])("A list with cursors ends where %s", async (_where, pagination, respond) => {
    const { ids } = await idsOf(respond, { ...read, pagination });
    expect(ids).toEqual(upTo(25));
  });

  it.each<[string, Pagination, Respond, string]>([
    [
      "there are more rows by hasMorePath",
      { ...cursor, endOn: "missing", hasMorePath: "more" },
      cursors(25, (to) => (to < 20 ? { more: true, next: to } : { more: true })),
      "LIST_END_UNCLEAR",
    ],
    [
      "the total is not reached",
      { ...cursor, endOn: "missing", totalPath: "total" },
      cursors(25, (to) => (to < 20 ? { total: 25, next: to } : { total: 25 })),
      "LIST_END_UNCLEAR",
    ],
    [
      "the cursor is null, but the total is not reached",
      { ...cursor, totalPath: "total" },
      cursors(25, (to) => ({ total: 25, next: to < 20 ? to : null })),
      "LIST_END_UNCLEAR",
    ],
    [
      "a page with rows leads to itself",
      cursor,
      cursors(25, (to) => ({ next: to < 25 ? to : 20 })),
      "PAGES_LOOP",
    ],
    [
      "empty pages lead to others without end",
      { ...cursor, maxEmptyPages: 3 },
      cursors(25, (to, from) => ({ next: from >= 25 ? from + 1 : to })),
      "LIST_END_UNCLEAR",
    ],
  ])("A list with cursors is an error where %s", async (_where, pagination, respond, code) => {
    const { api, error } = await listError(respond, { ...read, pagination });
    expect(error.code).toBe(code);
    expect(api.asked.length).toBeLessThan(10);
  });

  it("Pages without rows are passed if their cursors lead on", async () => {
    const respond = cursors(40, (to) => ({ next: to < 40 ? to : null }));
    const sparse: Respond = (asked, count, response) => {
      const reply = respond(asked, count, response);
      const from = numberIn(asked.url, "cursor");
      return from === 10 || from === 20 ? { json: { data: [], next: from + 10 } } : reply;
    };
    const { ids } = await idsOf(sparse, { ...read, pagination: cursor });
    expect(ids).toEqual([...upTo(10), ...upTo(40).slice(30)]);
  });

  it.each<[string, string, string]>([
    ["0", "0", "0"],
    ["true", "true", "true"],
    ["a number beyond 2^53", "9007199254740993", "9007199254740993"],
    ["an object", '{"id":9007199254740993,"at":["x"]}', '{"id":9007199254740993,"at":["x"]}'],
    ["an array", '["2026-01-01",7]', '["2026-01-01",7]'],
    ["text that looks like JSON", '"{\\"a\\":1}"', '{"a":1}'],
  ])("A cursor may be %s, and is sent as it came", async (_what, json, sent) => {
    const { api, ids } = await idsOf(
      ({ url }) =>
        url.searchParams.has("cursor")
          ? { json: { data: records(1, 2), next: null } }
          : { text: `{"data":[{"id":0}],"next":${json}}` },
      { ...read, pagination: cursor },
    );
    expect(ids).toEqual([0, 1]);
    expect(api.asked[1]?.url.searchParams.get("cursor")).toBe(sent);
  });
});

describe("the end of a list with links", () => {
  const linked =
    (last: Record<string, string>, count = 25): Respond =>
    ({ url }) => {
      const from = numberIn(url, "from");
      const to = Math.min(from + 10, count);
      const next = { link: `<?from=${to}>; rel="next", <?from=0>; rel="first"` };
      return { json: records(from, to), headers: to < count ? next : last };
    };

  it("A Link header without a next page ends a list", async () => {
    const { ids } = await idsOf(linked({ link: '<?from=10>; rel="prev"' }), { pagination: { type: "link" } });
    expect(ids).toEqual(upTo(25));
  });

  it.each<[string, Record<string, string>]>([
    ["missing", {}],
    ["empty", { link: "" }],
    ["one of other pages", { link: '<https://example.com/style.css>; rel="preload"' }],
  ])('A Link header that is %s is an error that names endOn: "missing"', async (_what, last) => {
    const { error, text } = await listError(linked(last), { pagination: { type: "link" } });
    expect(error.code).toBe("LIST_END_UNCLEAR");
    expect(text).toContain('`endOn: "missing"`');
    const { ids } = await idsOf(linked(last), { pagination: { type: "link", endOn: "missing" } });
    expect(ids).toEqual(upTo(25));
  });

  it("A Link header that cannot be parsed is an error, whatever endOn says", async () => {
    const respond = linked({ link: '?from=20; rel="next"' });
    const { error } = await listError(respond, { pagination: { type: "link", endOn: "missing" } });
    expect(error).toMatchObject({ code: "LIST_END_UNCLEAR", message: expect.stringContaining("RFC 8288") });
  });

  it("A page without rows and without a Link header ends a list", async () => {
    const { ids } = await idsOf(() => ({ json: [] }), { pagination: { type: "link" } });
    expect(ids).toEqual([]);
  });
});

describe("the end of a list whose answers have the next URL", () => {
  const pagination: Pagination = { type: "next", nextPath: "next" };
  const urls =
    (last: object, absolute = true): Respond =>
    ({ url }) => {
      const from = numberIn(url, "skip");
      const next = `${absolute ? url.origin + url.pathname : ""}?skip=${from + 10}&a=b`;
      return { json: { data: records(from, Math.min(from + 10, 25)), ...(from < 20 ? { next } : last) } };
    };

  it.each([true, false])("The URL of the next page is followed, absolute: %o", async (absolute) => {
    const { api, ids } = await idsOf(urls({ next: null }, absolute), { rows: "data", pagination });
    expect(ids).toEqual(upTo(25));
    expect(api.asked.map(({ url }) => url.search)).toEqual(["", "?skip=10&a=b", "?skip=20&a=b"]);
  });

  it('A missing URL is an error that names endOn: "missing", which reads the list', async () => {
    const { error, text } = await listError(urls({}), { rows: "data", pagination });
    expect(error.code).toBe("LIST_END_UNCLEAR");
    expect(text).toContain('`endOn: "missing"`');
    const { ids } = await idsOf(urls({}), { rows: "data", pagination: { ...pagination, endOn: "missing" } });
    expect(ids).toEqual(upTo(25));
  });

  it("A next URL that is no text is an error", async () => {
    const { error } = await listError(urls({ next: { page: 3 } }), { rows: "data", pagination });
    expect(error).toMatchObject({ code: "LIST_END_UNCLEAR", message: expect.stringContaining("an object") });
  });

  it("A next URL of another origin is refused", async () => {
    const { error } = await listError(urls({ next: "https://example.com/?skip=20" }), {
      rows: "data",
      pagination,
    });
    expect(error.code).toBe("LINK_TO_OTHER_ORIGIN");
  });
});
