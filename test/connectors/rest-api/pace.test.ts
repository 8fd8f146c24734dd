import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { runtime } from "../../../local/home.ts";
import { Pace } from "../../../shared/connectors/kit/http/pace.ts";
import { failure, runtimeAt, serve } from "../../support/api-server.ts";
import { Clock } from "../../support/clock.ts";
import { send } from "../rest-api-sink/sending.ts";
import { failed, read } from "./one-answer.ts";

const JITTER = { attempts: 1, firstDelay: 0, longestDelay: 0 };
let origins = 0;
const newOrigin = (): string => `https://pace-${++origins}.example.com`;

describe("the pace of requests", () => {
  /** Takes turns at once and returns the milliseconds at which each came. */
  async function times(clock: Clock, paces: readonly Pace[], turns: number): Promise<number[]> {
    const came: number[] = [];
    const each = paces.map(async (pace) => {
      for (let turn = 0; turn < turns; turn++) {
        await pace.turn(undefined);
        came.push(clock.runtime.monotonic());
      }
    });
    await clock.pass(60_000);
    await Promise.all(each);
    return came;
  }

  it("Requests of several clients to one origin are evenly spaced, and those to another origin do not count", async () => {
    const clock = new Clock();
    const [one, other] = [newOrigin(), newOrigin()];
    const paces = [one, one, other].map((origin) => new Pace(origin, 4, JITTER, clock.runtime));
    const came = await times(clock, paces, 4);
    expect(came.toSorted((a, b) => a - b)).toEqual([
      0, 0, 250, 250, 500, 500, 750, 750, 1000, 1250, 1500, 1750,
    ]);
  });

  it("Requests are not spaced without requestsPerSecond, and a fraction is a pace of more than a second", async () => {
    const clock = new Clock();
    expect(await times(clock, [new Pace(newOrigin(), undefined, JITTER, clock.runtime)], 3)).toEqual([
      0, 0, 0,
    ]);
    expect(await times(new Clock(), [new Pace(newOrigin(), 0.1, JITTER, new Clock().runtime)], 1)).toEqual([
      0,
    ]);
    const slow = new Clock();
    expect(await times(slow, [new Pace(newOrigin(), 0.1, JITTER, slow.runtime)], 3)).toEqual([
      0, 10_000, 20_000,
    ]);
  });

  it("Requests after an idle time are not sent in a burst", async () => {
    const clock = new Clock();
    const pace = new Pace(newOrigin(), 10, JITTER, clock.runtime);
    await clock.pass(5000);
    expect(await times(clock, [pace], 3)).toEqual([5000, 5100, 5200]);
  });

  it("A pause holds requests that wait for their turn already, and they are spaced after it, with jitter", async () => {
    const clock = new Clock();
    const origin = newOrigin();
    const waiting = new Pace(origin, 2, { ...JITTER, firstDelay: 100, longestDelay: 100 }, clock.runtime);
    const came: number[] = [];
    const turns = Promise.all(
      [1, 2, 3].map(async () => {
        await waiting.turn(undefined);
        came.push(clock.runtime.monotonic());
      }),
    );
    await clock.pass(400);
    const pausing = new Pace(origin, undefined, JITTER, clock.runtime);
    pausing.pause(3000);
    pausing.pause(10);
    await clock.pass(10_000);
    await turns;
    expect(came).toEqual([0, 3450, 3950]);
  });

  it("A wait for a turn ends if the signal aborts", async () => {
    const clock = new Clock();
    const pace = new Pace(newOrigin(), 0.01, JITTER, clock.runtime);
    await pace.turn(undefined);
    const stopping = new AbortController();
    const turn = pace.turn(stopping.signal);
    stopping.abort(new Error("stopped"));
    await expect(turn).rejects.toThrow("stopped");
  });

  it("Threads of a process share the pace of an origin", async () => {
    const origin = newOrigin();
    const [turns, perSecond] = [8, 40];
    const came: number[] = [];
    const threads = [1, 2, 3].map(
      () =>
        new Worker(new URL("./pacing-thread.ts", import.meta.url), {
          workerData: { origin, turns, perSecond },
        }),
    );
    await Promise.all(
      threads.map(
        (thread) =>
          new Promise<void>((resolve, reject) => {
            thread.on("message", (time: number) => came.push(time));
            thread.on("error", reject);
            thread.on("exit", () => resolve());
          }),
      ),
    );
    expect(came).toHaveLength(24);
    came.sort((a, b) => a - b);
    // Timers may be late, but no turn comes before its time: the last is the 24th of 25 ms each.
    expect((came.at(-1) ?? 0) - (came[0] ?? 0)).toBeGreaterThanOrEqual(23 * 25 - 30);
    const own = new Pace(origin, perSecond, JITTER, runtime);
    own.pause(60_000);
    expect(await own.turn(AbortSignal.timeout(50)).catch(() => "paused")).toBe("paused");
  });

  it("A source and a sink keep requestsPerSecond, also for retries and redirects", async () => {
    const source = runtimeAt(0);
    const { rows } = await read(
      (asked, count) =>
        count === 1
          ? { status: 500 }
          : asked.url.pathname === "/items"
            ? { status: 302, headers: { location: "/moved" } }
            : { text: '[{"id":1}]' },
      { requestsPerSecond: 0.5 },
      source,
    );
    expect(await rows).toEqual([{ id: 1 }]);
    expect(source.sleeps).toEqual([250, 1750, 2000]);
    const sink = runtimeAt(0);
    const api = await serve(() => ({ status: 201 }));
    const options = { url: api.url, rowsPerRequest: 1, requestsPerSecond: 1 };
    await send(options, [{ id: 1 }, { id: 2 }, { id: 3 }], { runtime: sink });
    expect(sink.sleeps).toEqual([1000, 1000]);
  });

  it("The time that a request waits for its turn does not count as the time of its answer", async () => {
    const { rows: first, api } = await read({ text: '[{"id":1}]' }, { requestsPerSecond: 2 }, runtime);
    await first;
    const { rows } = await read(
      { text: '[{"id":2}]' },
      { url: api.url, requestsPerSecond: 2, timeoutSeconds: 0.3, maxRetries: 0 },
      runtime,
    );
    expect(await rows).toEqual([{ id: 1 }]);
  });

  it("Retry-After of one request makes all others of the process wait", async () => {
    const asking = runtimeAt(0);
    const error = await failed({ status: 503, headers: { "retry-after": "5" } }, { maxRetries: 0 }, asking);
    const other = runtimeAt(0, {}, 0.5);
    const { rows } = await read({}, { url: error.api.url, maxRetries: 0 }, other);
    await failure(() => rows);
    expect(other.sleeps).toEqual([5125]);
  });

  it("Retry-After beyond maxRetryDelaySeconds makes no other request wait", async () => {
    const error = await failed({ status: 429, headers: { "retry-after": "5000" } });
    const other = runtimeAt(0);
    const { rows } = await read({}, { url: error.api.url, maxRetries: 0 }, other);
    await failure(() => rows);
    expect(other.sleeps).toEqual([]);
  });
});
