import { describe, expect, it } from "vitest";
import { describeEvent } from "../../cli/render/event.ts";
import { plainText } from "../../cli/render/terminal.ts";
import { formatTimeOfDay } from "../../cli/render/text.ts";
import type { RunEvent } from "../../shared/engine/ports/run-events.ts";

const range = { start: { n: 0 }, end: { n: 9 }, partitions: 2 };
const error = { code: "SOURCE_FAILED", message: "read() failed", where: { partition: 1 } };

const LINES: readonly [string | undefined, RunEvent][] = [
  ["orders (once) in /home", { type: "started", pipeline: "orders", trigger: "once", home: "/home" }],
  [
    "batch 3: 0 → 9, 2 partitions to write",
    { type: "planned", batchId: 3, attempt: 1, ...range, todo: 2, resumed: false },
  ],
  [
    "batch 3, resumed: 0 → 9, 1 of 2 partitions to write",
    { type: "planned", batchId: 3, attempt: 1, ...range, todo: 1, resumed: true },
  ],
  [
    "batch 3, attempt 2: 0 → 9, 2 partitions to write",
    { type: "planned", batchId: 3, attempt: 2, ...range, todo: 2, resumed: true },
  ],
  ["retry in 500 ms: partition 1: read() failed", { type: "retry", delay: 500, error }],
  ["retry in 500 ms: partition 1: gone", { type: "retry", delay: 500, error, cause: "gone" }],
  ["attempt 0 goes on: partition 1: gone", { type: "retry", delay: 0, goesOn: 0, error, cause: "gone" }],
  [
    "slow: partition 1: attempt 1 runs beside the one that has taken 4.5 s",
    {
      type: "speculation",
      batchId: 3,
      attempt: 1,
      partition: 1,
      attemptNumber: 1,
      milliseconds: 4500,
      slowAfter: 3000,
    },
  ],
  ["warning SOURCE_FAILED: read() failed", { type: "warning", error }],
  ["warning SOURCE_FAILED: read() failed\n  Look.", { type: "warning", error: { ...error, hint: "Look." } }],
  [
    "batch 3 committed: 1 row, 8 B in 1.2 s",
    {
      type: "batch",
      batchId: 3,
      attempt: 1,
      ...range,
      state: "committed",
      rows: 1,
      bytes: 8,
      milliseconds: 1200,
    },
  ],
  [
    "batch 3 aborted: 1 row, 8 B in 1.2 s, rows seen: 1, files added: 7",
    {
      type: "batch",
      batchId: 3,
      attempt: 1,
      ...range,
      state: "aborted",
      rows: 1,
      bytes: 8,
      milliseconds: 1200,
      metrics: { "rows seen": "1", "files added": "7" },
    },
  ],
  ["nothing new", { type: "idle" }],
  ["the target is there already: nothing was read or written", { type: "idle", targetExists: true }],
  [
    "paused by ann at 1970-01-01 00:00:00Z: nothing is done until it is resumed",
    { type: "paused", by: "ann", at: 0 },
  ],
  [
    "paused by millrace at 1970-01-01 00:00:00Z (why): nothing is done until it is resumed",
    { type: "paused", by: "millrace", at: 0, why: "why", batchId: 3, code: "ROW_MISMATCH" },
  ],
  [
    "failed SOURCE_FAILED: read() failed: gone\n  Look.\npaused by millrace at 1970-01-01 00:00:00Z: nothing is done until it is resumed",
    {
      type: "paused",
      by: "millrace",
      at: 0,
      batchId: 3,
      code: "SOURCE_FAILED",
      error: { ...error, hint: "Look." },
      cause: "gone",
    },
  ],
  [
    `failed SOURCE_FAILED: read() failed\n  tries again at ${formatTimeOfDay(0)}`,
    { type: "waiting", error, failures: 1, at: 0 },
  ],
  [
    `failed SOURCE_FAILED: read() failed: gone\n  Look.\n  tries again at ${formatTimeOfDay(0)} (2 failures in a row)`,
    { type: "waiting", error: { ...error, hint: "Look." }, cause: "gone", failures: 2, at: 0 },
  ],
  ["interrupted; batch 3 goes on with the next run", { type: "interrupted", openBatchId: 3 }],
  ["interrupted", { type: "interrupted" }],
  [undefined, { type: "ended", batches: 1, rows: 1 }],
];

describe("the text of an event", () => {
  it.each(LINES)("The command prints this text for an event: %s", (lines, event) => {
    const text = describeEvent(event);
    expect(text === undefined ? undefined : plainText(text)).toBe(lines);
  });
});
