import type { Batch } from "../../shared/engine/ports/ledger.ts";
import { rowsPerSecond } from "../../shared/engine/ports/progress.ts";
import { progressOf } from "../../shared/engine/progress.ts";
import { withIsoTime } from "../person.ts";
import { fitTable } from "./fit-table.ts";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatOffset,
  formatRate,
  formatShortTime,
} from "./text.ts";

/** Returns a batch in the form that `--json` prints, without internal fields. */
export function publicBatch(batch: Batch) {
  return {
    pipeline: batch.pipeline,
    batchId: batch.batchId,
    attempt: batch.attempt,
    state: batch.state,
    start: batch.start,
    end: batch.end,
    range: batch.range ?? null,
    partitions: batch.tasks,
    exchanges: exchangesOf(batch),
    rows: batch.progress?.rows ?? null,
    bytes: batch.progress?.bytes ?? null,
    badRows: badRowsOf(batch),
    metrics: batch.progress?.metrics ?? null,
    plannedAt: new Date(batch.plannedAt).toISOString(),
    finishedAt: batch.finishedAt === undefined ? null : new Date(batch.finishedAt).toISOString(),
    error: batch.error ?? null,
    skipped: batch.skipped === undefined ? null : withIsoTime(batch.skipped),
    progress: progressOf(batch) ?? null,
  };
}

/** How many rows were left out because they could not be written, and whether they are kept. */
function badRowsOf({
  progress,
}: Batch): { readonly dropped: number } | { readonly quarantined: number } | null {
  if (progress?.bad === undefined) return null;
  const { rows, key } = progress.bad;
  return key === undefined ? { dropped: rows } : { quarantined: rows };
}

/** How many exchanges of rows an attempt has before its tasks write, and how many are done. */
function exchangesOf({ exchanges }: Batch): { readonly count: number; readonly done: number } | null {
  return exchanges === undefined ? null : { count: exchanges.count, done: exchanges.done };
}

/** Formats batches as a table with one line per batch. */
export function batchTable(batches: readonly Batch[]): string {
  const hasRetries = batches.some(({ attempt }) => attempt > 1);
  const hasErrors = batches.some(({ error }) => error !== undefined);
  const only = <T>(condition: boolean, ...cells: T[]) => (condition ? cells : []);
  return fitTable(
    [
      ...["batch", "started", "took", "from", "to", "partitions", "rows", "bytes", "rows/s"],
      ...only(hasRetries, "tries"),
      "state",
      ...only(hasErrors, "error"),
    ],
    batches.map((batch) => [
      String(batch.batchId),
      formatShortTime(batch.plannedAt),
      batch.finishedAt === undefined ? "-" : formatDuration(batch.finishedAt - batch.plannedAt),
      // A batch pipeline's offsets only count its runs.
      batch.range?.from ?? formatOffset(batch.start),
      batch.range?.to ?? formatOffset(batch.end),
      String(batch.tasks),
      batch.progress === undefined ? "-" : formatCount(batch.progress.rows),
      batch.progress === undefined ? "-" : formatBytes(batch.progress.bytes),
      rateOf(batch),
      ...only(hasRetries, String(batch.attempt)),
      batch.skipped === undefined ? batch.state : `${batch.state}, skipped`,
      ...only(hasErrors, batch.error?.code ?? ""),
    ]),
    { cut: ["from", "to"], drop: ["rows/s", "partitions", "bytes", "from", "took"] },
  );
}

function rateOf({ progress, plannedAt, finishedAt }: Batch): string {
  if (progress === undefined || finishedAt === undefined) return "-";
  return formatRate(rowsPerSecond(progress.rows, finishedAt - plannedAt));
}
