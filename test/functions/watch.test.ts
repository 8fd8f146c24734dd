import { describe, expect, it } from "vitest";
import { readSettings } from "../../functions/settings.ts";
import { type TaskReporter, watchingOf, watchOf } from "../../functions/watch.ts";
import { LOG_MESSAGE, METRIC } from "../../shared/aws/names.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import type { StalledTask } from "../../shared/engine/ports/run-events.ts";
import type { RunningTask } from "../../shared/engine/ports/tasks.ts";
import { variablesOf } from "../support/settings.ts";

const STALL = { after: "5 minutes", fail: false };
const STARTED = Date.UTC(2026, 10, 21);
const MINUTE = 60_000;

/** Returns a reporter that keeps its messages in order. */
function teller(): TaskReporter & { readonly told: unknown[][] } {
  const told: unknown[][] = [];
  return {
    told,
    logger: {
      info: (message, fields) => told.push(["info", message, fields]),
      warn: (message, fields) => told.push(["warn", message, fields]),
    },
    metrics: {
      addMetric: (name, unit, value) => told.push(["metric", name, unit, value]),
      publishStoredMetrics: () => told.push(["published"]),
    },
  };
}

const runningAt = (milliseconds: number): RunningTask => ({
  partition: 3,
  attemptNumber: 0,
  startedAt: STARTED,
  rows: milliseconds / 100,
  bytes: milliseconds,
  waitsFor: "source",
  progressedAt: STARTED + milliseconds - 2000,
  reportedAt: STARTED + milliseconds,
});

describe("a task in Lambda", () => {
  it("A task in Lambda logs its progress once a minute, and no line if it is shorter", () => {
    const tell = teller();
    const { onRunning } = watchOf(STALL, tell);
    for (let seconds = 10; seconds <= 180; seconds += 10) onRunning?.(runningAt(seconds * 1000));
    expect(tell.told.map(([, , fields]) => (fields as { rows: number }).rows)).toEqual([600, 1200, 1800]);
    expect(tell.told[0]).toEqual([
      "info",
      "writing",
      {
        rows: 600,
        bytes: MINUTE,
        milliseconds: MINUTE,
        rowsPerSecond: 10,
        waitsFor: "source",
        idleMilliseconds: 2000,
      },
    ]);
  });

  it("A task in Lambda that stalls says so at once, with its offsets, and raises the alarm's metric", () => {
    const tell = teller();
    const stalled: StalledTask = {
      where: { pipeline: "orders", batchId: 7, partition: 3, attempt: 1, attemptNumber: 0 },
      waitsFor: "source",
      milliseconds: 300_000,
      rows: 33,
      bytes: 0,
      value: { from: 30, to: 40 },
      start: { n: 20 },
      end: { n: 40 },
      fails: false,
      message: "the source has given nothing for 300 s",
    };
    watchOf(STALL, tell).onStalled?.(stalled);
    const { where: _where, message: problem, ...fields } = stalled;
    expect(tell.told).toEqual([
      ["warn", LOG_MESSAGE.stalled, { ...fields, problem }],
      ["metric", METRIC.stalledPartitions, "Count", 1],
      ["published"],
    ]);
  });
});

describe("the settings of a stall", () => {
  it("The settings of a stall are the pipeline's own if the construct has none", () => {
    expect(readSettings(variablesOf("orders")).stall).toEqual({});
  });

  it("The settings of a stall are the construct's if it has some", () => {
    const set = variablesOf("orders", { stallAfterMilliseconds: 90_000, failStalled: true });
    expect(readSettings(set).stall).toEqual({ after: "90s", fail: true });
    expect(readSettings(variablesOf("orders", { failStalled: false })).stall).toEqual({ fail: false });
  });
});

describe("the end of a batch in Lambda", () => {
  it("A call that does not return is logged at once, and raises the alarm's metric", () => {
    const tell = teller();
    const warning = new MillraceError("COMMIT_STALLED", "commit() of the sink has not answered for 300 s");
    const { after, onStalled } = watchingOf(STALL, tell);
    expect(after).toBe("5 minutes");
    onStalled(warning);
    expect(tell.told).toEqual([
      ["warn", LOG_MESSAGE.stalled, { problem: warning.toRecord() }],
      ["metric", METRIC.stalledPartitions, "Count", 1],
      ["published"],
    ]);
  });
});
