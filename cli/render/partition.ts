import type { Batch, Ledger } from "../../shared/engine/ports/ledger.ts";
import { rowsPerSecond } from "../../shared/engine/ports/progress.ts";
import type { RunningTask, Task } from "../../shared/engine/ports/tasks.ts";
import { formatBytes, formatDuration, formatRate, plural } from "./text.ts";

/** Idle times shorter than this are not shown. */
const SHORT_MILLISECONDS = 5000;
/** A report older than this is marked as late. Running tasks report every ten seconds. */
const LATE_MILLISECONDS = 20_000;

/**
 * Returns the last progress reports of an attempt's unfinished tasks, sorted by the time since
 * their last progress, longest first.
 */
export async function runningOf(
  ledger: Ledger,
  batch: Batch,
  finished: readonly Pick<Task, "partition">[],
): Promise<readonly RunningTask[]> {
  if (batch.state !== "planned") return [];
  const done = new Set(finished.map(({ partition }) => partition));
  const told = await ledger.progress(batch);
  return told
    .filter(({ partition }) => !done.has(partition))
    .toSorted((a, b) => a.progressedAt - b.progressedAt || a.partition - b.partition);
}

/** Returns a task's numbers in the form that `--json` prints. */
function figuresOf(
  { partition, rows, bytes, attemptNumber }: Pick<Task, "partition" | "rows" | "bytes" | "attemptNumber">,
  milliseconds: number,
  startedAt: number,
) {
  return {
    partition,
    rows,
    bytes,
    milliseconds,
    rowsPerSecond: rowsPerSecond(rows, milliseconds),
    attemptNumber,
    startedAt: new Date(startedAt).toISOString(),
  };
}

/** Returns a finished task in the form that `--json` prints. */
export function publicTask(task: Task) {
  return figuresOf(task, task.milliseconds, task.recordedAt - task.milliseconds);
}

/** Returns a running task in the form that `--json` prints. */
export function publicRunning(running: RunningTask, now: number) {
  const { waitsFor, startedAt, progressedAt, reportedAt } = running;
  return {
    ...figuresOf(running, reportedAt - startedAt, startedAt),
    waitsFor,
    progressedAt: new Date(progressedAt).toISOString(),
    reportedAt: new Date(reportedAt).toISOString(),
    /** How long the task had made no progress when it reported. */
    idleMilliseconds: reportedAt - progressedAt,
    /** Milliseconds between the report and now. */
    ageMilliseconds: Math.max(0, now - reportedAt),
  };
}

/** Formats a running task: `33 rows, 1.2 KiB, 3 rows/s; nothing from the source for 12.0 s`. */
export function describeRunning(running: ReturnType<typeof publicRunning>): string {
  const { rows, bytes, rowsPerSecond: rate, waitsFor, idleMilliseconds, ageMilliseconds } = running;
  const nothing = waitsFor === "source" ? "nothing from the source" : "nothing taken by the sink";
  return [
    `${plural(rows, "row")}, ${formatBytes(bytes)}, ${formatRate(rate)} rows/s`,
    ...(idleMilliseconds < SHORT_MILLISECONDS ? [] : [`${nothing} for ${formatDuration(idleMilliseconds)}`]),
    ...(ageMilliseconds < LATE_MILLISECONDS ? [] : [`told ${formatDuration(ageMilliseconds)} ago`]),
  ].join("; ");
}
