import { MetricUnit } from "@aws-lambda-powertools/metrics";
import { LOG_MESSAGE, METRIC } from "../shared/aws/names.ts";
import { type Finalized, TASK_END, type Written } from "../shared/aws/state.ts";
import { type ErrorRecord, MillraceError } from "../shared/contract/errors.ts";
import { finalize } from "../shared/engine/finalize.ts";
import { type Operation, type OperationReport, operate } from "../shared/engine/operations.ts";
import type { Batch } from "../shared/engine/ports/ledger.ts";
import type { Ports } from "../shared/engine/ports/runtime.ts";
import { elapsedBetween, progressOf } from "../shared/engine/progress.ts";
import { stallPolicyOf } from "../shared/engine/write/watch.ts";
import { afterFinalize, summaryOf } from "./after-finalize.ts";
import { logger, metrics, settings } from "./environment.ts";
import { firstFailure } from "./failures.ts";
import { lambdaHandler, type Opened } from "./lambda-handler.ts";
import { watchingOf } from "./watch.ts";

/**
 * Decides to commit or abort, carries out the decision, moves the offset, and returns what the
 * state machine does next.
 */
export const handler = lambdaHandler(
  "finalize",
  async (event: Written | Operation, opened: Opened): Promise<Finalized | OperationReport> =>
    "operation" in event ? await performed(event, opened) : await finalized(event, opened),
);

/** Performs an operation of a person. The command has checked that no run is at work. */
async function performed(event: Operation, { sessions, ports }: Opened): Promise<OperationReport> {
  const report = await operate(sessions, ports, event, async () => false);
  logger.info(event.operation, { isPerformed: "perform" in event, ...report });
  return report;
}

async function finalized(work: Written, { sessions, ports }: Opened): Promise<Finalized> {
  const { run } = work;
  logger.appendKeys({ batchId: run.batchId, attempt: run.attempt });
  const failure = await failureOf(ports, work);
  const stall = stallPolicyOf(sessions.pipeline, settings.stall);
  const watching = watchingOf(stall, { logger, metrics });
  const ended = await finalize(sessions, ports, { run, failure, watching });
  reportBatch(ended.batch);
  if (ended.paused !== undefined) {
    logger.error(LOG_MESSAGE.paused, { ...ended.paused });
    metrics.addMetric(METRIC.pipelinePaused, MetricUnit.Count, 1);
  }
  const next = afterFinalize(work, ended, ports.runtime.now(), settings.executionMilliseconds);
  // If the next step is Plan, the lease is kept: Plan takes it over.
  if (next.next !== "Plan") {
    const { pipeline, incarnation, epoch } = run;
    await ports.ledger.release({ pipeline, incarnation, epoch }).catch(() => undefined);
  }
  return next;
}

/** The ways in which a task is killed from outside. */
const KILL_REASONS: Readonly<Record<string | number, string>> = {
  [TASK_END.outOfTime]: "its time was over",
  [TASK_END.killed]: "out of memory, process.exit, or a crash",
};

/** Returns why tasks are missing, or `undefined` if that is unknown. */
async function failureOf(ports: Ports, work: Written): Promise<ErrorRecord | undefined> {
  const { run, failed = 0, killed = null } = work;
  if (failed === 0 && killed === null) return undefined;
  const recorded = await firstFailure(ports.store, run);
  if (recorded !== undefined || killed === null) return recorded;
  return new MillraceError(
    "TASK_KILLED",
    `a task was ended from outside: ${KILL_REASONS[killed] ?? killed}`,
    {
      where: { pipeline: run.pipeline, batchId: run.batchId, attempt: run.attempt },
      hint: "Look into the log of the Write function. Out of memory: raise writerMemory, or give smaller partitions.",
    },
  ).toRecord();
}

function reportBatch(batch: Batch): void {
  const summary = summaryOf(batch);
  const isCommitted = batch.state === "committed";
  const finishedAt = batch.finishedAt ?? batch.plannedAt;
  logger.info(batch.state, { ...summary, ...(isCommitted ? {} : { problem: batch.error }) });
  metrics.addMetric(isCommitted ? METRIC.batchesCommitted : METRIC.batchesAborted, MetricUnit.Count, 1);
  metrics.addMetric(isCommitted ? METRIC.batchesAborted : METRIC.batchesCommitted, MetricUnit.Count, 0);
  metrics.addMetric(
    METRIC.batchDuration,
    MetricUnit.Milliseconds,
    elapsedBetween(batch.plannedAt, finishedAt),
  );
  metrics.addMetric(
    METRIC.batchAge,
    MetricUnit.Milliseconds,
    elapsedBetween(batch.firstPlannedAt, finishedAt),
  );
  if (!isCommitted) return;
  const progress = progressOf(batch);
  if (progress !== undefined) logger.info("progress", { progress });
  metrics.addMetric(METRIC.progress, MetricUnit.Count, 1);
  // A metric that is never told costs nothing, and most pipelines never leave out a row.
  const bad = batch.progress?.bad?.rows ?? 0;
  if (bad > 0) metrics.addMetric(METRIC.badRows, MetricUnit.Count, bad);
  metrics.addMetric(METRIC.rows, MetricUnit.Count, summary.rows);
  metrics.addMetric(METRIC.bytes, MetricUnit.Bytes, summary.bytes);
  metrics.addMetric(METRIC.partitions, MetricUnit.Count, batch.tasks);
}
