import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import type { OAuth2Options, RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import { RestApi } from "../../../shared/connectors/rest-api/index.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { type Api, type Asked, failure, type Reply, runtimeAt, serve } from "../../support/api-server.ts";
import { rowsUpTo, send } from "../rest-api-sink/sending.ts";
import { drain, rowsIn } from "./draining-reader.ts";

const env = { CLIENT: "me & you", SECRET: "s3cr3t +/%" };

interface Servers {
  readonly api: Api;
  readonly tokens: Api;
  readonly options: RestApiOptions;
  /** The tokens that the API accepts. */
  readonly accepted: Set<string>;
}

/** Starts a token endpoint, and an API with three pages that accepts its tokens. */
async function servers(
  over: Partial<OAuth2Options> = {},
  answer: (count: number, token: string) => Reply = (_count, token) => ({
    json: { access_token: token, token_type: "bearer", expires_in: 3600 },
  }),
  page: (asked: Asked, count: number) => Reply | undefined = () => undefined,
): Promise<Servers> {
  const accepted = new Set<string>();
  const tokens = await serve((_asked, count) => {
    const token = `t0ken-${count}.${"x".repeat(30)}`;
    accepted.add(token);
    return answer(count, token);
  });
  const api = await serve((asked, count) => {
    const token = /^Bearer (.*)$/.exec(asked.headers.authorization ?? "")?.[1] ?? "";
    if (!accepted.has(token)) return { status: 401, json: { message: `no such token: ${token}` } };
    const at = Number(asked.url.searchParams.get("cursor") ?? 0);
    return page(asked, count) ?? { json: { data: [{ id: at }], next: at < 2 ? at + 1 : null } };
  });
  const oauth2 = {
    tokenUrl: tokens.url,
    clientId: { env: "CLIENT" },
    clientSecret: { env: "SECRET" },
    ...over,
  };
  const options: RestApiOptions = {
    url: api.url,
    schema: "id int",
    rows: "data",
    pageSize: 1,
    pagination: { type: "cursor", cursorPath: "next" },
    maxRetries: 2,
    oauth2,
  };
  return { api, tokens, options, accepted };
}

const readOne = (options: RestApiOptions, runtime = runtimeAt(0, env)) =>
  rowsIn(options, { page: null, size: 1, from: 0, to: 1 }, runtime);
const shown = (value: unknown): string => inspect(value, { depth: 20 }) + JSON.stringify(value);

describe("OAuth2 client credentials", () => {
  it("One access token is fetched for all pages, tasks and clients, and is in no offset", async () => {
    const { api, tokens, options } = await servers({
      scope: "read write",
      audience: "them",
      params: { resource: "r" },
    });
    const drained = await drain(options, { runtime: runtimeAt(0, env) });
    expect(drained.rows).toEqual([{ id: 0 }, { id: 1 }, { id: 2 }]);
    await Promise.all([readOne(options), readOne(options)]);
    expect(tokens.asked).toHaveLength(1);
    const [asked] = tokens.asked;
    expect(asked?.method).toBe("POST");
    expect(asked?.headers["content-type"]).toMatch(/^application\/x-www-form-urlencoded/);
    expect(Object.fromEntries(new URLSearchParams(asked?.body))).toEqual({
      grant_type: "client_credentials",
      scope: "read write",
      audience: "them",
      resource: "r",
    });
    expect(asked?.headers.authorization).toBe(`Basic ${btoa("me+%26+you:s3cr3t+%2B%2F%25")}`);
    expect(new Set(api.asked.map(({ headers }) => headers.authorization))).toEqual(
      new Set([`Bearer t0ken-1.${"x".repeat(30)}`]),
    );
    expect(shown(drained)).not.toMatch(/t0ken|s3cr3t/);
  });

  it("The client's id and secret are sent in the form with authentication body", async () => {
    const { tokens, options } = await servers({ authentication: "body", clientId: "plain" });
    await readOne(options);
    expect(tokens.asked[0]?.headers.authorization).toBeUndefined();
    expect(Object.fromEntries(new URLSearchParams(tokens.asked[0]?.body))).toEqual({
      grant_type: "client_credentials",
      client_id: "plain",
      client_secret: env.SECRET,
    });
  });

  it("An access token is fetched once for readers that start at the same time", async () => {
    const { tokens, options } = await servers();
    await Promise.all(Array.from({ length: 5 }, () => readOne(options)));
    expect(tokens.asked).toHaveLength(1);
  });

  it.each([
    [3600, 3540],
    [100, 90],
    ["100", 90],
  ])("An access token that expires in %j seconds is fetched again after %d", async (expires, after) => {
    const { tokens, options } = await servers({}, (_count, token) => ({
      json: { access_token: token, token_type: "Bearer", expires_in: expires },
    }));
    const runtime = runtimeAt(0, env);
    await readOne(options, runtime);
    runtime.time = after * 1000 - 1;
    await readOne(options, runtime);
    expect(tokens.asked).toHaveLength(1);
    runtime.time = after * 1000;
    await readOne(options, runtime);
    expect(tokens.asked).toHaveLength(2);
  });

  it("An access token without expires_in is used until the API refuses it, and then fetched again once", async () => {
    const { api, tokens, options, accepted } = await servers({}, (_count, token) => ({
      json: { access_token: token },
    }));
    const runtime = runtimeAt(0, env);
    await readOne(options, runtime);
    runtime.time = 1e12;
    await readOne(options, runtime);
    expect(tokens.asked).toHaveLength(1);
    accepted.clear();
    expect(await readOne(options, runtime)).toEqual([{ id: 0 }]);
    expect([tokens.asked.length, api.asked.length, runtime.sleeps]).toEqual([2, 4, []]);
  });

  it("The error of an API that refuses each access token shows neither the token nor the secret", async () => {
    const { api, tokens, options } = await servers({}, (count) => ({
      json: { access_token: `wr0ng-${count}` },
    }));
    const error = await failure(() => readOne(options));
    expect(error).toMatchObject({ code: "HTTP_STATUS", where: { status: 401 }, retryable: false });
    expect(error.hint).toContain("Check the credentials: oauth2");
    expect(error.found).toBe("no such token: {oauth2:token}");
    expect(shown(error)).not.toMatch(/wr0ng|s3cr3t/);
    expect([api.asked.length, tokens.asked.length]).toEqual([2, 2]);
  });

  it("A sink sends its rows with an access token, and again with another one after 401", async () => {
    const { api, tokens, options, accepted } = await servers();
    const sink: RestApiOptions = { url: options.url, oauth2: options.oauth2 as OAuth2Options };
    const runtime = runtimeAt(0, env);
    await send(sink, rowsUpTo(2), { runtime });
    accepted.clear();
    await send({ ...sink, idempotencyHeader: null }, rowsUpTo(3), { runtime });
    expect([api.asked.length, tokens.asked.length]).toEqual([3, 2]);
    expect(JSON.parse(api.asked[2]?.body ?? "")).toEqual(rowsUpTo(3));
  });

  it("Requests for access tokens are retried like others, and keep requestsPerSecond", async () => {
    const { tokens, options } = await servers({}, (count, token) =>
      count === 1
        ? { status: 522 }
        : count === 2
          ? { status: 429, headers: { "retry-after": "7" } }
          : { json: { access_token: token } },
    );
    const runtime = runtimeAt(0, env);
    expect(await readOne({ ...options, requestsPerSecond: 0.25 }, runtime)).toEqual([{ id: 0 }]);
    expect(tokens.asked).toHaveLength(3);
    expect(runtime.sleeps).toEqual([250, 3750, 7000]);
  });

  it.each<[string, Reply, string, string, boolean, number]>([
    [
      "the client is wrong",
      { status: 401, json: { error: "invalid_client", error_description: `${env.CLIENT}: ${env.SECRET}` } },
      "answered 401 (invalid_client)",
      '`authentication: "body"`',
      false,
      1,
    ],
    [
      "the scope is wrong",
      { status: 400, json: { error: "invalid_scope" } },
      "answered 400 (invalid_scope)",
      "scope",
      false,
      1,
    ],
    ["the endpoint is down", { status: 503, text: env.SECRET }, "answered 503", "ask who runs it", true, 3],
    ["it redirects", { status: 302, headers: { location: "/login" } }, "answered 302", "tokenUrl", false, 1],
    [
      "it answers a page",
      { text: `<p>t0ken-page ${env.SECRET}` },
      "answered 200 with a body that is not a JSON object",
      "tokenUrl",
      false,
      1,
    ],
    [
      "there is no token",
      { json: { token: "t0ken-x" } },
      "answered 200 with an access_token that is undefined, not text",
      "tokenUrl",
      false,
      1,
    ],
    [
      "the token cannot be sent",
      { json: { access_token: "t0ken\nx" } },
      "answered 200 with an access_token that no header can hold",
      "",
      false,
      1,
    ],
    [
      "the token is of another type",
      { json: { access_token: "t0ken-x", token_type: "mac" } },
      "answered 200 with a token_type that is not Bearer",
      "",
      false,
      1,
    ],
    [
      "expires_in is no number",
      { json: { access_token: "t0ken-x", expires_in: "soon" } },
      "answered 200 with an expires_in that is a string of 4 characters, not a number of seconds",
      "",
      false,
      1,
    ],
  ])(
    "The error of a request for an access token says that %s, and shows no secret",
    async (_what, reply, problem, hint, retryable, requests) => {
      const { api, tokens, options } = await servers({}, () => reply);
      const error = await failure(() => readOne(options));
      expect(error).toMatchObject({
        code: "ACCESS_TOKEN_FAILED",
        message: `POST ${tokens.url} for an access token ${problem}`,
        where: { url: tokens.url },
        retryable,
      });
      expect(error.hint).toContain(hint);
      expect(shown(error)).not.toMatch(/t0ken|s3cr3t|me & you/);
      expect([tokens.asked.length, api.asked.length]).toEqual([requests, 0]);
    },
  );

  it("The error of a token endpoint that cannot be reached has its URL without the query", async () => {
    const { options } = await servers({ tokenUrl: "http://127.0.0.1:1/token?key=s3cr3t" });
    const error = await failure(() => readOne({ ...options, maxRetries: 0 }));
    expect(error).toMatchObject({
      code: "ACCESS_TOKEN_FAILED",
      retryable: true,
      where: { url: "http://127.0.0.1:1/token" },
    });
    expect(error.message).toMatch(/^POST http:\/\/127.0.0.1:1\/token for an access token failed: ./);
    expect(shown(error.toRecord())).not.toContain("s3cr3t");
  });

  it("A missing secret is named before any request", async () => {
    const { api, tokens, options } = await servers();
    const error = await failure(() => readOne(options, runtimeAt(0, { CLIENT: "x" })));
    expect(error).toMatchObject({ code: "SECRET_MISSING", message: expect.stringContaining("SECRET") });
    expect([...api.asked, ...tokens.asked]).toEqual([]);
  });

  it("An access token in a link is stored as a placeholder, and the present token is sent", async () => {
    const { api, options, accepted } = await servers({}, undefined, ({ url, headers }) => {
      const token = headers.authorization?.slice("Bearer ".length) ?? "";
      const at = Number(url.searchParams.get("at") ?? 0);
      const link = `</list/${token}?at=${at + 1}&access_token=${token}>; rel=next`;
      return { json: { data: [{ id: at }] }, ...(at < 2 ? { headers: { link } } : {}) };
    });
    const linked: RestApiOptions = { ...options, pagination: { type: "link", endOn: "missing" } };
    const after = () => accepted.clear();
    const drained = await drain({ ...linked, maxPagesPerBatch: 1 }, { runtime: runtimeAt(0, env), after });
    expect(drained.rows).toEqual([{ id: 0 }, { id: 1 }, { id: 2 }]);
    const stored = JSON.stringify([drained.offsets, drained.partitions]);
    expect(stored).toContain("/list/{oauth2:token}?at=1&access_token={oauth2:token}");
    expect(stored).not.toContain("t0ken");
    for (const { url, headers } of api.asked.filter((asked) => asked.url.pathname !== "/items")) {
      const token = headers.authorization?.slice("Bearer ".length);
      expect([url.pathname, url.searchParams.get("access_token")]).toEqual([`/list/${token}`, token]);
    }
  });

  it("A task that is told to stop does not wait for its access token", async () => {
    const stopping = new AbortController();
    const { options } = await servers({}, undefined);
    const hanging = await serve(() => {
      stopping.abort(new Error("stopped"));
      return undefined;
    });
    const oauth2 = { ...(options.oauth2 as OAuth2Options), tokenUrl: hanging.url };
    const sending = send({ url: options.url, oauth2 }, rowsUpTo(1), {
      runtime: runtimeAt(0, env),
      task: { signal: stopping.signal },
    });
    await expect(sending).rejects.toThrow("stopped");
  });

  it.each<[string, object]>([
    ["oauth2: Cannot be set together with bearerToken", { bearerToken: { env: "T" } }],
    [
      "oauth2.tokenUrl",
      { oauth2: { tokenUrl: "https://me:pw@example.com/", clientId: "a", clientSecret: { env: "S" } } },
    ],
    [
      "oauth2.clientSecret",
      { oauth2: { tokenUrl: "https://example.com/", clientId: "a", clientSecret: "s3cr3t" } },
    ],
    [
      'oauth2: Unrecognized key: "scopes"',
      {
        oauth2: { tokenUrl: "https://example.com/", clientId: "a", clientSecret: { env: "S" }, scopes: "a" },
      },
    ],
  ])("The options of OAuth2 are checked: %s", async (problem, over) => {
    const { options } = await servers();
    const error = await failure(() => parseOptions(RestApi, { ...options, ...over }));
    expect(error).toMatchObject({ code: "OPTIONS_INVALID", message: expect.stringContaining(problem) });
    expect(shown(error)).not.toContain("s3cr3t");
  });
});
