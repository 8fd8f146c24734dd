import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import type { RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import { type Fault, failure, runtimeAt, serve, serveRows } from "../../support/api-server.ts";
import { rowsUpTo, send } from "./sending.ts";

describe("a request that fails", () => {
  it.each<[string, Fault, number]>([
    ["the connection was cut before it was processed", "cut before", 250],
    ["the connection was cut after it was processed", "cut after", 250],
    ["the API answered 500", { status: 500 }, 250],
    ["the API answered 503 with Retry-After", { status: 503, headers: { "retry-after": "7" } }, 7000],
    ["the API answered 429 with Retry-After", { status: 429, headers: { "retry-after": "2" } }, 2000],
    ["the API was still at work on it (409)", { status: 409 }, 250],
  ])(
    "A request that fails because %s is sent again under its key and counts once",
    async (_why, fault, delay) => {
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
    },
  );

  it("A request without an answer within timeoutSeconds is sent again and counts once", async () => {
    const api = await serveRows((_asked, count) => (count === 1 ? "hang after" : undefined));
    await send({ url: api.url, timeoutSeconds: 0.2 }, rowsUpTo(3));
    expect([api.rows, api.repeated.length]).toEqual([rowsUpTo(3), 1]);
  });

  it("A request that fails twice with 500 waits longer the second time", async () => {
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
  ])(
    "A request that fails with %d is an error that names the place and the remedy: %s",
    async (status, hint) => {
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
    },
  );

  it("A request that always fails is given up after maxRetries, so that the task can be tried again", async () => {
    const api = await serveRows(() => ({ status: 503 }));
    const error = await failure(() => send({ url: api.url, maxRetries: 2 }, rowsUpTo(3)));
    expect(error).toMatchObject({
      code: "HTTP_STATUS",
      message: `POST ${api.url} answered 503 for rows 1 to 3`,
      retryable: true,
    });
    expect(api.asked).toHaveLength(3);
  });

  it("The error of a request that always fails with 409 says what 409 may mean", async () => {
    const api = await serveRows(() => ({ status: 409 }));
    const error = await failure(() => send({ url: api.url, maxRetries: 1 }, rowsUpTo(3)));
    expect(error).toMatchObject({ retryable: true, hint: expect.stringContaining("alreadyDone: [409]") });
  });

  it("A request that fails with a status of alreadyDone has succeeded", async () => {
    const api = await serveRows((_asked, count) => ({ status: count === 1 ? 409 : 303 }));
    const sent = await send({ url: api.url, rowsPerRequest: 2, alreadyDone: [409, 303] }, rowsUpTo(4));
    expect([sent, api.asked.length]).toEqual([{ requests: 2, rows: 4 }, 2]);
  });

  it("The error of a request stores no rows, no secrets and no words of the API, which only the terminal shows", async () => {
    const env = { TOKEN: "s3cret-token", KEY: "s3cret-key", HEADER: "s3cret-header" };
    const options: Partial<RestApiOptions> = {
      bearerToken: { env: "TOKEN" },
      query: { key: { env: "KEY" }, team: "data" },
      headers: { "x-auth": { env: "HEADER" } },
      maxRetries: 0,
    };
    const row = { id: 1, word: "private-word" };
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
      const { found, ...stored } = error;
      expect(JSON.stringify([stored, error.toRecord(), error.message, error.stack])).not.toContain("private");
      expect(found?.includes("private-word") ?? false).toBe(typeof reply === "object" && "text" in reply);
      expect(error.where.url).toBe(`${api.url}?team=data`);
    }
  });

  it("A request stops if the task is told to stop", async () => {
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
  ])(
    "A request without a key is not sent again if %s, because it may have been processed",
    async (_why, fault) => {
      const api = await serveRows(() => fault);
      const error = await failure(() => send({ url: api.url, ...options }, rowsUpTo(3)));
      expect(error).toMatchObject({
        retryable: false,
        hint: expect.stringContaining("may have processed it"),
      });
      expect(api.asked).toHaveLength(1);
    },
  );

  it("A request without a key is not sent again if no answer came in time", async () => {
    const api = await serveRows(() => "hang after");
    const error = await failure(() => send({ url: api.url, ...options, timeoutSeconds: 0.2 }, rowsUpTo(3)));
    expect(error).toMatchObject({ code: "HTTP_FAILED", retryable: false });
    expect(error.message).toBe(`POST ${api.url} failed for rows 1 to 3: no answer within 0.2 s`);
    expect(api.asked).toHaveLength(1);
  });

  it.each([425, 429])(
    "A request without a key is sent again after %d, because nothing was done",
    async (status) => {
      const api = await serveRows((_asked, count) => (count === 1 ? { status } : undefined));
      await send({ url: api.url, ...options }, rowsUpTo(3));
      expect(api.rows).toEqual(rowsUpTo(3));
    },
  );

  it("A request without a key is sent again if no server was there to take it", async () => {
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

  it("A request without a key is sent again if it is a PUT, which is idempotent", async () => {
    const api = await serve((_asked, count) => ({ status: count === 1 ? 500 : 204, text: "" }));
    await send({ url: api.url, ...options, method: "PUT" }, rowsUpTo(3));
    expect(api.asked).toHaveLength(2);
  });
});
