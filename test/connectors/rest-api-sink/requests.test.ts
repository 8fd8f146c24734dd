import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RestApi, type RestApiOptions, type Sent } from "../../../shared/connectors/rest-api/index.ts";
import type { BatchContext, DataSourceRuntime, Runtime, TaskContext } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { MillraceError } from "../../../shared/contract/errors.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import type { DataSourceStreamWriter } from "../../../shared/contract/stream-writer.ts";
import { DirectoryStore } from "../../../shared/platform/embedded/directory-store.ts";
import { type Fault, failure, type JsonRow, runtimeAt, serve, serveRows } from "../../support/api-server.ts";
import { EngineWorld } from "../../support/engine.ts";
import { withStores } from "../../support/runtime.ts";

const rowsUpTo = (count: number, from = 0): JsonRow[] =>
  Array.from({ length: count }, (_, i) => ({ id: from + i, word: `word ${from + i}` }));

async function writerOf(
  options: RestApiOptions,
  runtime: Runtime = runtimeAt(0),
): Promise<DataSourceStreamWriter<Sent>> {
  const parsed = await parseOptions(RestApi, { ...options });
  const api = new RestApi(parsed as never, withStores(runtime));
  return api.streamWriter(parseDdl("id bigint, word string"), false);
}

const store: DataSourceRuntime["store"] = withStores(runtimeAt(0)).store;
let batches = 0;

/** A task of a batch of its own, unless it is told which. */
function taskOf(over: Partial<TaskContext> = {}): TaskContext {
  return {
    pipeline: "orders",
    incarnation: "first-life",
    store,
    openStore: (location) => new DirectoryStore(location),
    batchId: batches++,
    attempt: 1,
    partitionId: 0,
    attemptNumber: 0,
    signal: new AbortController().signal,
    ...over,
  };
}

async function* streamed(rows: readonly JsonRow[]): AsyncGenerator<JsonRow> {
  yield* rows;
}

/** Writes one partition, by a writer of its own, as a task does. */
async function send(
  options: RestApiOptions,
  rows: readonly JsonRow[],
  over: { readonly task?: Partial<TaskContext>; readonly runtime?: Runtime } = {},
): Promise<Sent> {
  const writer = await writerOf(options, over.runtime);
  return (await writer.write(streamed(rows), taskOf(over.task))) as Sent;
}

describe("rows that are sent", () => {
  it("come in requests of rowsPerRequest rows, in their order, as JSON arrays", async () => {
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

  it("are no request where there are none", async () => {
    const api = await serveRows();
    expect(await send({ url: api.url }, [])).toEqual({ requests: 0, rows: 0 });
    expect(api.asked).toEqual([]);
  });

  it.each<[RestApiOptions["body"], string, string]>([
    ["array", '[{"id":0,"word":"word 0"},{"id":1,"word":"word 1"}]', "application/json"],
    ["ndjson", '{"id":0,"word":"word 0"}\n{"id":1,"word":"word 1"}\n', "application/x-ndjson"],
    [{ rows: "items" }, '{"items":[{"id":0,"word":"word 0"},{"id":1,"word":"word 1"}]}', "application/json"],
    [{ rows: "a.b" }, '{"a":{"b":[{"id":0,"word":"word 0"},{"id":1,"word":"word 1"}]}}', "application/json"],
  ])("have the form %o", async (body, expected, type) => {
    const api = await serve(() => ({ status: 204, text: "" }));
    await send({ url: api.url, body: body ?? "array" }, rowsUpTo(2));
    expect(api.asked.map((asked) => [asked.body, asked.headers["content-type"]])).toEqual([[expected, type]]);
  });

  it("are sent one by one as objects", async () => {
    const api = await serve(() => ({ status: 201 }));
    expect(await send({ url: api.url, body: "object" }, rowsUpTo(2))).toEqual({ requests: 2, rows: 2 });
    expect(api.asked.map(({ body }) => body)).toEqual([
      '{"id":0,"word":"word 0"}',
      '{"id":1,"word":"word 1"}',
    ]);
  });

  it("say NaN and the infinities as Spark's JSON does, not null", async () => {
    const api = await serveRows();
    await send({ url: api.url }, [{ a: Number.NaN, b: [Number.POSITIVE_INFINITY], c: -0.5, d: null }]);
    expect(api.rows).toEqual([{ a: "NaN", b: ["Infinity"], c: -0.5, d: null }]);
  });

  it("go with the method, the query, the headers and the credentials of the options", async () => {
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

  it("are sent by at most maxConcurrency requests at once", async () => {
    let now = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    const api = await serve((_asked, count, response) => {
      most = Math.max(most, ++now);
      waiting.push(() => {
        now--;
        response.writeHead(201).end("{}");
      });
      // Answers come only once as many are there as may be; at the end there are fewer.
      if (now === 3 || count > 9) for (const answer of waiting.splice(0)) answer();
      return undefined;
    });
    expect(await send({ url: api.url, rowsPerRequest: 1, maxConcurrency: 3 }, rowsUpTo(10))).toEqual({
      requests: 10,
      rows: 10,
    });
    expect(most).toBe(3);
  });

  it("are not sent on once one request has failed for good", async () => {
    const api = await serveRows((_asked, count) => (count === 4 ? { status: 400 } : undefined));
    const options = { url: api.url, rowsPerRequest: 1, maxConcurrency: 2 };
    await failure(() => send(options, rowsUpTo(50)));
    expect(api.asked.length).toBeLessThanOrEqual(6);
  });

  it("before the source failed have been sent, and its error is that of the task", async () => {
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

  it("are the SHA-256 of pipeline, incarnation, batch, partition, first row and number of rows", async () => {
    const keys = await keysOf({ rowsPerRequest: 2 }, rowsUpTo(3), { batchId: 1007, partitionId: 5 });
    expect(keys).toEqual([
      sha256('["orders","first-life",1007,5,0,2]'),
      sha256('["orders","first-life",1007,5,2,1]'),
    ]);
  });

  it("are the same for every attempt, whatever comes of the rest of the batch", async () => {
    const task = { batchId: 1008 };
    const keys = await keysOf({}, rowsUpTo(250), task);
    expect(await keysOf({}, rowsUpTo(250), { ...task, attempt: 2, attemptNumber: 3 })).toEqual(keys);
    expect(new Set(keys).size).toBe(3);
  });

  it("are others for another pipeline, incarnation, batch or partition", async () => {
    const task = { batchId: 1009 };
    const others: Partial<TaskContext>[] = [
      {},
      { pipeline: "refunds" },
      { incarnation: "second-life" },
      { batchId: 1010 },
      { partitionId: 1 },
    ];
    const keys = await Promise.all(others.map((other) => keysOf({}, rowsUpTo(1), { ...task, ...other })));
    expect(new Set(keys.flat()).size).toBe(5);
  });

  it("of the content are the SHA-256 of pipeline and rows, in any batch", async () => {
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

  it("go in the header that the options name, and never in the place of one that they set", async () => {
    const api = await serve(() => ({ status: 201 }));
    const headers = { "x-request-id": "always the same" };
    await send({ url: api.url, idempotencyHeader: "X-Request-Id", headers, rowsPerRequest: 1 }, rowsUpTo(2));
    const sent = api.asked.map((asked) => asked.headers["x-request-id"]);
    expect(sent).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/), expect.stringMatching(/^[0-9a-f]{64}$/)]);
    expect(sent[0]).not.toBe(sent[1]);
    expect(api.asked[0]?.headers["idempotency-key"]).toBeUndefined();
  });

  it("are not sent where idempotencyHeader is null, and nothing is kept in the store", async () => {
    const api = await serve(() => ({ status: 201 }));
    const task = taskOf();
    await (await writerOf({ url: api.url, idempotencyHeader: null })).write(streamed(rowsUpTo(1)), task);
    expect(Object.keys(api.asked[0]?.headers ?? {}).filter((name) => name.includes("key"))).toEqual([]);
    expect(await stored(task)).toEqual([]);
  });
});

/** Keys below the folder of a task's batch. */
async function stored({ incarnation, batchId }: TaskContext): Promise<string[]> {
  const prefix = `staging/rest-api/${incarnation}/${String(batchId).padStart(12, "0")}`;
  return (await Array.fromAsync(store.list(prefix))).map(({ key }) => key);
}

describe("a request that fails", () => {
  it.each<[string, Fault, number]>([
    ["the connection was cut before it was processed", "cut before", 250],
    ["the connection was cut after it was processed", "cut after", 250],
    ["the API answered 500", { status: 500 }, 250],
    ["the API answered 503 with Retry-After", { status: 503, headers: { "retry-after": "7" } }, 7000],
    ["the API answered 429 with Retry-After", { status: 429, headers: { "retry-after": "2" } }, 2000],
    ["the API was still at work on it (409)", { status: 409 }, 250],
  ])("because %s is sent again under its key, and counts once", async (_why, fault, delay) => {
    const runtime = runtimeAt(0);
    const api = await serveRows((_asked, count) => (count === 2 ? fault : undefined));
    expect(await send({ url: api.url, rowsPerRequest: 2 }, rowsUpTo(5), { runtime })).toEqual({
      requests: 3,
      rows: 5,
    });
    expect(api.rows).toEqual(rowsUpTo(5));
    expect(runtime.sleeps).toEqual([delay]);
    const [, failed, again] = api.asked;
    expect(again?.headers["idempotency-key"]).toBe(failed?.headers["idempotency-key"]);
    expect(again?.body).toBe(failed?.body);
    expect(api.repeated).toHaveLength(fault === "cut after" ? 1 : 0);
  });

  it("because no answer came within timeoutSeconds is sent again, and counts once", async () => {
    const api = await serveRows((_asked, count) => (count === 1 ? "hang after" : undefined));
    await send({ url: api.url, timeoutSeconds: 0.2 }, rowsUpTo(3));
    expect([api.rows, api.repeated.length]).toEqual([rowsUpTo(3), 1]);
  });

  it("twice with 500 waits longer the second time", async () => {
    const runtime = runtimeAt(0);
    const api = await serveRows((_asked, count) => (count <= 2 ? { status: 500 } : undefined));
    await send({ url: api.url }, rowsUpTo(3), { runtime });
    expect([api.rows, runtime.sleeps]).toEqual([rowsUpTo(3), [250, 500]]);
  });

  it.each([
    [400, "The API refuses the rows"],
    [401, "Check the credentials"],
    [404, "The API refuses the rows, or has no such endpoint"],
    [413, "lower rowsPerRequest"],
    [422, "The API refuses the rows"],
  ])("with %d is an error that names the place, and what to do: %s", async (status, hint) => {
    const runtime = runtimeAt(0);
    const api = await serveRows((_asked, count) => (count === 3 ? { status } : undefined));
    const error = await failure(() =>
      send({ url: api.url, method: "PUT", rowsPerRequest: 2 }, rowsUpTo(5), { runtime }),
    );
    expect(error).toMatchObject({
      code: "HTTP_STATUS",
      message: `PUT ${api.url} answered ${status} for rows 5 to 5`,
      where: { url: api.url, status, row: 5 },
      retryable: false,
      hint: expect.stringContaining(hint),
    });
    expect(runtime.sleeps).toEqual([]);
  });

  it("for ever is given up after maxRetries, so that the task can be tried again", async () => {
    const api = await serveRows(() => ({ status: 503 }));
    const error = await failure(() => send({ url: api.url, maxRetries: 2 }, rowsUpTo(3)));
    expect(error).toMatchObject({
      code: "HTTP_STATUS",
      message: `POST ${api.url} answered 503 for rows 1 to 3`,
      retryable: true,
    });
    expect(api.asked).toHaveLength(3);
  });

  it("with 409 for ever says what 409 may mean", async () => {
    const api = await serveRows(() => ({ status: 409 }));
    const error = await failure(() => send({ url: api.url, maxRetries: 1 }, rowsUpTo(3)));
    expect(error).toMatchObject({ retryable: true, hint: expect.stringContaining("alreadyDone: [409]") });
  });

  it("with a status of alreadyDone has succeeded", async () => {
    const api = await serveRows((_asked, count) => ({ status: count === 1 ? 409 : 303 }));
    const sent = await send({ url: api.url, rowsPerRequest: 2, alreadyDone: [409, 303] }, rowsUpTo(4));
    expect([sent, api.asked.length]).toEqual([{ requests: 2, rows: 4 }, 2]);
  });

  it("shows neither rows, nor secrets, nor what the API said", async () => {
    const env = { TOKEN: "s3cret-token", KEY: "s3cret-key", HEADER: "s3cret-header" };
    const options: Partial<RestApiOptions> = {
      bearerToken: { env: "TOKEN" },
      query: { key: { env: "KEY" }, team: "data" },
      headers: { "x-auth": { env: "HEADER" } },
      maxRetries: 0,
    };
    const row = { id: 1, word: "s3cret-word" };
    const replies: Fault[] = [
      { status: 400, text: JSON.stringify({ ...env, ...row }) },
      { status: 500, text: JSON.stringify({ ...env, ...row }) },
      { status: 307, headers: { location: "http://127.0.0.1:1/?k=s3cret-key" } },
      "cut before",
    ];
    for (const reply of replies) {
      const api = await serveRows(() => reply);
      const error = await failure(() =>
        send({ url: api.url, ...options }, [row], { runtime: runtimeAt(0, env) }),
      );
      expect(inspect(error, { depth: 20 }) + JSON.stringify(error)).not.toContain("s3cret");
      expect(error.where.url).toBe(`${api.url}?team=data`);
    }
  });

  it("stops where the task is told to stop", async () => {
    const controller = new AbortController();
    const runtime = runtimeAt(0);
    const api = await serveRows(() => {
      controller.abort();
      return { status: 503 };
    });
    await failure(() =>
      send({ url: api.url }, rowsUpTo(3), { runtime, task: { signal: controller.signal } }),
    );
    expect([api.asked.length, runtime.sleeps]).toEqual([1, []]);
  });
});

describe("a request without a key", () => {
  const options: Partial<RestApiOptions> = { idempotencyHeader: null };

  it.each<[string, Fault]>([
    ["the connection was cut", "cut after"],
    ["the API answered 500", { status: 500 }],
    ["the API answered 504", { status: 504 }],
    ["the API answered 408", { status: 408 }],
  ])("is not sent again where %s: it may have been processed", async (_why, fault) => {
    const api = await serveRows(() => fault);
    const error = await failure(() => send({ url: api.url, ...options }, rowsUpTo(3)));
    expect(error).toMatchObject({ retryable: false, hint: expect.stringContaining("may have processed it") });
    expect(api.asked).toHaveLength(1);
  });

  it("is not sent again where no answer came in time", async () => {
    const api = await serveRows(() => "hang after");
    const error = await failure(() => send({ url: api.url, ...options, timeoutSeconds: 0.2 }, rowsUpTo(3)));
    expect(error).toMatchObject({ code: "HTTP_FAILED", retryable: false });
    expect(error.message).toBe(`POST ${api.url} failed for rows 1 to 3: no answer within 0.2 s`);
    expect(api.asked).toHaveLength(1);
  });

  it.each([425, 429])("is sent again after %d: nothing was done", async (status) => {
    const api = await serveRows((_asked, count) => (count === 1 ? { status } : undefined));
    await send({ url: api.url, ...options }, rowsUpTo(3));
    expect(api.rows).toEqual(rowsUpTo(3));
  });

  it("is sent again where nobody was there to take it", async () => {
    const runtime = runtimeAt(0);
    const gone = createServer();
    await new Promise<void>((resolve) => gone.listen(0, "127.0.0.1", resolve));
    const { port } = gone.address() as AddressInfo;
    await new Promise((resolve) => gone.close(resolve));
    const url = `http://127.0.0.1:${port}/`;
    const error = await failure(() => send({ url, ...options }, rowsUpTo(3), { runtime }));
    expect(error).toMatchObject({ code: "HTTP_FAILED", retryable: true });
    expect(error.message).toContain("ECONNREFUSED");
    expect(runtime.sleeps).toEqual([250, 500, 1000]);
  });

  it("is sent again where it is a PUT, which does the same twice", async () => {
    const api = await serve((_asked, count) => ({ status: count === 1 ? 500 : 204, text: "" }));
    await send({ url: api.url, ...options, method: "PUT" }, rowsUpTo(3));
    expect(api.asked).toHaveLength(2);
  });
});

describe("a redirect", () => {
  it.each([307, 308])("with %d is followed on the same origin, with method, rows and key", async (status) => {
    const api = await serveRows(({ url }) =>
      url.pathname === "/items" ? { status, headers: { location: "/moved" } } : undefined,
    );
    await send({ url: api.url }, rowsUpTo(3));
    expect(api.rows).toEqual(rowsUpTo(3));
    const [first, second] = api.asked;
    expect([second?.method, second?.url.pathname]).toEqual(["POST", "/moved"]);
    expect(second?.headers["idempotency-key"]).toBe(first?.headers["idempotency-key"]);
  });

  it.each([301, 302, 303])("with %d is an error: it would become a GET", async (status) => {
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

  it.each([301, 302, 303, 307, 308])("with %d to another origin is not followed", async (status) => {
    const other = await serveRows();
    const api = await serveRows(() => ({ status, headers: { location: other.url } }));
    const error = await failure(() => send({ url: api.url }, rowsUpTo(3)));
    expect(error.retryable).toBe(false);
    if (status > 303) {
      expect(error.code).toBe("LINK_TO_OTHER_ORIGIN");
      expect(error.message).toMatch(/^POST /);
    }
    expect(other.asked).toEqual([]);
  });
});

describe("a batch that is open while the options change", () => {
  it("keeps rowsPerRequest and idempotencyKey, so that no row is sent under two keys; the next one has the new ones", async () => {
    let isBroken = true;
    const api = await serveRows((_asked, count) => (isBroken && count === 3 ? { status: 400 } : undefined));
    const task = { batchId: 2000 };
    await failure(() => send({ url: api.url, rowsPerRequest: 4 }, rowsUpTo(10), { task }));
    isBroken = false;
    const changed: RestApiOptions = { url: api.url, rowsPerRequest: 3, idempotencyKey: "content" };
    expect(await send(changed, rowsUpTo(10), { task })).toEqual({ requests: 3, rows: 10 });
    expect([api.rows, api.repeated.length]).toEqual([rowsUpTo(10), 2]);
    expect(await send(changed, rowsUpTo(10), { task: { batchId: 2001 } })).toEqual({ requests: 4, rows: 10 });
  });

  it("says so in the errors of its requests, with the file that tells how it was begun", async () => {
    const api = await serveRows(() => ({ status: 413 }));
    const task = { batchId: 2002 };
    const first = await failure(() => send({ url: api.url, rowsPerRequest: 4 }, rowsUpTo(10), { task }));
    expect(first.hint).not.toContain("delete");
    const second = await failure(() => send({ url: api.url, rowsPerRequest: 2 }, rowsUpTo(10), { task }));
    expect(second).toMatchObject({ code: "HTTP_STATUS", where: { status: 413, row: 1 } });
    expect(second.hint).toContain("The batch keeps the rowsPerRequest (4)");
    const [key = ""] = await stored(taskOf(task));
    expect(second.hint).toContain(`delete ${store.location}/${key}:`);
    await store.delete([key]);
    await failure(() => send({ url: api.url, rowsPerRequest: 2 }, rowsUpTo(10), { task }));
    expect(JSON.parse(api.asked.at(-1)?.body ?? "")).toEqual(rowsUpTo(2));
  });

  it("cannot go on with objects where it was begun with more rows a request", async () => {
    const api = await serveRows(() => ({ status: 400 }));
    const task = { batchId: 2003 };
    await failure(() => send({ url: api.url }, rowsUpTo(2), { task }));
    const error = await failure(() => send({ url: api.url, body: "object" }, rowsUpTo(2), { task }));
    expect(error).toMatchObject({
      code: "OPTIONS_INVALID",
      message: expect.stringContaining("batch 2003 was begun with 100 rows a request"),
    });
    expect(api.asked).toHaveLength(1);
  });

  it("leaves what was kept of it until the batch after it is committed", async () => {
    const api = await serveRows();
    const writer = await writerOf({ url: api.url });
    const tasks = [2010, 2011].map((batchId) => taskOf({ batchId }));
    for (const task of tasks) {
      await writer.write(streamed(rowsUpTo(1)), task);
      await writer.commit([], task.batchId, task as unknown as BatchContext);
      // It may be called again.
      await writer.commit([], task.batchId, task as unknown as BatchContext);
    }
    expect((await Promise.all(tasks.map(stored))).map((keys) => keys.length)).toEqual([0, 1]);
  });
});

describe("whatever befalls the requests, the tasks and the options", () => {
  it("an API that honours the keys has each row once, after the last attempt", async () => {
    const faults: Fault[] = [
      undefined,
      "cut before",
      "cut after",
      { status: 500 },
      { status: 409 },
      { status: 400 },
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 4 }),
        fc.array(fc.constantFrom(...faults), { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 3 }),
        async (partitions, queue, sizes, maxConcurrency) => {
          const api = await serveRows((_asked, count) => queue[count - 1]);
          const batchId = batches++;
          const parts = partitions.map((count, partitionId) => rowsUpTo(count, partitionId * 100));
          for (let attempt = 1; ; attempt++) {
            const rowsPerRequest = sizes[(attempt - 1) % sizes.length] ?? 1;
            const options: RestApiOptions = { url: api.url, rowsPerRequest, maxConcurrency, maxRetries: 1 };
            const ended = await Promise.allSettled(
              parts.map((rows, partitionId) =>
                send(options, rows, { task: { batchId, partitionId, attempt } }),
              ),
            );
            if (ended.every(({ status }) => status === "fulfilled")) break;
          }
          expect(api.rows.map(({ id }) => Number(id)).sort((a, b) => a - b)).toEqual(
            parts.flat().map(({ id }) => id),
          );
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("options of a sink", () => {
  const invalid = (options: object): Promise<MillraceError> =>
    failure(() => writerOf({ url: "http://127.0.0.1:1/", ...options }));

  it.each<[object, string]>([
    [{ method: "GET" }, "method"],
    [{ rowsPerRequest: 0 }, "rowsPerRequest"],
    [{ body: "object", rowsPerRequest: 2 }, 'rowsPerRequest: Must be 1 where body is "object"'],
    [{ body: { row: "items" } }, 'body: Must be "array", "ndjson", "object" or { rows: … }'],
    [{ idempotencyHeader: "not a name" }, "idempotencyHeader"],
    [{ idempotencyKeys: "content" }, "did you mean idempotencyKey?"],
    [{ alreadyDone: [200] }, "alreadyDone.0"],
  ])("%o are refused", async (options, problem) => {
    expect(await invalid(options)).toMatchObject({
      code: "OPTIONS_INVALID",
      message: expect.stringContaining(problem),
    });
  });

  it("do not go with those of a source, nor those of a source with them", async () => {
    const sink = await invalid({ pageSize: 10, timeRange: undefined, schema: "id int" });
    expect(sink).toMatchObject({
      code: "OPTIONS_INVALID",
      message: "RestApi is written to here, but schema, pageSize are for an API that is read from",
    });
    const options = { url: "http://127.0.0.1:1/", schema: "id int", rowsPerRequest: 10 };
    const api = new RestApi((await parseOptions(RestApi, options)) as never, withStores(runtimeAt(0)));
    const message = "RestApi is read from here, but rowsPerRequest is for an API that is written to";
    for (const reader of ["reader", "streamReader"] as const)
      expect(await failure(() => api[reader](parseDdl("id int")))).toMatchObject({ message });
  });

  it("cannot make it take the place of what is there", async () => {
    const options = await parseOptions(RestApi, { url: "http://127.0.0.1:1/" });
    const api = new RestApi(options as never, withStores(runtimeAt(0)));
    expect(await failure(() => api.writer(parseDdl("id int"), true))).toMatchObject({
      code: "NOT_SUPPORTED",
      hint: expect.stringContaining('.mode("append")'),
    });
    expect(api.writer(parseDdl("id int"), false)).toBeDefined();
  });
});

describe("a pipeline from an API to an API", () => {
  async function source(items: readonly JsonRow[]): Promise<string> {
    const api = await serve(({ url }) => {
      const from = Number(url.searchParams.get("offset"));
      return { json: items.slice(from, from + Number(url.searchParams.get("limit"))) };
    });
    return api.url;
  }

  const streamTo = (from: string, to: string): Pipeline =>
    pipeline("copy")
      .readStream.format(RestApi)
      .options({ url: from, pageSize: 5, maxPagesPerBatch: 4 })
      .schema("id bigint NOT NULL, word string")
      .writeStream.format(RestApi)
      .options({ url: to, rowsPerRequest: 2, maxRetries: 0 }) as unknown as Pipeline;

  it("has each row there once, though batches are aborted and replayed", async () => {
    const world = new EngineWorld();
    const items = rowsUpTo(33);
    const faults: Record<number, Fault> = { 3: "cut after", 7: { status: 400 }, 30: { status: 500 } };
    const api = await serveRows((_asked, count) => faults[count]);
    const definition = streamTo(await source(items), api.url);
    const states: string[] = [];
    const run = await world.run(definition, "run");
    for (let result = await run.batch(); result !== undefined; result = await run.batch()) {
      states.push(`${result.batch.batchId} ${result.batch.state}`);
    }
    expect(states).toEqual(["0 aborted", "0 committed", "1 aborted", "1 committed"]);
    expect(api.rows.map(({ id }) => Number(id)).sort((a, b) => a - b)).toEqual(items.map(({ id }) => id));
    expect(api.rows).toHaveLength(33);
    expect(api.repeated.length).toBeGreaterThan(0);
  });

  it("sends everything again where it starts anew from nothing: the keys have its incarnation", async () => {
    const items = rowsUpTo(4);
    const api = await serveRows();
    const definition = streamTo(await source(items), api.url);
    for (const id of ["00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"]) {
      const world = new EngineWorld();
      const { runtime } = world.ports();
      const run = await world.run(definition, "run", { runtime: { ...runtime, newId: () => id } });
      await run.batch();
    }
    expect(api.rows).toEqual([...items, ...items]);
  });

  it("copies a batch in the mode append", async () => {
    const world = new EngineWorld();
    const api = await serveRows();
    const definition = pipeline("copy")
      .read.format(RestApi)
      .options({ url: await source(rowsUpTo(12)), schema: "id bigint, word string", pageSize: 5 })
      .write.format(RestApi)
      .options({ url: api.url })
      .mode("append") as unknown as Pipeline;
    const run = await world.run(definition, "run");
    expect((await run.batch())?.batch).toMatchObject({ state: "committed", progress: { rows: 12 } });
    expect(api.rows).toEqual(rowsUpTo(12));
  });
});
