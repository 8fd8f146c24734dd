import { describe, expect, it } from "vitest";
import type { ErrorCode } from "../../../shared/contract/error-codes.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";
import type { RunEvent } from "../../../shared/engine/ports/run-events.ts";
import { runBatches } from "../../../shared/engine/run/loop.ts";
import { policyOf } from "../../../shared/engine/run/policy.ts";
import { waitAfter } from "../../../shared/engine/run/recovery.ts";
import { Clock } from "../../support/clock.ts";
import { EngineWorld } from "../../support/engine.ts";

const down = new Error("connect ECONNREFUSED");

/** A run on an interval whose plans find nothing new. `faults` has the errors of failed plans. */
class PeriodicRun {
  readonly clock = new Clock();
  readonly events: RunEvent[] = [];
  /** The times, from the start on, at which it planned, and at which it gave up its lease. */
  readonly planned: number[] = [];
  readonly recovered: number[] = [];
  readonly stop = new AbortController();
  readonly ended: Promise<unknown>;

  constructor(faults: readonly unknown[], interval = 1000) {
    const { runtime } = this.clock;
    const steps = {
      prepare: async () => policyOf("processingTime", { isBounded: false, interval }),
      plan: async () => {
        const fault = faults[this.planned.length];
        this.planned.push(runtime.monotonic());
        if (fault !== undefined) throw fault;
        return { kind: "idle" as const, fence: { pipeline: "p", incarnation: "i", epoch: 1 } };
      },
      write: async () => undefined,
      planStage: async () => Promise.reject(new Error("there is no batch")),
      finalize: async () => Promise.reject(new Error("there is no batch")),
      recover: async () => void this.recovered.push(runtime.monotonic()),
    };
    const { ledger } = new EngineWorld();
    this.ended = runBatches(steps, {
      pipeline: "p",
      ports: { ledger, runtime },
      signal: this.stop.signal,
      onEvent: (event) => this.events.push(event),
    }).catch((error: unknown) => error);
  }

  get waits(): readonly Extract<RunEvent, { type: "waiting" }>[] {
    return this.events.filter((event) => event.type === "waiting");
  }
}

const failed = (code: ErrorCode) => new MillraceError(code, "it failed");

describe("a run on an interval after a failure", () => {
  it("A run on an interval waits for the interval, then twice as long from try to try, and begins anew after a success", async () => {
    const run = new PeriodicRun([down, down, down, undefined, down]);
    await run.clock.pass(9500);
    expect(run.planned).toEqual([0, 1000, 3000, 7000, 8000, 9000]);
    expect(run.waits.map(({ failures }) => failures)).toEqual([1, 2, 3, 1]);
    run.stop.abort();
    await run.ended;
  });

  it("A run on an interval gives up its lease before it waits", async () => {
    const run = new PeriodicRun([undefined, down, down]);
    await run.clock.pass(4500);
    expect(run.recovered).toEqual([1000, 2000]);
    run.stop.abort();
    await run.ended;
  });

  it("The event of a wait has the error, the user's own message, and the time of the next try", async () => {
    const run = new PeriodicRun([down]);
    await run.clock.pass(100);
    expect(run.waits).toMatchObject([
      {
        error: { code: "UNEXPECTED", where: { pipeline: "p" } },
        cause: "Error: connect ECONNREFUSED",
        failures: 1,
        at: Date.UTC(2026, 10, 21) + 1000,
      },
    ]);
    run.stop.abort();
    await run.ended;
  });

  it("A wait after failures has five minutes at most, and never less than the interval", () => {
    expect([1, 2, 3, 9, 10, 100].map((failures) => waitAfter(failures, 1000))).toEqual([
      1000, 2000, 4000, 256_000, 300_000, 300_000,
    ]);
    expect([1, 2, 9].map((failures) => waitAfter(failures, 3_600_000))).toEqual([
      3_600_000, 3_600_000, 3_600_000,
    ]);
  });

  it("A run on an interval that is stopped while it waits ends at once and without an error", async () => {
    const run = new PeriodicRun([down, down, down, down, down]);
    await run.clock.pass(4000);
    run.stop.abort();
    expect(await run.ended).toMatchObject({ batches: 0 });
    expect(run.events.slice(-2).map(({ type }) => type)).toEqual(["interrupted", "ended"]);
  });

  it.each<ErrorCode>([
    "FENCED",
    "LEASE_HELD",
    "LEDGER_LOST",
    "OPTIONS_INVALID",
    "SECRET_MISSING",
    "PROCESS_EXIT",
  ])("A run on an interval ends with %s, which no waiting cures", async (code) => {
    const run = new PeriodicRun([failed(code)]);
    expect(await run.ended).toMatchObject({ code });
    expect(run.waits).toEqual([]);
  });

  it.each<ErrorCode>([
    "SOURCE_FAILED",
    "OFFSET_WENT_BACK",
    "LEDGER_FAILED",
    "STORE_FAILED",
    "FOLDER_MISSING",
  ])("A run on an interval outlives %s", async (code) => {
    const run = new PeriodicRun([failed(code)]);
    await run.clock.pass(1500);
    expect(run.waits).toMatchObject([{ error: { code } }]);
    run.stop.abort();
    await run.ended;
  });

  it("A run on an interval waits for a person's command that has the pipeline while the run had given it up", async () => {
    const run = new PeriodicRun([undefined, down, failed("LEASE_HELD")]);
    await run.clock.pass(4500);
    expect(run.waits.map(({ error }) => error.code)).toEqual(["UNEXPECTED", "LEASE_HELD"]);
    expect(run.planned).toEqual([0, 1000, 2000, 4000]);
    run.stop.abort();
    await run.ended;
  });
});
