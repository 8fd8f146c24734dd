import { syncBuiltinESMExports } from "node:module";
import type { Context } from "aws-lambda";
import { pipelineOfEvent } from "../shared/aws/state.ts";
import { onAbort } from "../shared/contract/abort.ts";
import { pipelineOfBackfill } from "../shared/contract/backfill.ts";
import { escapeControls } from "../shared/contract/controls.ts";
import { causeOf, type MillraceError, toMillraceError } from "../shared/contract/errors.ts";
import { boundedError } from "../shared/engine/ports/bounded-error.ts";
import type { Ports } from "../shared/engine/ports/runtime.ts";
import { forbidExit, unlessCrashed, watchUncaught } from "../shared/engine/run/process-guard.ts";
import { openSessions, type Sessions } from "../shared/engine/sessions/open-sessions.ts";
import { describeError } from "./describe-error.ts";
import { load, logger, metrics, settings, tracer } from "./environment.ts";
import { stepErrorName } from "./step-error.ts";

/** The open pipeline, as a handler's body receives it. */
export interface Opened {
  readonly sessions: Sessions;
  readonly ports: Ports;
  /** Aborts when the call must fail, because the user's code failed outside of any call. */
  readonly crash: AbortSignal;
}

/** How long a body may take to end by itself after `crash` has aborted. */
const GRACE_MILLISECONDS = 2000;

/** Fails the call that is being handled. Lambda handles one call at a time. */
let crash: AbortController | undefined;

// Lambda's own listeners would end the environment with an error that names neither pipeline nor
// batch.
process.removeAllListeners("unhandledRejection").removeAllListeners("uncaughtException");
watchUncaught(process, (error) => {
  logger.error("an error outside of every call of the pipeline's methods", problemOf(error));
  crash?.abort(error.with({ where: { pipeline: settings.pipeline }, retryable: true }));
});
forbidExit(process, syncBuiltinESMExports, () => crash !== undefined);

/**
 * The error that Lambda passes to Step Functions. It has a name and a message, but no row content
 * and no cause.
 */
class StepError extends Error {
  constructor(error: MillraceError) {
    super(escapeControls(`${error.code}: ${describeError(error.toRecord())}`));
    this.name = stepErrorName(error);
    // The stack frames of this class do not help anyone.
    this.stack = `${this.name}: ${this.message}`;
  }
}

/**
 * Creates a Lambda handler that opens the pipeline, runs `body`, and writes logs, metrics and
 * traces.
 */
export function lambdaHandler<Event extends object, Answer>(
  name: string,
  body: (event: Event, opened: Opened, lambda: Context) => Promise<Answer>,
): (event: Event, lambda: Context) => Promise<Answer> {
  return async (event, lambda) => {
    const endTrace = beginTrace(name);
    logger.resetKeys();
    logger.addContext(lambda);
    const backfill = pipelineOfEvent(event);
    const isBackfill = pipelineOfBackfill(backfill ?? "") !== undefined;
    if (isBackfill) logger.appendKeys({ backfill });
    let sessions: Sessions | undefined;
    crash = new AbortController();
    const { signal } = crash;
    const handle = async () => {
      const { pipeline, ports } = await load(backfill, { needsRange: name !== "write" });
      sessions = await openSessions(pipeline, ports);
      return await body(event, { sessions, ports, crash: signal }, lambda);
    };
    try {
      return await unlessCrashed(afterGrace(signal), handle());
    } catch (error) {
      throw new StepError(told(name, signal.aborted ? signal.reason : error));
    } finally {
      await sessions?.source.stop();
      crash = undefined;
      // The alarms are about the pipeline: a backfill must neither set them off nor silence them.
      if (isBackfill) metrics.clearMetrics();
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
  logger.error(`${name} failed`, problemOf(error));
  return error;
}

/** Returns the parts of an error that may be logged. */
function problemOf(error: MillraceError) {
  const frames = causeOf(error)
    ?.split("\n")
    .filter((line) => line.startsWith("    at "));
  return { problem: boundedError(error.toRecord()), ...(frames === undefined ? {} : { frames }) };
}

/** Returns a signal that aborts some time after `signal`, with its reason. */
function afterGrace(signal: AbortSignal): AbortSignal {
  const late = new AbortController();
  const wait = () => setTimeout(() => late.abort(signal.reason), GRACE_MILLISECONDS);
  onAbort(signal, wait);
  return late.signal;
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
