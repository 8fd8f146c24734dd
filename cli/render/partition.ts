import type { Batch, Ledger, RunningTask, Task } from "../../shared/engine/ports/ledger.ts";
import { rowsPerSecond } from "../../shared/engine/ports/progress.ts";
import { formatBytes, formatDuration, formatRate, plural } from "./text.ts";

/** Not worth a word. */
const SHORT_MILLISECONDS = 5000;
/** A task that is at work reports every ten seconds. */
const LATE_MILLISECONDS = 20_000;

/**
 * The last reports of the tasks that an attempt still runs, the one that has stood still for
 * longest first.
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

/** Figures of a task as `--json` prints them. */
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

/** A finished task as `--json` prints it. */
export function publicTask(task: Task) {
  return figuresOf(task, task.milliseconds, task.recordedAt - task.milliseconds);
}

/** A task that is at work, as `--json` prints it. */
export function publicRunning(running: RunningTask, now: number) {
  const { waitsFor, startedAt, progressedAt, reportedAt } = running;
  return {
    ...figuresOf(running, reportedAt - startedAt, startedAt),
    waitsFor,
    progressedAt: new Date(progressedAt).toISOString(),
    reportedAt: new Date(reportedAt).toISOString(),
    /** For which rows had not moved then. */
    idleMilliseconds: reportedAt - progressedAt,
    /** Since then. */
    ageMilliseconds: Math.max(0, now - reportedAt),
  };
}

/** `33 rows, 1.2 KiB, 3 rows/s; nothing from the source for 12.0 s`. */
export function describeRunning(running: ReturnType<typeof publicRunning>): string {
  const { rows, bytes, rowsPerSecond: rate, waitsFor, idleMilliseconds, ageMilliseconds } = running;
  const nothing = waitsFor === "source" ? "nothing from the source" : "nothing taken by the sink";
  return [
    `${plural(rows, "row")}, ${formatBytes(bytes)}, ${formatRate(rate)} rows/s`,
    ...(idleMilliseconds < SHORT_MILLISECONDS ? [] : [`${nothing} for ${formatDuration(idleMilliseconds)}`]),
    ...(ageMilliseconds < LATE_MILLISECONDS ? [] : [`told ${formatDuration(ageMilliseconds)} ago`]),
  ].join("; ");
}
