import { describe, expect, it } from "vitest";
import { afterFinalize } from "../../functions/after-finalize.ts";
import type { Written } from "../../shared/aws/state.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import type { Batch } from "../../shared/engine/ports/ledger.ts";

const STARTED = "2026-11-21T03:00:00.000Z";
const HOUR = 3_600_000;
const at = (milliseconds: number) => Date.parse(STARTED) + milliseconds;

const work = (changes: Partial<Written> = {}): Written => ({
  next: "WriteInline",
  run: { pipeline: "p", incarnation: "i", epoch: 1, batchId: 3, attempt: 1, partitionsKey: "k" },
  todo: [0, 1],
  items: null,
  committed: "Plan",
  aborted: "Failed",
  input: { trigger: "availableNow", target: { n: 9 } },
  execution: { id: "arn:execution", startedAt: STARTED },
  ...changes,
});

const batch = (state: Batch["state"], changes: Partial<Batch> = {}): Batch => ({
  pipeline: "p",
  incarnation: "i",
  batchId: 3,
  start: { n: 0 },
  end: { n: 9 },
  partitionsKey: "k",
  tasks: 2,
  schema: "",
  attempt: 1,
  state,
  lastTriedAttempt: 0,
  plannedAt: 0,
  firstPlannedAt: 0,
  progress: { rows: 9, bytes: 72 },
  ...changes,
});

describe("an execution after Finalize", () => {
  it("An execution plans the next batch after Finalize and keeps what was available at its start", () => {
    expect(afterFinalize(work(), { batch: batch("committed") }, at(1000), HOUR)).toEqual({
      next: "Plan",
      trigger: "availableNow",
      target: { n: 9 },
      events: 56,
    });
  });

  it("An execution is done after Finalize if one batch was asked for, and says which", () => {
    expect(afterFinalize(work({ committed: "Done" }), { batch: batch("committed") }, at(1000), HOUR)).toEqual(
      {
        next: "Done",
        why: "committed",
        batch: { batchId: 3, attempt: 1, state: "committed", rows: 9, bytes: 72 },
      },
    );
  });

  it("An execution continues in a new one before its history is full", () => {
    let input: Written["input"] = work().input;
    let batches = 0;
    for (;;) {
      const todo = Array.from({ length: 200 }, (_, i) => i);
      const next = afterFinalize(work({ input, todo }), { batch: batch("committed") }, at(1000), HOUR);
      batches++;
      if (next.next === "Continue") {
        expect(next.input).toEqual({
          trigger: "availableNow",
          target: { n: 9 },
          reason: "goes on from arn:execution",
        });
        break;
      }
      if (next.next !== "Plan") throw new Error(next.next);
      const { next: _next, ...taken } = next;
      input = taken;
    }
    // A Standard execution can have 25,000 events. A task in an inline Map has eight.
    expect(batches * 200 * 8).toBeLessThan(20_000);
    expect(batches).toBeGreaterThan(5);
  });

  it("An execution continues in a new one once half of its time is over", () => {
    expect(afterFinalize(work(), { batch: batch("committed") }, at(HOUR / 2), HOUR).next).toBe("Plan");
    expect(afterFinalize(work(), { batch: batch("committed") }, at(HOUR / 2 + 1), HOUR).next).toBe(
      "Continue",
    );
  });

  it("An execution fails with the recorded reason, place and hint if the batch was aborted", () => {
    const error = { code: "SINK_FAILED", message: "write() failed", where: { partition: 1 }, hint: "Look." };
    expect(afterFinalize(work(), { batch: batch("aborted", { error }) }, at(1000), HOUR)).toEqual({
      next: "Failed",
      error: { code: "SINK_FAILED", message: "write() failed (partition 1). Look." },
    });
    expect(afterFinalize(work(), { batch: batch("aborted") }, at(1000), HOUR)).toMatchObject({
      error: { code: "BATCH_ABORTED" },
    });
  });

  it("An execution fails if the acknowledgement of a committed batch failed", () => {
    const unacknowledged = new MillraceError("SOURCE_FAILED", "commit() failed");
    expect(afterFinalize(work(), { batch: batch("committed"), unacknowledged }, at(1000), HOUR)).toEqual({
      next: "Failed",
      error: { code: "SOURCE_FAILED", message: "commit() failed" },
    });
  });

  it("An execution plans at once the replay of a batch that an earlier one had decided to abort", () => {
    expect(
      afterFinalize(work({ aborted: "Plan", committed: "Done" }), { batch: batch("aborted") }, at(1000), HOUR)
        .next,
    ).toBe("Plan");
  });
});
