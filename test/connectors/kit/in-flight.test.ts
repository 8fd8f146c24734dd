import { describe, expect, it } from "vitest";
import { InFlight } from "../../../shared/connectors/kit/in-flight.ts";

describe("calls in flight", () => {
  it("No more calls run at a time than the limit, and all have ended in the end", async () => {
    const calls = new InFlight(2);
    const ends: (() => void)[] = [];
    let running = 0;
    let most = 0;
    const call = async () => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => ends.push(resolve));
      running--;
    };
    await calls.add(call);
    await calls.add(call);
    const third = calls.add(call);
    ends.shift()?.();
    await third;
    const done = calls.done();
    for (const end of ends) end();
    await done;
    expect([most, running]).toEqual([2, 0]);
  });

  it("An error reaches the next call, and the end", async () => {
    const calls = new InFlight(1);
    const failing = () => Promise.reject(new Error("no"));
    await calls.add(failing);
    await expect(calls.add(() => Promise.resolve())).rejects.toThrow("no");
    await expect(calls.done()).rejects.toThrow("no");
    await calls.settled();
  });
});
