import type { ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { type Asked, failure, type Reply, runtimeAt, serve } from "../../support/api-server.ts";
import { readerOf, task } from "./draining-reader.ts";
import { failed, read } from "./one-answer.ts";

describe("requests that fail", () => {
  const once =
    (reply: Reply) =>
    (_asked: Asked, count: number): Reply =>
      count === 1 ? reply : { text: '[{"id":1}]' };

  it.each([
    408, 425, 429, 500, 502, 503, 504, 507, 508, 509, 520, 521, 522, 523, 524, 525, 526, 527, 529, 530, 599,
  ])("A request that fails with %d is tried again", async (status) => {
    const runtime = runtimeAt(0);
    const { rows } = await read(once({ status }), {}, runtime);
    expect(await rows).toEqual([{ id: 1 }]);
    expect(runtime.sleeps).toEqual([250]);
  });

  it.each([400, 401, 403, 404, 410, 422, 451, 501, 505, 511])(
    "A request that fails with %d is not tried again",
    async (status) => {
      const runtime = runtimeAt(0);
      const error = await failed({ status }, {}, runtime);
      expect(error).toMatchObject({
        code: "HTTP_STATUS",
        message: `GET ${error.api.url} answered ${status}`,
        where: { url: error.api.url, status },
        retryable: false,
      });
      expect([error.api.asked.length, runtime.sleeps]).toEqual([1, []]);
    },
  );

  it("A request that always fails is given up after maxRetries, with the URL and the status", async () => {
    const runtime = runtimeAt(0);
    const error = await failed(
      { status: 500 },
      { query: { q: "x" }, maxRetryDelaySeconds: 1, maxRetries: 4 },
      runtime,
    );
    const url = `${error.api.url}?q=x`;
    expect(error).toMatchObject({
      code: "HTTP_STATUS",
      message: `GET ${url} answered 500`,
      where: { url, status: 500 },
      retryable: true,
    });
    expect(error.hint).toContain("The API is at fault");
    expect([error.api.asked.length, runtime.sleeps]).toEqual([5, [250, 500, 1000, 1000]]);
  });

  it("A request that fails is not tried again if maxRetries is 0", async () => {
    expect((await failed({ status: 500 }, { maxRetries: 0 })).api.asked).toHaveLength(1);
  });

  /** The clock of this machine is wrong by a day. */
  const now = "2026-11-20T03:00:00.500Z";
  const date = "Sat, 21 Nov 2026 03:00:00 GMT";
  it.each([
    ["7", 7000],
    [" 0 ", 250],
    ["Sat, 21 Nov 2026 03:00:30 GMT", 30_000],
    ["Sat, 21 Nov 2026 02:00:00 GMT", 250],
    ["soon", 250],
    ["60", 60_000],
    ["1.5", 1500],
    ["-5", 250],
    ["5 minutes", 250],
    ["0x10", 250],
    ["Saturday, 21-Nov-26 03:00:30 GMT", 30_000],
    ["Sat Nov 21 03:00:30 2026", 30_000],
    ["Sat, 31 Foo 2026 03:00:30 GMT", 250],
  ])(
    "A request with Retry-After: %s waits as long as that says, and never less than without it",
    async (header, delay) => {
      const runtime = runtimeAt(now);
      const { rows } = await read(
        once({ status: 429, headers: { "retry-after": header, date } }),
        {},
        runtime,
      );
      expect(await rows).toEqual([{ id: 1 }]);
      expect(runtime.sleeps).toEqual([delay]);
    },
  );

  it("A request waits for a random part of the time, so that tasks that failed together spread out", async () => {
    const runtime = runtimeAt(0, {}, 0.3);
    await failed({ status: 500 }, { maxRetries: 3 }, runtime);
    expect(runtime.sleeps).toEqual([75, 150, 300]);
    const asked = runtimeAt(0, {}, 0);
    await failed({ status: 429, headers: { "retry-after": "2" } }, { maxRetries: 1 }, asked);
    expect(asked.sleeps).toEqual([2000]);
  });

  it.each([
    ["61", 61],
    ["Sat, 21 Nov 2026 03:02:00 GMT", 120],
    ["9".repeat(400), 1e9],
  ])(
    "A request with Retry-After: %s beyond maxRetryDelaySeconds is given up at once, and its error has both times",
    async (header, seconds) => {
      const runtime = runtimeAt(now);
      const error = await failed({ status: 429, headers: { "retry-after": header, date } }, {}, runtime);
      expect(error).toMatchObject({ code: "HTTP_STATUS", where: { status: 429 }, retryable: true });
      expect(error.hint).toContain(`asks to wait ${seconds} s`);
      expect(error.hint).toContain(`\`maxRetryDelaySeconds: ${seconds}\``);
      expect([error.api.asked.length, runtime.sleeps]).toEqual([1, []]);
    },
  );

  it.each(["content-length", "transfer-encoding"])(
    "A request whose connection was cut in the middle of the body (%s) is tried again",
    async (header) => {
      const runtime = runtimeAt(0);
      const { api, rows } = await read(
        (_asked, count, response) => {
          if (count > 2) return { text: '[{"id":1}]' };
          response.writeHead(
            200,
            header === "content-length" ? { "content-length": "10" } : { "transfer-encoding": "chunked" },
          );
          response.write('[{"id"', () => response.destroy());
          return undefined;
        },
        {},
        runtime,
      );
      expect(await rows).toEqual([{ id: 1 }]);
      expect([api.asked.length, runtime.sleeps]).toEqual([3, [250, 500]]);
    },
  );

  it.each([
    ["without a length", {}],
    ["in gzip", { "content-encoding": "gzip" }],
    ["with the length of a proxy", { "content-length": "8" }],
  ])(
    "A request whose body %s was cut is tried again, though the connection was closed in order",
    async (_what, headers) => {
      const runtime = runtimeAt(0);
      const { api, rows } = await read(
        (_asked, count, response) => {
          if (count > 2) return { text: '[{"id":1}]' };
          response.shouldKeepAlive = false;
          response.useChunkedEncodingByDefault = false;
          response.writeHead(200, { "content-type": "application/json", ...headers });
          const whole = Buffer.from(`[{"id":1,"x":"${"abcdefghijklmnopqrstuvwxyz".repeat(20)}"}]`);
          const body = "content-encoding" in headers ? gzipSync(whole).subarray(0, 40) : whole.subarray(0, 8);
          response.end(body);
          return undefined;
        },
        {},
        runtime,
      );
      expect(await rows).toEqual([{ id: 1 }]);
      expect([api.asked.length, runtime.sleeps]).toEqual([3, [250, 500]]);
    },
  );

  it.each<[string, Record<string, string>, Buffer, boolean]>([
    ["without a length", {}, Buffer.alloc(0), true],
    [
      "in gzip that was cut",
      { "content-encoding": "gzip", "content-length": "10" },
      gzipSync("").subarray(0, 10),
      true,
    ],
    ["in chunks in gzip that was cut", { "content-encoding": "gzip" }, gzipSync("").subarray(0, 10), true],
    ["in gzip", { "content-encoding": "gzip", "content-length": "20" }, gzipSync(""), false],
    ["with its length", { "content-length": "0" }, Buffer.alloc(0), false],
    ["in chunks", { "transfer-encoding": "chunked" }, Buffer.alloc(0), false],
  ])(
    "An empty body %s is tried again if it may have been cut before its first byte",
    async (_what, headers, body, isCut) => {
      const error = await failed(
        (_asked, _count, response) => {
          response.shouldKeepAlive = false;
          if (!("transfer-encoding" in headers)) response.useChunkedEncodingByDefault = false;
          response.writeHead(200, headers).flushHeaders();
          response.end(body);
          return undefined;
        },
        { maxRetries: 1 },
      );
      expect([error.code, error.api.asked.length]).toEqual(
        isCut ? ["HTTP_FAILED", 2] : ["ROWS_NOT_FOUND", 1],
      );
    },
  );

  it("A status that is an error counts even if its body was cut", async () => {
    const error = await failed((_asked, _count, response) => {
      response.writeHead(404, { "content-length": "10" });
      response.write("1234", () => response.destroy());
      return undefined;
    });
    expect(error).toMatchObject({ code: "HTTP_STATUS", where: { status: 404 }, found: undefined });
    expect(error.api.asked).toHaveLength(1);
  });

  it.each(["[", '{"a', '[{"id":1', '[{"id":1},', '["\\u00', "[1.", "[tru", '[{"id":1}\n'])(
    "The error of a body that always ends after %j says that it was cut",
    async (text) => {
      const error = await failed({ text }, { maxRetries: 1 });
      expect(error).toMatchObject({
        code: "HTTP_FAILED",
        message: `GET ${error.api.url} answered 200 with a body that was cut: it ends in the middle of its JSON`,
        where: { status: 200 },
        retryable: true,
      });
      expect(error.api.asked).toHaveLength(2);
    },
  );

  it("The error of a request without an answer says why there is none", async () => {
    const runtime = runtimeAt(0);
    const { api, rows } = await read(
      (_asked, _count, response) => void response.destroy(),
      { maxRetries: 2 },
      runtime,
    );
    const error = await failure(() => rows);
    expect(error).toMatchObject({ code: "HTTP_FAILED", retryable: true, where: { url: api.url } });
    expect(error.message).toMatch(/^GET http:\S+\/items failed: [A-Z_]+: ./);
    expect(api.asked).toHaveLength(3);
  });

  it("The error of a request whose answer takes longer than timeoutSeconds says so", async () => {
    const runtime = runtimeAt(0);
    const hang = (_asked: Asked, _count: number, response: ServerResponse) =>
      void response.writeHead(200).write("[");
    const error = await failed(hang, { timeoutSeconds: 0.02, maxRetries: 1 }, runtime);
    expect(error).toMatchObject({
      code: "HTTP_FAILED",
      message: `GET ${error.api.url} failed: no answer within 0.02 s`,
    });
    expect(runtime.sleeps).toEqual([250]);
  });

  it("A request is not tried again once the task was told to stop", async () => {
    const controller = new AbortController();
    const runtime = runtimeAt(0);
    const api = await serve(() => {
      controller.abort();
      return { status: 503 };
    });
    const reader = readerOf({ url: api.url, schema: "id int", pagination: { type: "none" } }, runtime);
    const rows = (await reader.read(
      { page: null, from: 0, to: 1 },
      { ...task, signal: controller.signal },
    )) as AsyncIterable<unknown>;
    await failure(() => Array.fromAsync(rows));
    expect([api.asked.length, runtime.sleeps]).toEqual([1, []]);
  });

  it.each(["<!doctype html><p>Sign in", "[{]"])(
    "A request is not tried again if its body is not JSON: %o",
    async (text) => {
      const error = await failed({ text, headers: { "content-type": "text/html" } });
      expect(error).toMatchObject({
        code: "HTTP_NOT_JSON",
        message: expect.stringContaining(
          `GET ${error.api.url} answered 200 with a body that is not JSON: `,
        ) as string,
        where: { url: error.api.url, status: 200 },
        retryable: false,
      });
      expect(error.api.asked).toHaveLength(1);
    },
  );
});
