import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import { UNKNOWN_PLAN } from "../../../shared/contract/batch-identity.ts";
import type { TaskContext } from "../../../shared/contract/context.ts";
import { failure, type JsonRow, runtimeAt, serve, serveRows } from "../../support/api-server.ts";
import { rowsUpTo, send, stored, streamed, taskOf, writerOf } from "./sending.ts";

describe("rows that are sent", () => {
  it("Rows are sent in requests of rowsPerRequest rows, in their order, as JSON arrays", async () => {
    const api = await serveRows();
    const rows = rowsUpTo(250);
    expect(await send({ url: api.url }, rows)).toEqual({ requests: 3, rows: 250 });
    expect(api.rows).toEqual(rows);
    expect(api.asked.map(({ method, body }) => [method, (JSON.parse(body) as unknown[]).length])).toEqual([
      ["POST", 100],
      ["POST", 100],
      ["POST", 50],
    ]);
    expect(api.asked[0]?.headers).toMatchObject({
      "content-type": "application/json",
      accept: "application/json",
    });
  });

  it("A task without rows sends no request", async () => {
    const api = await serveRows();
    expect(await send({ url: api.url }, [])).toEqual({ requests: 0, rows: 0 });
    expect(api.asked).toEqual([]);
  });

  it.each<[RestApiOptions["body"], string, string]>([
    ["array", '[{"id":0,"word":"word 0"},{"id":1,"word":"word 1"}]', "application/json"],
    ["ndjson", '{"id":0,"word":"word 0"}\n{"id":1,"word":"word 1"}\n', "application/x-ndjson"],
    [{ rows: "items" }, '{"items":[{"id":0,"word":"word 0"},{"id":1,"word":"word 1"}]}', "application/json"],
    [{ rows: "a.b" }, '{"a":{"b":[{"id":0,"word":"word 0"},{"id":1,"word":"word 1"}]}}', "application/json"],
  ])("Rows are sent in the form %o", async (body, expected, type) => {
    const api = await serve(() => ({ status: 204, text: "" }));
    await send({ url: api.url, body: body ?? "array" }, rowsUpTo(2));
    expect(api.asked.map((asked) => [asked.body, asked.headers["content-type"]])).toEqual([[expected, type]]);
  });

  it("Rows are sent one by one as objects", async () => {
    const api = await serve(() => ({ status: 201 }));
    expect(await send({ url: api.url, body: "object" }, rowsUpTo(2))).toEqual({ requests: 2, rows: 2 });
    expect(api.asked.map(({ body }) => body)).toEqual([
      '{"id":0,"word":"word 0"}',
      '{"id":1,"word":"word 1"}',
    ]);
  });

  it("Rows spell NaN and the infinities as Spark's JSON does, not as null", async () => {
    const api = await serveRows();
    await send({ url: api.url }, [{ a: Number.NaN, b: [Number.POSITIVE_INFINITY], c: -0.5, d: null }]);
    expect(api.rows).toEqual([{ a: "NaN", b: ["Infinity"], c: -0.5, d: null }]);
  });

  it("Rows are sent with the method, query, headers and credentials of the options", async () => {
    const api = await serve(() => ({ status: 200 }));
    const options: RestApiOptions = {
      url: `${api.url}?v=2`,
      method: "PATCH",
      query: { key: { env: "KEY" }, dry: false },
      headers: { "content-type": "application/vnd.api+json", "x-team": "data" },
      bearerToken: { env: "TOKEN" },
    };
    await send(options, rowsUpTo(1), { runtime: runtimeAt(0, { KEY: "k", TOKEN: "t" }) });
    const [asked] = api.asked;
    expect([asked?.method, asked?.url.search]).toEqual(["PATCH", "?v=2&dry=false&key=k"]);
    expect(asked?.headers).toMatchObject({
      "content-type": "application/vnd.api+json",
      "x-team": "data",
      authorization: "Bearer t",
    });
  });

  it("Rows are sent by at most maxConcurrency requests at once", async () => {
    let now = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    const api = await serve((_asked, count, response) => {
      most = Math.max(most, ++now);
      waiting.push(() => {
        now--;
        response.writeHead(201).end("{}");
      });
      // The server answers only when three requests wait, or when the last request has arrived.
      if (now === 3 || count > 9) for (const answer of waiting.splice(0)) answer();
      return undefined;
    });
    expect(await send({ url: api.url, rowsPerRequest: 1, maxConcurrency: 3 }, rowsUpTo(10))).toEqual({
      requests: 10,
      rows: 10,
    });
    expect(most).toBe(3);
  });

  it("Rows are not sent after one request has failed for good", async () => {
    const api = await serveRows((_asked, count) => (count === 4 ? { status: 400 } : undefined));
    const options = { url: api.url, rowsPerRequest: 1, maxConcurrency: 2 };
    await failure(() => send(options, rowsUpTo(50)));
    expect(api.asked.length).toBeLessThanOrEqual(6);
  });

  it("Rows before a failure of the source are sent, and its error is that of the task", async () => {
    const api = await serveRows();
    const writer = await writerOf({ url: api.url, rowsPerRequest: 2, maxConcurrency: 2 });
    async function* source(): AsyncGenerator<JsonRow> {
      yield* rowsUpTo(3);
      throw new Error("the source is ill");
    }
    await expect(writer.write(source(), taskOf())).rejects.toThrow("the source is ill");
    expect(api.rows).toEqual(rowsUpTo(2));
  });
});

describe("idempotency keys", () => {
  const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

  async function keysOf(
    options: Partial<RestApiOptions>,
    rows: readonly JsonRow[],
    task: Partial<TaskContext> = {},
  ): Promise<unknown[]> {
    const api = await serve(() => ({ status: 201 }));
    await send({ url: api.url, ...options }, rows, { task });
    return api.asked.map(({ headers }) => headers["idempotency-key"]);
  }

  it("An idempotency key is the SHA-256 of pipeline, incarnation, batch, partition, first row, row count and plan", async () => {
    const keys = await keysOf({ rowsPerRequest: 2 }, rowsUpTo(3), { batchId: 1007, partitionId: 5 });
    expect(keys).toEqual([
      sha256('["orders","first-life",1007,5,0,2,"plan-1"]'),
      sha256('["orders","first-life",1007,5,2,1,"plan-1"]'),
    ]);
  });

  it("An idempotency key has no plan for a batch that the older version began", async () => {
    const task = { batchId: 1007, partitionId: 5, planId: UNKNOWN_PLAN };
    const keys = await keysOf({ rowsPerRequest: 2 }, rowsUpTo(3), task);
    expect(keys).toEqual([
      sha256('["orders","first-life",1007,5,0,2]'),
      sha256('["orders","first-life",1007,5,2,1]'),
    ]);
  });

  it("An idempotency key is the same for every attempt, whatever happens to the rest of the batch", async () => {
    const task = { batchId: 1008 };
    const keys = await keysOf({}, rowsUpTo(250), task);
    expect(await keysOf({}, rowsUpTo(250), { ...task, attempt: 2, attemptNumber: 3 })).toEqual(keys);
    expect(new Set(keys).size).toBe(3);
  });

  it("An idempotency key differs for another pipeline, incarnation, batch, plan or partition", async () => {
    const task = { batchId: 1009 };
    const others: Partial<TaskContext>[] = [
      {},
      { pipeline: "refunds" },
      { incarnation: "second-life" },
      { batchId: 1010 },
      { planId: "plan-2" },
      { partitionId: 1 },
    ];
    const keys = await Promise.all(others.map((other) => keysOf({}, rowsUpTo(1), { ...task, ...other })));
    expect(new Set(keys.flat()).size).toBe(6);
  });

  it("An idempotency key of the content is the SHA-256 of pipeline and rows, in any batch", async () => {
    const options: Partial<RestApiOptions> = { idempotencyKey: "content", rowsPerRequest: 1 };
    const keys = await keysOf(options, rowsUpTo(2));
    expect(keys).toEqual([
      sha256(JSON.stringify(["orders", '[{"id":0,"word":"word 0"}]'])),
      sha256(JSON.stringify(["orders", '[{"id":1,"word":"word 1"}]'])),
    ]);
    const elsewhere = { incarnation: "second-life", partitionId: 3, attempt: 2 };
    expect(await keysOf({ ...options, body: "object" }, rowsUpTo(2), elsewhere)).toEqual(keys);
    expect(await keysOf(options, rowsUpTo(2), { pipeline: "refunds" })).not.toEqual(keys);
  });

  it("An idempotency key is sent in the named header and never replaces one that the options set", async () => {
    const api = await serve(() => ({ status: 201 }));
    const headers = { "x-request-id": "always the same" };
    await send({ url: api.url, idempotencyHeader: "X-Request-Id", headers, rowsPerRequest: 1 }, rowsUpTo(2));
    const sent = api.asked.map((asked) => asked.headers["x-request-id"]);
    expect(sent).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/), expect.stringMatching(/^[0-9a-f]{64}$/)]);
    expect(sent[0]).not.toBe(sent[1]);
    expect(api.asked[0]?.headers["idempotency-key"]).toBeUndefined();
  });

  it("An idempotency key is not sent if idempotencyHeader is null, and the store keeps no file", async () => {
    const api = await serve(() => ({ status: 201 }));
    const task = taskOf();
    await (await writerOf({ url: api.url, idempotencyHeader: null })).write(streamed(rowsUpTo(1)), task);
    expect(Object.keys(api.asked[0]?.headers ?? {}).filter((name) => name.includes("key"))).toEqual([]);
    expect(await stored(task)).toEqual([]);
  });
});

describe("a redirect", () => {
  it.each([307, 308])(
    "A redirect with %d is followed on the same origin, with method, rows and key",
    async (status) => {
      const api = await serveRows(({ url }) =>
        url.pathname === "/items" ? { status, headers: { location: "/moved" } } : undefined,
      );
      await send({ url: api.url }, rowsUpTo(3));
      expect(api.rows).toEqual(rowsUpTo(3));
      const [first, second] = api.asked;
      expect([second?.method, second?.url.pathname]).toEqual(["POST", "/moved"]);
      expect(second?.headers["idempotency-key"]).toBe(first?.headers["idempotency-key"]);
    },
  );

  it.each([301, 302, 303])("A redirect with %d is an error because it would become a GET", async (status) => {
    const api = await serveRows(() => ({ status, headers: { location: "/moved" } }));
    const error = await failure(() => send({ url: api.url }, rowsUpTo(3)));
    expect(error).toMatchObject({
      code: "HTTP_STATUS",
      where: { status },
      retryable: false,
      hint: expect.stringContaining("set url"),
    });
    expect(api.asked).toHaveLength(1);
  });

  it.each([301, 302, 303, 307, 308])(
    "A redirect with %d to another origin is not followed",
    async (status) => {
      const other = await serveRows();
      const api = await serveRows(() => ({ status, headers: { location: other.url } }));
      const error = await failure(() => send({ url: api.url }, rowsUpTo(3)));
      expect(error.retryable).toBe(false);
      if (status > 303) {
        expect(error.code).toBe("LINK_TO_OTHER_ORIGIN");
        expect(error.message).toMatch(/^POST /);
      }
      expect(other.asked).toEqual([]);
    },
  );
});
