import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import type { RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import { ReadAllAvailable } from "../../../shared/contract/read-limit.ts";
import { type Asked, failure, type Reply, runtimeAt, serve } from "../../support/api-server.ts";
import { drain, readerOf, rowsIn } from "./draining-reader.ts";
import { idsUpTo, kinds, listOptions, page } from "./paginated-api.ts";

describe("secrets", () => {
  const env = { TOKEN: "s3cret-bearer", KEY: "s3cret-query &", HEADER: "s3cret-header" };
  const secrets: Partial<RestApiOptions> = {
    bearerToken: { env: "TOKEN" },
    headers: { "x-api-key": { env: "HEADER" }, "x-plain": "plain" },
    query: { api_key: { env: "KEY" }, kind: "a" },
  };
  /** Returns the whole text of an error, with its causes and stacks. */
  const shown = (value: unknown): string => inspect(value, { depth: 20 }) + JSON.stringify(value);

  /** Returns the function of an API that repeats each request in its answer and in its links. */
  const echoing =
    (items: readonly unknown[]) =>
    (asked: Asked): Reply => {
      const reply = page({ type: "link" }, items, { ...asked, url: new URL(asked.url) });
      return { ...reply, json: { ...(reply.json as object), echo: asked.headers, url: asked.url.href } };
    };
  const linked = (url: string): RestApiOptions =>
    listOptions(url, { ...secrets, pagination: { type: "link", sizeParam: "n" } });

  it.each(kinds)(
    "Secrets are sent with every request and are in no offset or partition, with the pagination %s",
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
  ])("Secrets are in no error that comes from %s, nor in its cause", async (_what, reply) => {
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

  it("Secrets are in no error if they cannot be sent because an environment variable has two lines", async () => {
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

  it("Secrets are in no offset even if a link has them under a name of its own", async () => {
    const items = idsUpTo(7);
    const api = await serve((asked) => {
      asked.url.searchParams.set("access_token", env.TOKEN);
      return page({ type: "link" }, items, asked);
    });
    const drained = drain(linked(api.url), { runtime: runtimeAt(0, env) });
    // The reader may refuse the link or follow it without the secret.
    const result: unknown = await drained.catch((error: unknown) => error);
    expect(shown(result)).not.toContain("s3cret");
  });

  it("Secrets are not sent to another origin to which the API redirects", async () => {
    const other = await serve(() => ({ json: { data: [{ id: 1 }] } }));
    const api = await serve(() => ({ status: 302, headers: { location: other.url } }));
    await rowsIn(linked(api.url), { page: null, from: 0, to: 1 }, runtimeAt(0, env)).catch(() => undefined);
    expect(shown(other.asked.map(({ url, headers }) => [url.href, headers]))).not.toContain("s3cret");
  });

  it("Secrets are looked up at each request, and the error names one that is missing or empty", async () => {
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

  it("Secrets in the URL are sent as basic authentication and are in no error or offset", async () => {
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
