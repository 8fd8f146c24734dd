import { describe, expect, it } from "vitest";
import { limitAnswer } from "../../../shared/connectors/kit/http/rate-limits.ts";
import { type Reply, runtimeAt } from "../../support/api-server.ts";
import { failed, read } from "./one-answer.ts";

const DATE = "Sat, 21 Nov 2026 03:00:00 GMT";
const AT = Date.parse(DATE) / 1000;

describe("a limit on requests", () => {
  it.each<[string, number, Record<string, string>, string, boolean, number | undefined]>([
    [
      "GitHub's primary limit",
      403,
      { "x-ratelimit-remaining": "0", "x-ratelimit-reset": `${AT + 40}` },
      "",
      true,
      40_000,
    ],
    ["GitHub's secondary limit", 403, { "retry-after": "60" }, "", true, 60_000],
    ["GitHub's text", 403, {}, '{"message":"You have exceeded a secondary rate limit."}', true, undefined],
    ["Google's text", 403, {}, '{"error":{"errors":[{"reason":"rateLimitExceeded"}]}}', true, undefined],
    ["Reddit's seconds", 429, { "x-ratelimit-remaining": "0.0", "x-ratelimit-reset": "7.5" }, "", true, 7500],
    [
      "Twitter's names",
      429,
      { "x-rate-limit-remaining": "0", "x-rate-limit-reset": `${AT + 9}` },
      "",
      true,
      9000,
    ],
    ["milliseconds since 1970", 429, { "x-ratelimit-reset": `${(AT + 5) * 1000}` }, "", true, 5000],
    ["a date", 429, { "x-ratelimit-reset": "Sat, 21 Nov 2026 03:00:08 GMT" }, "", true, 8000],
    ["a reset that has passed", 429, { "x-ratelimit-reset": `${AT - 5}` }, "", true, 0],
    [
      "the IETF draft's fields",
      429,
      { "ratelimit-remaining": "0", "ratelimit-reset": "11" },
      "",
      true,
      11_000,
    ],
    ["the IETF draft's newer field", 429, { ratelimit: '"default";r=0;t=12' }, "", true, 12_000],
    ["the IETF draft's middle field", 403, { ratelimit: "limit=9, remaining=0, reset=13" }, "", true, 13_000],
    ["Retry-After before the reset", 429, { "retry-after": "3", "x-ratelimit-reset": "50" }, "", true, 3000],
    [
      "a counter of another limit",
      429,
      { "x-ratelimit-remaining": "12", "x-ratelimit-reset": "50" },
      "",
      true,
      undefined,
    ],
    ["garbage", 429, { "x-ratelimit-reset": "soon", "retry-after": "later" }, "", true, undefined],
    [
      "403 with requests left",
      403,
      { "x-ratelimit-remaining": "59" },
      '{"message":"Forbidden"}',
      false,
      undefined,
    ],
    ["503 with Retry-After", 503, { "retry-after": "3" }, "", false, 3000],
    ["503 with a reset", 503, { "x-ratelimit-reset": "50" }, "", false, undefined],
  ])(
    "An answer with %s says whether it is a limit, and the wait",
    (_what, status, headers, text, isLimit, wait) => {
      const answer = { status, headers: new Headers({ date: DATE, ...headers }) };
      expect(limitAnswer(answer, text, 0)).toEqual({ isLimit, wait });
    },
  );

  it("A time since 1970 is compared with this machine's clock if the answer has no date", () => {
    const headers = new Headers({ "x-ratelimit-reset": `${AT + 4}` });
    expect(limitAnswer({ status: 429, headers }, "", (AT + 1) * 1000).wait).toBe(3000);
  });

  it("A request that fails with 403 at a limit is tried again after the time that was asked for", async () => {
    const runtime = runtimeAt(0);
    const limited: Reply = {
      status: 403,
      headers: { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "20" },
    };
    const { rows } = await read(
      (_asked, count) => (count === 1 ? limited : { text: '[{"id":1}]' }),
      {},
      runtime,
    );
    expect(await rows).toEqual([{ id: 1 }]);
    expect(runtime.sleeps).toEqual([20_000]);
  });

  it.each<[string, Reply]>([
    ["429", { status: 429 }],
    ["403 at a limit", { status: 403, json: { message: "API rate limit exceeded" } }],
  ])(
    "The error of a request that always fails with %s calls it a limit, not a wrong credential",
    async (_, reply) => {
      const error = await failed(reply, { maxRetries: 1 });
      expect(error).toMatchObject({ code: "HTTP_STATUS", retryable: true });
      expect(error.hint).toContain("The API limits requests: set `requestsPerSecond: 1`");
      expect(error.hint).not.toMatch(/credential/);
      expect(error.api.asked).toHaveLength(2);
    },
  );

  it("The error of a limit that lasts longer than maxRetryDelaySeconds has the seconds and the option", async () => {
    const headers = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "3599.2" };
    const error = await failed({ status: 403, headers }, { maxRetryDelaySeconds: 30 });
    expect(error.hint).toBe(
      "The API asks to wait 3600 s, which is longer than maxRetryDelaySeconds (30): run later, or set `maxRetryDelaySeconds: 3600`.",
    );
    expect(error.api.asked).toHaveLength(1);
  });
});
