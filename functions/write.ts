import { MetricUnit } from "@aws-lambda-powertools/metrics";
import type { Context } from "aws-lambda";
import { METRIC } from "../shared/aws/names.ts";
import type { WriteEvent } from "../shared/aws/state.ts";
import { linkSignals } from "../shared/contract/abort.ts";
import { MillraceError } from "../shared/contract/errors.ts";
import { rowsPerSecond } from "../shared/engine/ports/progress.ts";
import { unlessCrashed } from "../shared/engine/run/process-guard.ts";
import { leftOutWarning, unreadWarning, write } from "../shared/engine/write/task.ts";
import type { TaskResult } from "../shared/engine/write/task-request.ts";
import { stallPolicyOf } from "../shared/engine/write/watch.ts";
import { logger, metrics, settings } from "./environment.ts";
import { putFailure } from "./failures.ts";
import { lambdaHandler, type Opened } from "./lambda-handler.ts";
import { isDenial } from "./step-error.ts";
import { commitDeadline, withinTime } from "./time-limit.ts";
import { watchOf } from "./watch.ts";

/** Reads one partition, stages it with the sink's writer, and records its commit message. */
export const handler = lambdaHandler(
  "write",
  async (event: WriteEvent, { sessions, ports, crash }: Opened, lambda: Context): Promise<TaskResult> => {
    const { run, partition, attemptNumber } = event;
    logger.appendKeys({ batchId: run.batchId, attempt: run.attempt, partition, attemptNumber });
    try {
      const watch = watchOf(stallPolicyOf(sessions.pipeline, settings.stall), { logger, metrics });
      const writing = withinTime(lambda, async (signal) => {
        const linked = linkSignals(signal, crash);
        const options = {
          signal: linked.signal,
          watch,
          commitDeadline: commitDeadline(lambda, ports.runtime),
        };
        return await write(sessions, ports, event, options).finally(linked.unlink);
      });
      const result = await unlessCrashed(crash, writing);
      logger.info("written", {
        ...result,
        rowsPerSecond: rowsPerSecond(result.rows, result.milliseconds),
      });
      const { leftOut, ...answer } = result;
      if (leftOut !== undefined)
        logger.warn("fields are left out", { problem: leftOutWarning(run, leftOut).toRecord() });
      if (result.unread)
        logger.warn("the sink may be mistaken", { problem: unreadWarning(event).toRecord() });
      metrics.addMetric(METRIC.taskDuration, MetricUnit.Milliseconds, result.milliseconds);
      // The state of the execution has room for a few bytes of each task.
      return answer;
    } catch (error) {
      metrics.addMetric(METRIC.taskFailures, MetricUnit.Count, 1);
      const isFinal =
        MillraceError.is(error) &&
        !isDenial(error) &&
        (!error.retryable || attemptNumber + 1 >= settings.maxAttempts);
      if (isFinal) {
        // Best effort. Without the file, the batch is aborted because of missing tasks.
        await putFailure(ports.store, run, partition, ports.runtime.newId(), error.toRecord()).catch(
          () => undefined,
        );
      }
      throw error;
    }
  },
);
