import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { atOnce, loopsAtOnce } from "../../../shared/connectors/kit/at-once.ts";

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

describe("concurrent items", () => {
  it.each([
    ["an array", range(20)],
    ["a generator", range(20).values()],
    [
      "an asynchronous generator",
      (async function* () {
        yield* range(20);
      })(),
    ],
  ])("Items from %s are worked on once each, and no more than the limit at a time", async (_name, items) => {
    const done: number[] = [];
    let running = 0;
    let most = 0;
    await atOnce(3, items, async (item) => {
      most = Math.max(most, ++running);
      await setTimeout(item % 3);
      running--;
      done.push(item);
    });
    expect(done.toSorted((a, b) => a - b)).toEqual(range(20));
    expect(most).toBe(3);
  });

  it("The number of items may be zero or below the limit", async () => {
    const done: string[] = [];
    await atOnce(5, [], async () => void done.push("none"));
    await atOnce(5, ["one"], async (item) => void done.push(item));
    expect(done).toEqual(["one"]);
  });

  it("An error starts no further items and is thrown once all calls have ended", async () => {
    const begun: number[] = [];
    const ended: number[] = [];
    let isReturned = false;
    async function* items() {
      try {
        yield* range(20);
      } finally {
        isReturned = true;
      }
    }
    const isBusy = Promise.withResolvers<void>();
    const running = atOnce(2, items(), async (item) => {
      begun.push(item);
      if (item === 2) {
        await isBusy.promise;
        throw new Error("item 2");
      }
      if (item === 3) {
        isBusy.resolve();
        await setTimeout(5);
      }
      ended.push(item);
    });
    await expect(running).rejects.toThrow("item 2");
    expect([begun, ended]).toEqual([
      [0, 1, 2, 3],
      [0, 1, 3],
    ]);
    expect(isReturned).toBe(true);
  });

  it("An error of the source of items is thrown as it is", async () => {
    async function* items() {
      yield 1;
      throw new Error("no more");
    }
    const done: number[] = [];
    await expect(atOnce(2, items(), async (item) => void done.push(item))).rejects.toThrow("no more");
    expect(done).toEqual([1]);
  });
});

describe("concurrent loops", () => {
  it("Loops at once end one by one, each with its first false", async () => {
    let left = 10;
    let falses = 0;
    await loopsAtOnce(4, async () => {
      await setTimeout(1);
      if (left-- > 0) return true;
      falses++;
      return false;
    });
    expect(falses).toBe(4);
  });

  it("Loops at once end together after an error, even if the error is undefined", async () => {
    let steps = 0;
    const ending = loopsAtOnce(3, async () => {
      steps++;
      await setTimeout(1);
      throw undefined;
    });
    await expect(ending).rejects.toBeUndefined();
    expect(steps).toBe(3);
  });
});
