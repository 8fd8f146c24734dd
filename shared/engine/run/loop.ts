import { causeOf, MillraceError, toMillraceError } from "../../contract/errors.ts";
import { optional } from "../../contract/optional.ts";
import type { FinalizeResult } from "../finalize.ts";
import { besides } from "../first-cause.ts";
import type { PlannedBatch, PlanResult } from "../plan.ts";
import type { PlannedStage } from "../plan-stage.ts";
import type { Batch } from "../ports/ledger.ts";
import type { Pause } from "../ports/manual-operations.ts";
import type { BatchProgress } from "../ports/records.ts";
import type { RunEvent } from "../ports/run-events.ts";
import type { Ports } from "../ports/runtime.ts";
import { elapsedBetween, progressOf } from "../progress.ts";
import { errorAfterCommit, next, outcomeOfBatch, type RunCount, type RunOutcome } from "./next.ts";
import type { RunPolicy } from "./policy.ts";
import { endsRun, waitAfter } from "./recovery.ts";

/**
 * The steps of a run, which each environment implements: worker threads on a laptop, a plain loop
 * in tests. The state machine on AWS does not use this interface, but it uses the same `policyOf`
 * and `next`.
 */
export interface RunSteps {
  /**
   * Determines the policy of the run, or returns `undefined` if the run is told to stop before
   * that.
   */
  prepare(): Promise<RunPolicy | undefined>;
  /**
   * Acquires the pipeline and records the next batch, or resumes the open one. Returns `undefined`
   * if the run is told to stop before that.
   */
  plan(policy: RunPolicy): Promise<PlanResult | undefined>;
  /**
   * Runs the tasks of a batch. Returns `undefined` if all succeeded, the error of a failed task, or
   * "interrupted" if tasks are left for the next run.
   */
  write(planned: PlannedBatch): Promise<MillraceError | "interrupted" | undefined>;
  /** Plans the next stage of a batch whose tasks have exchanged their rows. */
  planStage(planned: PlannedBatch): Promise<PlannedStage>;
  /** Ends the batch. `failure` is the error of its tasks. */
  finalize(planned: PlannedBatch, failure: MillraceError | undefined): Promise<FinalizeResult>;
  /**
   * Gives up the lease and what the source holds, before the wait after a failure. The next plan
   * begins like that of a new run. Needed only if the policy outlives failures.
   */
  recover?(): Promise<void>;
}

export interface RunControl {
  readonly pipeline: string;
  readonly ports: Pick<Ports, "ledger" | "runtime">;
  /** Aborts when the run must stop. */
  readonly signal: AbortSignal;
  onEvent(event: RunEvent): void;
}

/** Totals of a run. */
export interface RunTotals extends RunCount {
  readonly rows: number;
}

interface Round {
  readonly outcome: RunOutcome;
  /** Rows of the batch, if it was committed. */
  readonly rows?: number;
  /** Why the batch was not committed, or why the source's `commit(end)` failed. */
  readonly error?: unknown;
}

/**
 * Runs batches until the policy ends the run or the signal aborts. Throws the errors of the steps,
 * and the error of a batch that was aborted; the next run replays that batch. A run that outlives
 * failures throws only errors that no waiting cures.
 */
export async function runBatches(steps: RunSteps, control: RunControl): Promise<RunTotals> {
  const run = new Run(steps, control);
  try {
    await run.runRounds();
    if (control.signal.aborted) await emitInterrupted(control);
    return run.totals;
  } finally {
    const { batches, rows } = run.totals;
    control.onEvent({ type: "ended", batches, rows });
  }
}

class Run {
  totals: RunTotals = { batches: 0, idle: 0, rows: 0 };
  readonly #steps: RunSteps;
  readonly #control: RunControl;
  /** Failures in a row. */
  #failures = 0;
  /** True once the run had the pipeline's lease. */
  #hasHeld = false;

  constructor(steps: RunSteps, control: RunControl) {
    this.#steps = steps;
    this.#control = control;
  }

  async runRounds(): Promise<void> {
    const { ports, signal } = this.#control;
    const policy = await this.#steps.prepare();
    while (policy !== undefined && !signal.aborted) {
      const startedAt = ports.runtime.monotonic();
      const round = await this.#round(policy).catch(
        (error: unknown): Round => ({ outcome: "failed", error }),
      );
      this.#count(round);
      const action = next(policy, round.outcome, this.totals);
      if (action === "end") return;
      if (action === "fail") throw round.error;
      if (action === "recover") await this.#recover(policy, round);
      else this.#failures = 0;
      if (action === "wait") await this.#waitUntil(startedAt + (policy.interval ?? 0));
    }
  }

  /** Waits after a failure. Throws its error if the run is to stop, or if no waiting cures it. */
  async #recover({ interval = 0 }: RunPolicy, { outcome, error: thrown }: Round): Promise<void> {
    const { pipeline, ports, signal, onEvent } = this.#control;
    // The error of a batch that was aborted may be cured without this run, or the batch is skipped.
    if (signal.aborted || (outcome !== "aborted" && endsRun(thrown, this.#hasHeld))) throw thrown;
    this.#failures++;
    const delay = waitAfter(this.#failures, interval);
    const until = ports.runtime.monotonic() + delay;
    const error = toMillraceError(thrown, "UNEXPECTED", "the run failed", { pipeline });
    onEvent({
      type: "waiting",
      error: error.toRecord(),
      ...causeLine(error),
      failures: this.#failures,
      at: ports.runtime.now() + delay,
    });
    await this.#steps.recover?.();
    await this.#waitUntil(until);
  }

  #count({ outcome, rows = 0 }: Round): void {
    const { totals } = this;
    const isIdle = outcome === "idle" || outcome === "paused" || outcome === "pausedByFailures";
    this.totals = {
      batches: totals.batches + (outcome === "committed" || outcome === "unacknowledged" ? 1 : 0),
      idle: isIdle ? totals.idle + 1 : 0,
      rows: totals.rows + rows,
    };
  }

  /** `time` is in the time of `Runtime.monotonic`. */
  async #waitUntil(time: number): Promise<void> {
    const { ports, signal } = this.#control;
    const { runtime } = ports;
    await runtime.sleep(Math.max(0, time - runtime.monotonic()), signal).catch(() => undefined);
  }

  async #round(policy: RunPolicy): Promise<Round> {
    const { ports, onEvent } = this.#control;
    const planned = await this.#steps.plan(policy);
    if (planned === undefined) return { outcome: "interrupted" };
    this.#hasHeld = true;
    if (planned.kind === "batch") return await this.#batch(planned);
    if (planned.kind === "paused") {
      onEvent({ type: "paused", ...planned.paused });
      // While a periodic run waits for the end of a pause, its lease would block manual operations.
      await ports.ledger.release(planned.fence);
      const error = pausedError(this.#control.pipeline, planned.paused);
      return error === undefined ? { outcome: "paused" } : { outcome: "pausedByFailures", error };
    }
    const why = planned.targetExists ? ({ targetExists: true } as const) : {};
    onEvent({ type: "idle", ...optional("latest", planned.latest), ...why });
    return { outcome: "idle" };
  }

  /** Runs the tasks of a batch, stage after stage. */
  async #stages(planned: PlannedBatch): Promise<StagesEnd> {
    const { onEvent } = this.#control;
    let last = planned;
    for (;;) {
      const failure = await this.#steps.write(last);
      if (failure !== undefined || last.run.stage === undefined) return { failure, last };
      const stage = await this.#steps.planStage(last);
      const { batchId, attempt, tasks: partitions } = stage.batch;
      onEvent({ type: "exchanged", batchId, attempt, partitions, todo: stage.todo.length });
      last = { ...last, ...stage };
    }
  }

  /** Runs one batch to its end. If the run is told to stop, the batch is left to the next run. */
  async #batch(planned: PlannedBatch): Promise<Round> {
    const { onEvent } = this.#control;
    const { batch, todo, resumed, latest, warning, loss } = planned;
    const { batchId, attempt, start, end, tasks: partitions } = batch;
    const range = { batchId, attempt, start, end };
    onEvent({
      type: "planned",
      ...range,
      partitions,
      ...optional("latest", latest),
      todo: todo.length,
      ...(planned.run.stage === undefined ? {} : { exchanges: true as const }),
      resumed,
    });
    for (const problem of [warning, loss])
      if (problem !== undefined) onEvent({ type: "warning", error: problem.toRecord() });

    const { failure, last } = await this.#stages(planned);
    if (failure === "interrupted") return { outcome: "interrupted" };

    // The recorded failure lacks the cause, which only this process knows.
    const ended = await this.#steps.finalize(last, failure).catch((error: unknown) => {
      throw besides(failure, error);
    });
    const { state, progress, finishedAt = batch.plannedAt } = ended.batch;
    const { rows, bytes, bad, metrics }: BatchProgress = progress ?? { rows: 0, bytes: 0 };
    const left = bad && { rows: bad.rows, isKept: bad.key !== undefined };
    const figures = { rows, bytes, ...optional("bad", left), ...optional("metrics", metrics) };
    const milliseconds = elapsedBetween(batch.plannedAt, finishedAt);
    const isCommitted = state === "committed";
    const written = { partitions: ended.batch.tasks, ...figures, milliseconds };
    onEvent({ type: "batch", ...range, state: isCommitted ? state : "aborted", ...written });
    const record = progressOf(ended.batch);
    if (record !== undefined) onEvent({ type: "batchProgress", progress: record });

    const outcome = outcomeOfBatch(batch.state, ended);
    if (isCommitted) return { outcome, rows, ...optional("error", errorAfterCommit(ended)) };
    // As in Spark, an error of the sink's metrics after the abort replaces that of a task.
    const error = ended.failure ?? failure ?? recordedAbortError(ended.batch);
    if (ended.paused === undefined) return { outcome, error: withWayOut(error, ended.batch) };
    onEvent({ type: "paused", ...ended.paused, error: error.toRecord(), ...causeLine(error) });
    // Until the next plan the lease would block the commands that end the pause.
    await this.#control.ports.ledger.release(planned.fence).catch(() => undefined);
    return { outcome: "pausedByFailures", error: withHint(error, wayOutOfPause(ended.batch)) };
  }
}

/** What the stages of a batch ended with. */
interface StagesEnd {
  readonly failure: MillraceError | "interrupted" | undefined;
  /** The batch as its last stage was planned. */
  readonly last: PlannedBatch;
}

/** Returns the message of the user's own error, for the event that reports it. */
function causeLine(error: MillraceError): { readonly cause?: string } {
  return optional("cause", causeOf(error)?.split("\n")[0]);
}

/** Returns the error of a run that can do nothing, because a batch has paused the pipeline. */
function pausedError(pipeline: string, { batchId, code, why }: Pause): MillraceError | undefined {
  if (batchId === undefined || code === undefined) return undefined;
  return new MillraceError("PIPELINE_PAUSED", `the pipeline is paused: ${why ?? code}`, {
    where: { pipeline, batchId },
    hint: wayOutOfPause({ pipeline, batchId }),
  });
}

function wayOutOfPause({ pipeline, batchId }: Pick<Batch, "pipeline" | "batchId">): string {
  return `The pipeline is paused. Correct what \`millrace batch ${batchId} ${pipeline}\` shows, then \`millrace resume ${pipeline}\`; or leave its rows out by \`millrace skip ${pipeline}\`, and resume then.`;
}

/** The error of a batch that was tried before also names the command that ends the batch. */
function withWayOut(error: MillraceError, { pipeline, batchId, attempt }: Batch): MillraceError {
  if (attempt === 1 || /`millrace (?!run`)/.test(error.hint ?? "")) return error;
  const wayOut = `This was attempt ${attempt} of batch ${batchId}. If none can succeed, leave its rows out: \`millrace skip ${pipeline}\`.`;
  return withHint(error, wayOut);
}

function withHint(error: MillraceError, more: string): MillraceError {
  return error.with({ hint: error.hint === undefined ? more : `${error.hint} ${more}` });
}

async function emitInterrupted({ pipeline, ports, onEvent }: RunControl): Promise<void> {
  const head = await ports.ledger.head(pipeline);
  onEvent({ type: "interrupted", ...optional("openBatchId", head?.openBatchId) });
}

/**
 * Returns the error that the ledger recorded for an aborted batch. It is needed if this process has
 * no error of its own.
 */
export function recordedAbortError({ error, pipeline, batchId, attempt }: Batch): MillraceError {
  const where = { pipeline, batchId, attempt };
  return error === undefined
    ? new MillraceError("BATCH_ABORTED", `batch ${batchId} was aborted`, { where })
    : MillraceError.from({ ...error, where: { ...error.where, ...where } });
}
