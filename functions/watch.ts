import { MetricUnit } from "@aws-lambda-powertools/metrics";
import { LOG_MESSAGE, METRIC } from "../shared/aws/names.ts";
import type { StallPolicy } from "../shared/contract/pipeline.ts";
import { rowsPerSecond } from "../shared/engine/ports/progress.ts";
import type { WatchOptions } from "../shared/engine/write/task.ts";

/** A long task logs how far it is no more often; the ledger learns it every ten seconds. */
const LOG_MILLISECONDS = 60_000;

/** Where a task is reported. */
export interface Teller {
  readonly logger: Record<"info" | "warn", (message: string, fields: Record<string, unknown>) => void>;
  readonly metrics: {
    addMetric(name: string, unit: "Count", value: number): void;
    publishStoredMetrics(): void;
  };
}

/** How a task is watched in Lambda: by log lines, and a metric for the alarm. */
export function watchOf(stall: StallPolicy, { logger, metrics }: Teller): WatchOptions {
  let loggedAt: number | undefined;
  return {
    stall,
    onRunning({ startedAt, reportedAt, progressedAt, rows, bytes, waitsFor }) {
      if (reportedAt - (loggedAt ?? startedAt) < LOG_MILLISECONDS) return;
      loggedAt = reportedAt;
      const milliseconds = reportedAt - startedAt;
      logger.info("writing", {
        rows,
        bytes,
        milliseconds,
        rowsPerSecond: rowsPerSecond(rows, milliseconds),
        waitsFor,
        idleMilliseconds: reportedAt - progressedAt,
      });
    },
    onStalled({ where: _where, message, ...stalled }) {
      logger.warn(LOG_MESSAGE.stalled, { ...stalled, problem: message });
      metrics.addMetric(METRIC.stalledPartitions, MetricUnit.Count, 1);
      // What hangs may be ended from outside, before anything else is published.
      metrics.publishStoredMetrics();
    },
  };
}
