import { MetricUnit } from "@aws-lambda-powertools/metrics";
import { LOG_MESSAGE, METRIC } from "../shared/aws/names.ts";
import type { StallPolicy } from "../shared/contract/pipeline-definition.ts";
import type { CallWatching } from "../shared/engine/call-watch.ts";
import { rowsPerSecond } from "../shared/engine/ports/progress.ts";
import type { WatchOptions } from "../shared/engine/write/task-request.ts";

/**
 * Minimum time between progress log lines of a task. The ledger gets its progress every ten
 * seconds.
 */
const LOG_MILLISECONDS = 60_000;

/** The logger and the metrics to which a task, or the end of a batch, reports. */
export interface TaskReporter {
  readonly logger: Record<"info" | "warn", (message: string, fields: Record<string, unknown>) => void>;
  readonly metrics: {
    addMetric(name: string, unit: "Count", value: number): void;
    publishStoredMetrics(): void;
  };
}

/**
 * Returns the options with which a task's progress is logged and stalls are reported as a metric,
 * for the alarm.
 */
export function watchOf(stall: StallPolicy, { logger, metrics }: TaskReporter): WatchOptions {
  let logged = 0;
  return {
    stall,
    onRunning({ startedAt, reportedAt, progressedAt, rows, bytes, waitsFor }) {
      const milliseconds = reportedAt - startedAt;
      if (milliseconds - logged < LOG_MILLISECONDS) return;
      logged = milliseconds;
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
      // Published now, because a task that hangs may be killed before metrics are published
      // otherwise.
      metrics.publishStoredMetrics();
    },
  };
}

/** Returns who is told of a call that ends a batch and does not return: the log and the alarm. */
export function watchingOf({ after }: StallPolicy, { logger, metrics }: TaskReporter): CallWatching {
  return {
    after,
    onStalled(warning) {
      logger.warn(LOG_MESSAGE.stalled, { problem: warning.toRecord() });
      metrics.addMetric(METRIC.stalledPartitions, MetricUnit.Count, 1);
      // As above: the function may be killed.
      metrics.publishStoredMetrics();
    },
  };
}
