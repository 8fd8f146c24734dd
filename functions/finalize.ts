import { MetricUnit } from "@aws-lambda-powertools/metrics";
import { type ErrorRecord, MillraceError } from "../shared/contract/errors.ts";
import { type FinalizeResult, finalize } from "../shared/engine/finalize.ts";
import type { Ports } from "../shared/engine/ports.ts";
import type { Batch } from "../shared/ledger/ledger.ts";
import { logger, metrics, settings } from "./environment.ts";
import { firstFailure } from "./failures.ts";
import { type Opened, step } from "./step.ts";
import type { BatchSummary, Finalized, Written } from "./steps.ts";

/** An execution of a Standard workflow ends at 25,000 events of history; retries need some of them. */
const MAX_EVENTS = 15_000;
/** Of one inline task, without retries; of the other states of a batch. */
const EVENTS_PER_TASK = 8;
const EVENTS_PER_BATCH = 40;

/** Decides once, carries the decision out, moves the offset, and says what comes next. */
export const handler = step(
  "finalize",
  async (work: Written, { open, ports }: Opened): Promise<Finalized> => {
    const { run } = work;
    logger.appendKeys({ batchId: run.batchId, attempt: run.attempt });
    const failure = await failureOf(ports, work);
    const ended = await finalize(open, ports, { run, ...(failure === undefined ? {} : { failure }) });
    tell(ended.batch);
    const next = nextOf(work, ended, ports.runtime.now());
    // The next step of this execution takes the pipeline again by itself.
    if (next.next !== "Plan") {
      await ports.ledger.release({ pipeline: run.pipeline, epoch: run.epoch }).catch(() => undefined);
    }
    return next;
  },
);

/** Why tasks are missing, as far as it is known. */
async function failureOf(ports: Ports, work: Written): Promise<ErrorRecord | undefined> {
  const { run, failed = 0, killed = null } = work;
  if (failed === 0 && killed === null) return undefined;
  const recorded = await firstFailure(ports.store, run);
  if (recorded !== undefined || killed === null) return recorded;
  return new MillraceError("TASK_KILLED", `a task was ended from outside: ${killed}`, {
    where: { pipeline: run.pipeline, batchId: run.batchId, attempt: run.attempt },
    hint: "Look into the log of the Write function. Out of memory: raise writerMemory, or give smaller partitions.",
  }).toRecord();
}

function nextOf(work: Written, ended: FinalizeResult, now: number): Finalized {
  const { batch, failure, unacknowledged } = ended;
  const error = unacknowledged ?? failure ?? batch.error;
  if (batch.state === "aborted" && work.aborted === "Failed")
    return failedWith(error, "the batch was aborted");
  if (unacknowledged !== undefined) return failedWith(error, "commit(end) of the source failed");
  if (batch.state === "committed" && work.committed === "Done") {
    return { next: "Done", why: "committed", batch: summaryOf(batch) };
  }
  const events = (work.input.events ?? 0) + EVENTS_PER_BATCH + EVENTS_PER_TASK * work.todo.length;
  const isLong = now - Date.parse(work.execution.startedAt) > settings.executionMilliseconds / 2;
  const { events: _events, ...input } = work.input;
  return events > MAX_EVENTS || isLong
    ? { next: "Continue", input: { ...input, reason: `goes on from ${work.execution.id}` } }
    : { ...input, next: "Plan", events };
}

function failedWith(error: Pick<ErrorRecord, "code" | "message"> | undefined, otherwise: string): Finalized {
  const { code = "BATCH_ABORTED", message = otherwise } = error ?? {};
  return { next: "Failed", error: { code, message } };
}

function tell(batch: Batch): void {
  const summary = summaryOf(batch);
  const isCommitted = batch.state === "committed";
  const finishedAt = batch.finishedAt ?? batch.plannedAt;
  logger.info(batch.state, { ...summary, ...(isCommitted ? {} : { problem: batch.error }) });
  metrics.addMetric(isCommitted ? "BatchesCommitted" : "BatchesAborted", MetricUnit.Count, 1);
  metrics.addMetric(isCommitted ? "BatchesAborted" : "BatchesCommitted", MetricUnit.Count, 0);
  metrics.addMetric("BatchDuration", MetricUnit.Milliseconds, finishedAt - batch.plannedAt);
  metrics.addMetric("BatchAge", MetricUnit.Milliseconds, finishedAt - batch.firstPlannedAt);
  if (!isCommitted) return;
  metrics.addMetric("Progress", MetricUnit.Count, 1);
  metrics.addMetric("Rows", MetricUnit.Count, summary.rows);
  metrics.addMetric("Bytes", MetricUnit.Bytes, summary.bytes);
  metrics.addMetric("Partitions", MetricUnit.Count, batch.tasks);
}

function summaryOf(batch: Batch): BatchSummary {
  const { rows, bytes } = batch.progress ?? { rows: 0, bytes: 0 };
  return { batchId: batch.batchId, attempt: batch.attempt, state: batch.state, rows, bytes };
}
