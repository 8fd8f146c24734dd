import { rowsPerSecond } from "../../shared/engine/progress.ts";
import type { Batch, Ledger, RunningTask, Task } from "../../shared/ledger/ledger.ts";
import { formatBytes, formatDuration, formatRate, plural } from "./text.ts";

/** Not worth a word. */
const SHORT_MILLISECONDS = 5000;
/** A task that is at work tells each ten seconds. */
const LATE_MILLISECONDS = 20_000;

/** What is told of the tasks that an attempt still runs, the one that stands still for longest first. */
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

/** A finished task as `--json` prints it. */
export function publicTask({ partition, rows, bytes, milliseconds, attemptNumber, recordedAt }: Task) {
  return {
    partition,
    rows,
    bytes,
    milliseconds,
    rowsPerSecond: rowsPerSecond(rows, milliseconds),
    attemptNumber,
    startedAt: new Date(recordedAt - milliseconds).toISOString(),
  };
}

/** A task that is at work, as `--json` prints it. */
export function publicRunning(running: RunningTask, now: number) {
  const { partition, rows, bytes, attemptNumber, waitsFor, startedAt, progressedAt, reportedAt } = running;
  const milliseconds = reportedAt - startedAt;
  return {
    partition,
    rows,
    bytes,
    milliseconds,
    rowsPerSecond: rowsPerSecond(rows, milliseconds),
    attemptNumber,
    startedAt: new Date(startedAt).toISOString(),
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
