import { describe, expect, it } from "vitest";
import { MillraceError } from "../../../shared/contract/errors.ts";
import type { Batch } from "../../../shared/engine/ports/ledger.ts";
import { next, outcomeOfBatch, type RunOutcome } from "../../../shared/engine/run/next.ts";
import { limitOf, policyOf } from "../../../shared/engine/run/policy.ts";

const once = policyOf("once", { isBounded: false });
const unbounded = policyOf("availableNow", { isBounded: false });
const bounded = policyOf("availableNow", { isBounded: true });
const periodic = policyOf("processingTime", { isBounded: false, interval: 1000 });
const scheduled = policyOf("processingTime", { isBounded: false });
const FIRST = { batches: 1, idle: 0 };

describe("the policy of a trigger", () => {
  it("The policy of a run of one batch reads everything that is available, whatever comes later", () => {
    for (const policy of [once, unbounded]) {
      expect(policy).toEqual({ readsAll: true, maxBatches: 1 });
      expect(String(limitOf(policy))).toBe("ReadAllAvailable()");
    }
  });

  it("The policy of many batches leaves the limit to the reader", () => {
    expect(bounded).toEqual({ readsAll: false });
    expect(periodic).toEqual({ readsAll: false, interval: 1000, outlivesFailures: true });
    expect(limitOf(bounded)).toBeUndefined();
  });

  it("The policy of a scheduled execution has one batch under the reader's own limit", () => {
    expect(scheduled).toEqual({ readsAll: false, maxBatches: 1 });
  });
});

describe("a run after a round", () => {
  it("A run of one batch ends when it is committed, and plans on if the reader fixed what is available", () => {
    expect([once, unbounded, scheduled].map((policy) => next(policy, "committed", FIRST))).toEqual(
      Array.from({ length: 3 }, () => "end"),
    );
    expect(next(bounded, "committed", { batches: 1000, idle: 0 })).toBe("plan");
  });

  it("A run on an interval waits after a round with or without a batch, also while it is paused", () => {
    for (const outcome of ["committed", "idle", "paused"] as const)
      expect(next(periodic, outcome, { batches: 9, idle: 9 })).toBe("wait");
  });

  it("A run without an interval ends if there is no new data or the pipeline is paused", () => {
    for (const policy of [once, unbounded, bounded, scheduled])
      for (const outcome of ["idle", "paused"] as const) expect(next(policy, outcome, FIRST)).toBe("end");
  });

  it("A run on an interval ends after its maximum of rounds without a batch", () => {
    const patient = { ...periodic, maxIdle: 3 };
    expect([1, 2, 3].map((idle) => next(patient, "idle", { batches: 0, idle }))).toEqual([
      "wait",
      "wait",
      "end",
    ]);
  });

  it("A run without an interval fails if its batch was aborted, the acknowledgement failed or a step threw", () => {
    for (const outcome of ["aborted", "unacknowledged", "failed"] as const) {
      for (const policy of [once, unbounded, bounded, scheduled])
        expect(next(policy, outcome, FIRST)).toBe("fail");
      expect(next(periodic, outcome, FIRST)).toBe("recover");
      expect(next({ ...periodic, outlivesFailures: false }, outcome, FIRST)).toBe("fail");
    }
  });

  it("A run replays a batch at once that was to be aborted before, and ends if it is told to stop", () => {
    for (const policy of [once, bounded, periodic]) {
      expect(next(policy, "abortedBefore", { batches: 0, idle: 0 })).toBe("plan");
      expect(next(policy, "interrupted", { batches: 0, idle: 0 })).toBe("end");
    }
  });
});

describe("the outcome of a batch", () => {
  const batch = (state: Batch["state"]) => ({ batch: { state } as Batch });
  const unacknowledged = new MillraceError("SOURCE_FAILED", "commit() failed");

  it.each<[RunOutcome, Parameters<typeof outcomeOfBatch>]>([
    ["committed", ["planned", batch("committed")]],
    ["committed", ["committing", batch("committed")]],
    ["unacknowledged", ["planned", { ...batch("committed"), unacknowledged }]],
    ["aborted", ["planned", batch("aborted")]],
    ["aborted", ["committing", batch("aborted")]],
    ["abortedBefore", ["aborting", batch("aborted")]],
  ])(
    "The outcome of a batch is %s, from the state in which it was found and its end",
    (outcome, [found, ended]) => {
      expect(outcomeOfBatch(found, ended)).toBe(outcome);
    },
  );
});
