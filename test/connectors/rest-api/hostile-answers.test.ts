import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import { hideInUrl, hideSecrets, revealSecrets } from "../../../shared/connectors/rest-api/placeholders.ts";
import { ReadAllAvailable } from "../../../shared/contract/read-limit.ts";
import { failure, runtimeAt, serve } from "../../support/api-server.ts";
import { drain, readerOf, rowsIn } from "./draining-reader.ts";
import { listOptions } from "./paginated-api.ts";

const env = { TOKEN: "s3cr3t/t o+k%en", KEY: "k1" };
const secrets: Partial<RestApiOptions> = { bearerToken: { env: "TOKEN" }, query: { key: { env: "KEY" } } };
const linked = (url: string): RestApiOptions =>
  listOptions(url, {
    ...secrets,
    maxRetries: 0,
    pagination: { type: "link", sizeParam: "n", endOn: "missing" },
  });

describe("a page that was stored", () => {
  it.each([
    ["//HOST/steal"],
    ["/\\HOST/steal"],
    ["http://HOST/steal"],
    ["@HOST/steal"],
    [":80@HOST/steal"],
    [".HOST/steal"],
    ["\t//HOST/steal"],
    ["http:\\\\HOST/steal"],
  ])("A stored page %s gets no request to another origin, and the error names both origins", async (page) => {
    const other = await serve(() => ({ json: { data: [] } }));
    const api = await serve(() => ({ status: 404 }));
    const host = new URL(other.url).host;
    const stored = page.replace("HOST", host);
    const reader = readerOf(linked(api.url), runtimeAt(0, env));
    const error = await failure(() => reader.latestOffset({ page: stored, row: 0 }, new ReadAllAvailable()));
    expect(other.asked).toEqual([]);
    expect(error.message).not.toContain("s3cr3t");
    if (error.code === "HTTP_STATUS") return;
    expect(error.code).toBe("LINK_TO_OTHER_ORIGIN");
    expect(error.message).toContain(`http://${host}, not to ${new URL(api.url).origin}`);
  });

  it("A stored partition gets no request to another origin", async () => {
    const other = await serve(() => ({ json: { data: [] } }));
    const api = await serve(() => ({ json: { data: [] } }));
    const page = `http://${new URL(other.url).host}/steal`;
    const error = await failure(() => rowsIn(linked(api.url), { page, from: 0, to: 1 }, runtimeAt(0, env)));
    expect(error.code).toBe("LINK_TO_OTHER_ORIGIN");
    expect([...other.asked, ...api.asked]).toEqual([]);
  });
});

describe("a secret in a link", () => {
  it.each<[string, (secret: string) => string]>([
    ["the path", (secret) => `/list/${encodeURIComponent(secret)}/`],
    ["the path, not encoded", (secret) => `/list/${encodeURI(secret)}/`],
    ["a part of a parameter", (secret) => `/list?filter=owner:${encodeURIComponent(secret)},a&n=2&page=`],
    ["a parameter of another name", (secret) => `/list?auth=${encodeURIComponent(secret)}&page=`],
  ])(
    "A secret in %s of a next link is in no offset and no partition, and the link still works",
    async (_, link) => {
      const api = await serve(({ url }) => {
        const at = Number(/(\d+)(?:[?&]key=.*)?$/.exec(url.pathname + url.search)?.[1] ?? 0);
        const isFirst = url.pathname === "/items";
        const next = isFirst ? 1 : at + 1;
        const headers = { link: `<${link(env.TOKEN)}${next}>; rel="next"` };
        return { json: { data: [{ id: next }] }, ...(next < 3 ? { headers } : {}) };
      });
      const drained = await drain(linked(api.url), { runtime: runtimeAt(0, env) });
      expect(drained.rows).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
      const stored = JSON.stringify([drained.offsets, drained.partitions]);
      expect(decodeURIComponent(stored.replace(/%(?![0-9a-f]{2})/gi, "%25"))).not.toContain("s3cr3t");
      expect(stored).toContain("{env:TOKEN}");
      const followed = api.asked.filter(({ url }) => url.pathname.startsWith("/list"));
      expect(followed.length).toBeGreaterThan(0);
      for (const { url } of followed) {
        const asked = decodeURIComponent(url.pathname + url.search.replaceAll("+", " "));
        expect(asked).toContain(env.TOKEN.replaceAll("+", asked.includes("t o+k") ? "+" : " "));
      }
    },
  );

  it("A secret in a cursor is stored as a placeholder and is sent again", async () => {
    const api = await serve(({ url }) => {
      const cursor = url.searchParams.get("cursor");
      return {
        json: { data: [{ id: cursor === null ? 1 : 2 }], next: cursor === null ? `${env.TOKEN}.2` : "" },
      };
    });
    const options: RestApiOptions = {
      ...linked(api.url),
      pagination: { type: "cursor", cursorPath: "next" },
    };
    const drained = await drain(options, { runtime: runtimeAt(0, env) });
    expect(drained.rows).toEqual([{ id: 1 }, { id: 2 }]);
    expect(JSON.stringify([drained.offsets, drained.partitions])).not.toContain("s3cr3t");
    expect(api.asked.map(({ url }) => url.searchParams.get("cursor"))).toContain(`${env.TOKEN}.2`);
  });

  it("A value that the API names a token is in no message", async () => {
    const api = await serve(({ url }) =>
      url.searchParams.has("session_token")
        ? { status: 404 }
        : { json: { data: [{ id: 1 }] }, headers: { link: '</items?session_token=abc123&n=2>; rel="next"' } },
    );
    const error = await failure(() => drain(linked(api.url), { runtime: runtimeAt(0, env) }));
    expect(error.message).toContain("session_token=…&n=2");
    expect(JSON.stringify(error.toRecord())).not.toContain("abc123");
  });

  it("Placeholders are unambiguous: a link's own braces are encoded, and other names stay as they are", () => {
    const named = [
      { name: "env:A", value: "longer-secret" },
      { name: "env:B", value: "env:A" },
      { name: "env:C", value: "x" },
    ];
    const url = new URL("http://h/longer-secret/%6conger-secret/{env:A}?a=env:A&c=x&xx=1");
    expect(hideInUrl(url, named)).toBe("/{env:A}/{env:A}/%7B{env:B}%7D?a={env:B}&c={env:C}&xx=1");
    expect(hideSecrets("longer-secret", named)).toBe("{env:A}");
    expect(revealSecrets("/{env:A}/{env:HOME}/{x}", named)).toBe("/longer-secret/{env:HOME}/{x}");
  });
});

describe("a response that is too large", () => {
  const rows = JSON.stringify({ data: Array.from({ length: 5000 }, (_, id) => ({ id })) });

  it("A page above maxResponseBytes is an error that names the option and the size", async () => {
    const api = await serve(() => ({ text: rows }));
    const options = { ...linked(api.url), maxResponseBytes: 10_000 };
    const error = await failure(() => drain(options, { runtime: runtimeAt(0, env) }));
    expect(error).toMatchObject({ code: "RESPONSE_TOO_LARGE", retryable: false });
    expect(error.message).toContain("10000 bytes");
    expect(`${error.message} ${error.hint}`).toContain("maxResponseBytes");
    expect(api.asked).toHaveLength(1);
  });

  it("The size of a compressed page counts after decompression, and is not read to its end", async () => {
    const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024, " "));
    const api = await serve((_asked, _count, response) => {
      response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" });
      response.end(bomb);
      return undefined;
    });
    const before = process.memoryUsage().rss;
    const options = { ...linked(api.url), maxResponseBytes: 1_000_000 };
    const error = await failure(() => drain(options, { runtime: runtimeAt(0, env) }));
    expect(error.code).toBe("RESPONSE_TOO_LARGE");
    expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024);
  });

  it("The body of an error is read only in part, however long it is", async () => {
    const api = await serve((_asked, _count, response) => {
      response.writeHead(404);
      const timer = setInterval(() => response.write(Buffer.alloc(64 * 1024, "x")), 1);
      response.on("close", () => clearInterval(timer));
      return undefined;
    });
    const error = await failure(() => drain(linked(api.url), { runtime: runtimeAt(0, env) }));
    expect(error).toMatchObject({ code: "HTTP_STATUS", where: { status: 404 } });
  });
});
