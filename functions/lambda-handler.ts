import type { Context } from "aws-lambda";
import { STEP_ERROR } from "../shared/aws/names.ts";
import { causeOf, type MillraceError, toMillraceError } from "../shared/contract/errors.ts";
import type { Ports } from "../shared/engine/ports/runtime.ts";
import { openSessions, type Sessions } from "../shared/engine/sessions/open-sessions.ts";
import { describeError } from "./describe-error.ts";
import { load, logger, metrics, settings, tracer } from "./environment.ts";

/** The open pipeline, as a handler's body receives it. */
export interface Opened {
  readonly sessions: Sessions;
  readonly ports: Ports;
}

/**
 * The error that Lambda passes to Step Functions. It has a name and a message, but no row content
 * and no cause.
 */
class StepError extends Error {
  constructor(error: MillraceError) {
    super(`${error.code}: ${describeError(error)}`);
    this.name = error.retryable ? STEP_ERROR.retryable : STEP_ERROR.final;
    // The stack frames of this class do not help anyone.
    this.stack = `${this.name}: ${this.message}`;
  }
}

/**
 * Creates a Lambda handler that opens the pipeline, runs `body`, and writes logs, metrics and
 * traces.
 */
export function lambdaHandler<Event, Answer>(
  name: string,
  body: (event: Event, opened: Opened, lambda: Context) => Promise<Answer>,
): (event: Event, lambda: Context) => Promise<Answer> {
  return async (event, lambda) => {
    const endTrace = beginTrace(name);
    logger.resetKeys();
    logger.addContext(lambda);
    let sessions: Sessions | undefined;
    try {
      const { pipeline, ports } = await load();
      sessions = await openSessions(pipeline, ports);
      return await body(event, { sessions, ports }, lambda);
    } catch (error) {
      throw new StepError(told(name, error));
    } finally {
      await sessions?.source.stop();
      if (metrics.hasStoredMetrics()) metrics.publishStoredMetrics();
      endTrace();
    }
  };
}

/**
 * Logs an error without anything that may contain rows or secrets. Of the user's own error, only
 * the stack frames are logged.
 */
function told(name: string, thrown: unknown): MillraceError {
  const error = toMillraceError(
    thrown,
    "STEP_FAILED",
    `${name} failed`,
    { pipeline: settings.pipeline },
    true,
  );
  const frames = causeOf(error)
    ?.split("\n")
    .filter((line) => line.startsWith("    at "));
  logger.error(`${name} failed`, { problem: error.toRecord(), ...(frames === undefined ? {} : { frames }) });
  return error;
}

function beginTrace(name: string): () => void {
  const parent = tracer?.isTracingEnabled() ? tracer.getSegment() : undefined;
  if (tracer === undefined || parent === undefined) return () => undefined;
  const segment = parent.addNewSubsegment(`## ${name}`);
  tracer.setSegment(segment);
  tracer.annotateColdStart();
  tracer.addServiceNameAnnotation();
  return () => {
    segment.close();
    tracer?.setSegment(parent);
  };
}
