import { describe, expect, it } from "vitest";
import { MillraceError } from "../../shared/contract/errors.ts";
import { backOff, retry } from "../../shared/contract/retry.ts";

const POLICY = { attempts: 4, firstDelay: 100, longestDelay: 250 };
const busy = () => new MillraceError("SOURCE_FAILED", "busy", { retryable: true });

function runtimeWith(chance: number) {
  const slept: number[] = [];
  return {
    slept,
    random: () => chance,
    sleep: async (milliseconds: number) => {
      slept.push(milliseconds);
    },
  };
}

describe("retry", () => {
  it("A retry waits for a random part of a bound that doubles up to the longest delay", () => {
    const bounds = [1, 2, 3, 9].map((n) => backOff(POLICY, n, () => 1));
    expect(bounds).toEqual([100, 200, 250, 250]);
    expect(backOff(POLICY, 2, () => 0)).toBe(0);
    expect(backOff(POLICY, 2, () => 0.5)).toBe(100);
  });

  it("A retry returns the result of the first success and passes each call its number", async () => {
    const runtime = runtimeWith(0.5);
    const calls: number[] = [];
    const result = await retry(runtime, POLICY, async (attempt) => {
      calls.push(attempt);
      if (attempt < 3) throw busy();
      return "done";
    });
    expect(result).toBe("done");
    expect(calls).toEqual([1, 2, 3]);
    expect(runtime.slept).toEqual([50, 100]);
  });

  it("A retry throws the last error as it is, after the last attempt", async () => {
    const runtime = runtimeWith(1);
    const errors: MillraceError[] = [];
    const trying = retry(runtime, POLICY, async () => {
      const error = busy();
      errors.push(error);
      throw error;
    });
    const thrown = await trying.catch((error: unknown) => error);
    expect(errors).toHaveLength(4);
    expect(thrown).toBe(errors[3]);
    expect(runtime.slept).toEqual([100, 200, 250]);
  });

  it("A retry stops after an error that is final", async () => {
    const runtime = runtimeWith(1);
    await expect(retry(runtime, POLICY, () => Promise.reject(new TypeError("no")))).rejects.toThrow("no");
    expect(runtime.slept).toEqual([]);
  });

  it("A retry waits as long as an error asks, and gives up if that is too long", async () => {
    const runtime = runtimeWith(0);
    const wait = {
      isRetryable: () => true,
      askedDelayOf: (error: unknown) => Number((error as Error).message),
    };
    await expect(
      retry(runtime, POLICY, (n) => Promise.reject(new Error(n === 1 ? "240" : "251")), wait),
    ).rejects.toThrow("251");
    expect(runtime.slept).toEqual([240]);
  });

  it("A retry ends its wait if its signal aborts", async () => {
    const signal = AbortSignal.abort();
    const sleep = async (_: number, given?: AbortSignal) => given?.throwIfAborted();
    await expect(
      retry({ random: () => 1, sleep }, POLICY, () => Promise.reject(busy()), { signal }),
    ).rejects.toThrow("aborted");
  });
});
