import { describe, expect, it } from "vitest";
import type { RunEvent } from "../../../shared/engine/ports/run-events.ts";
import { runBatches } from "../../../shared/engine/run/loop.ts";
import { policyOf } from "../../../shared/engine/run/policy.ts";
import { Clock } from "../../support/clock.ts";
import { EngineWorld } from "../../support/engine.ts";

const HOUR = 3_600_000;

/** Runs every second, and returns the times, from the start on, at which it planned. */
async function plannedTimes(step: number): Promise<number[]> {
  const clock = new Clock();
  const times: number[] = [];
  const stop = new AbortController();
  const events: RunEvent[] = [];
  const policy = policyOf("processingTime", { isBounded: false, interval: 1000 });
  const steps = {
    prepare: async () => policy,
    plan: async () => {
      times.push(clock.runtime.monotonic());
      if (times.length === 2) clock.now += step;
      return { kind: "idle" as const, fence: { pipeline: "p", incarnation: "i", epoch: 1 } };
    },
    write: async () => undefined,
    planStage: async () => Promise.reject(new Error("there is no batch")),
    finalize: async () => Promise.reject(new Error("there is no batch")),
  };
  const { ledger } = new EngineWorld();
  const running = runBatches(steps, {
    pipeline: "p",
    ports: { ledger, runtime: clock.runtime },
    signal: stop.signal,
    onEvent: (event) => events.push(event),
  });
  await clock.pass(5500);
  stop.abort();
  await running;
  return times;
}

describe("a run with an interval", () => {
  it.each([-HOUR, 0, HOUR])(
    "A run with an interval keeps to it if the system clock is moved by %s ms",
    async (step) => {
      expect(await plannedTimes(step)).toEqual([0, 1000, 2000, 3000, 4000, 5000]);
    },
  );
});
