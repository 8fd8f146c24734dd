import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { commitDeadline, withinTime } from "../../functions/time-limit.ts";

const lambda = (milliseconds: number) => ({ getRemainingTimeInMillis: () => milliseconds });

describe("a task within the time of its function", () => {
  it("A task within the time of its function returns its result", async () => {
    expect(await withinTime(lambda(60_000), async () => "done")).toBe("done");
  });

  it("A task within the time of its function fails with its own error", async () => {
    await expect(
      withinTime(lambda(60_000), async () => {
        throw new RangeError("too far");
      }),
    ).rejects.toThrow(RangeError);
  });

  it("A task is told to stop before the time is over, with an error that says what to change", async () => {
    const reasons: unknown[] = [];
    const stopped = withinTime(lambda(1200), async (signal) => {
      await setTimeout(60_000, undefined, { signal }).catch(() => undefined);
      reasons.push(signal.reason);
      throw signal.reason;
    });
    await expect(stopped).rejects.toMatchObject({
      code: "TASK_OUT_OF_TIME",
      retryable: false,
      hint: expect.stringContaining("writerTimeout"),
    });
    expect(reasons).toEqual([expect.objectContaining({ code: "TASK_OUT_OF_TIME" })]);
  });

  it("A task that ignores the signal is abandoned", async () => {
    await expect(withinTime(lambda(1200), () => new Promise(() => undefined))).rejects.toMatchObject({
      code: "TASK_OUT_OF_TIME",
    });
  });
});

it("A task may commit until its function is killed", () => {
  expect(commitDeadline(lambda(60_000), { now: () => 5000 })).toBe(65_000);
});
