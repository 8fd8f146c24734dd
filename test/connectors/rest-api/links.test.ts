import { describe, expect, it } from "vitest";
import { parseLinks } from "../../../shared/connectors/kit/http/response-headers.ts";
import { type Api, failure, serve } from "../../support/api-server.ts";
import { type Drained, drain } from "./draining-reader.ts";
import { listOptions } from "./paginated-api.ts";

describe("links", () => {
  const linkTo = async (
    target: (origin: string) => string,
  ): Promise<{ api: Api; drained: Promise<Drained> }> => {
    const api = await serve(({ url }, count) => ({
      json: { data: [{ id: count - 1 }] },
      headers:
        url.pathname === "/items" && !url.searchParams.has("page")
          ? { link: `<${target(url.origin)}>; rel="next"` }
          : { link: '</items>; rel="first"' },
    }));
    return { api, drained: drain(listOptions(api.url, { pagination: { type: "link" } })) };
  };

  it.each([
    "http://127.0.0.1:1/items?page=2",
    "https://example.com/",
    "//example.com/items?page=2",
    "ftp://127.0.0.1/",
  ])("Links to another origin are refused: %s", async (target) => {
    const { drained } = await linkTo(() => target);
    expect(await failure(() => drained)).toMatchObject({ code: "LINK_TO_OTHER_ORIGIN", retryable: false });
  });

  it.each([
    ["an absolute URL", (origin: string) => `${origin}/items?page=2`, "/items?page=2"],
    ["a path", () => "/more?page=2", "/more?page=2"],
    ["a query", () => "?page=2", "/items?page=2"],
    ["a path that begins with two slashes", (origin: string) => `${origin}//items?page=2`, "//items?page=2"],
  ])("Links to the next page may be %s", async (_what, target, asked) => {
    const { api, drained } = await linkTo(target);
    expect((await drained).batches).toEqual([[1, 1]]);
    expect(api.asked[1]?.url.href).toBe(new URL(api.url).origin + asked);
  });

  it("Links that lead around in a circle are an error, not an endless list", async () => {
    const api = await serve(({ url }, count) => {
      const next = url.searchParams.get("cursor") === "a" ? "b" : "a";
      return count > 20 ? { status: 404 } : { json: { data: [{ id: 1 }], meta: { next } } };
    });
    const options = listOptions(api.url, { pagination: { type: "cursor", cursorPath: "meta.next" } });
    expect(await failure(() => drain(options))).toMatchObject({ code: "PAGES_LOOP", retryable: false });
  });

  it("Links that lead back to their own page are an error", async () => {
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

describe("parseLinks", () => {
  it.each<[string, string | undefined]>([
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
    ["<a>; rel=next,", "a"],
  ])("parseLinks finds in %s the next target %s", (header, next) => {
    expect(parseLinks(header)).toMatchObject({ next, isComplete: true });
  });

  it.each(["not a link", "<a; rel=next", '<a>; rel="prev", b; rel="next"', '<a>; rel="next'])(
    "parseLinks says that it cannot read %s to its end",
    (header) => {
      expect(parseLinks(header).isComplete).toBe(false);
    },
  );

  it("parseLinks returns all relations in lower case", () => {
    expect([...parseLinks('<a>; rel="Prev last", <b>; rel=FIRST').relations]).toEqual([
      "prev",
      "last",
      "first",
    ]);
  });
});
