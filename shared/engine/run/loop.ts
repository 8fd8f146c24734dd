import { MillraceError } from "../../contract/errors.ts";
import { optional } from "../../contract/optional.ts";
import type { FinalizeResult } from "../finalize.ts";
import type { PlannedBatch, PlanResult } from "../plan.ts";
import type { Batch } from "../ports/ledger.ts";
import type { RunEvent } from "../ports/run-events.ts";
import type { Ports } from "../ports/runtime.ts";
import { progressOf } from "../progress.ts";
import { next, outcomeOfBatch, type RunCount, type RunOutcome } from "./next.ts";
import type { RunPolicy } from "./policy.ts";

/**
 * The steps of a run. Threads, a plain loop and a state machine carry them out, each in its own
 * way; the state machine, which goes from step to step by itself, uses `policyOf` and `next` as
 * this loop does.
 */
export interface RunSteps {
  /** Finds out how far the run is to go; `undefined` if it was told to stop before it knew. */
  prepare(): Promise<RunPolicy | undefined>;
  /**
   * Takes the pipeline and records the next batch, or takes up the one that is open; `undefined` if
   * it was told to stop.
   */
  plan(policy: RunPolicy): Promise<PlanResult | undefined>;
  /** Runs the tasks of a batch. Returns why it failed, or that tasks are left for the next run. */
  write(planned: PlannedBatch): Promise<MillraceError | "interrupted" | undefined>;
  /** Ends the batch; `failure` is that of its tasks. */
  finalize(planned: PlannedBatch, failure: MillraceError | undefined): Promise<FinalizeResult>;
}

export interface RunControl {
  readonly pipeline: string;
  readonly ports: Pick<Ports, "ledger" | "runtime">;
  /** Tells the run to stop. */
  readonly signal: AbortSignal;
  onEvent(event: RunEvent): void;
}

/** What a run has done. */
export interface RunTotals extends RunCount {
  readonly rows: number;
}

interface Round {
  readonly outcome: RunOutcome;
  /** Rows of the batch that was committed. */
  readonly rows?: number;
  /** Why the batch was not committed, or its source not told. */
  readonly error?: MillraceError;
}

/**
 * Runs batches until the policy is served, or the run is told to stop. Errors: those of the steps,
 * and whatever made a batch fail, which is then aborted and will be replayed by the next run.
 */
export async function runBatches(steps: RunSteps, control: RunControl): Promise<RunTotals> {
  const run = new Run(steps, control);
  try {
    await run.serve();
    if (control.signal.aborted) await tellInterrupted(control);
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

  constructor(steps: RunSteps, control: RunControl) {
    this.#steps = steps;
    this.#control = control;
  }

  async serve(): Promise<void> {
    const { ports, signal } = this.#control;
    const policy = await this.#steps.prepare();
    while (policy !== undefined && !signal.aborted) {
      const startedAt = ports.runtime.now();
      const round = await this.#round(policy);
      this.#count(round);
      const todo = next(policy, round.outcome, this.totals);
      if (todo === "end") return;
      if (todo === "fail") throw round.error;
      if (todo === "wait") await this.#waitUntil(startedAt + (policy.interval ?? 0));
    }
  }

  #count({ outcome, rows = 0 }: Round): void {
    const { totals } = this;
    const isIdle = outcome === "idle" || outcome === "paused";
    this.totals = {
      batches: totals.batches + (outcome === "committed" || outcome === "unacknowledged" ? 1 : 0),
      idle: isIdle ? totals.idle + 1 : 0,
      rows: totals.rows + rows,
    };
  }

  async #waitUntil(time: number): Promise<void> {
    const { ports, signal } = this.#control;
    const { runtime } = ports;
    await runtime.sleep(Math.max(0, time - runtime.now()), signal).catch(() => undefined);
  }

  async #round(policy: RunPolicy): Promise<Round> {
    const { ports, onEvent } = this.#control;
    const planned = await this.#steps.plan(policy);
    if (planned === undefined) return { outcome: "interrupted" };
    if (planned.kind === "batch") return await this.#batch(planned);
    if (planned.kind === "paused") {
      onEvent({ type: "paused", ...planned.paused });
      // A run that waits for the pipeline to be resumed keeps nobody from working on it by hand.
      await ports.ledger.release(planned.fence);
      return { outcome: "paused" };
    }
    const why = planned.targetExists ? ({ targetExists: true } as const) : {};
    onEvent({ type: "idle", ...optional("latest", planned.latest), ...why });
    return { outcome: "idle" };
  }

  /** Runs one batch to its end, or leaves it for the next run if this one is told to stop. */
  async #batch(planned: PlannedBatch): Promise<Round> {
    const { onEvent } = this.#control;
    const { batch, todo, resumed, latest, warning } = planned;
    const { batchId, attempt, start, end, tasks: partitions } = batch;
    const range = { batchId, attempt, start, end, partitions };
    onEvent({ type: "planned", ...range, ...optional("latest", latest), todo: todo.length, resumed });
    if (warning !== undefined) onEvent({ type: "warning", error: warning.toRecord() });

    const failure = await this.#steps.write(planned);
    if (failure === "interrupted") return { outcome: "interrupted" };

    const ended = await this.#steps.finalize(planned, failure);
    const { state, progress, finishedAt = batch.plannedAt } = ended.batch;
    const { rows, bytes } = progress ?? { rows: 0, bytes: 0 };
    const milliseconds = finishedAt - batch.plannedAt;
    const isCommitted = state === "committed";
    onEvent({ type: "batch", ...range, state: isCommitted ? state : "aborted", rows, bytes, milliseconds });
    const record = progressOf(ended.batch);
    if (record !== undefined) onEvent({ type: "batchProgress", progress: record });

    const outcome = outcomeOfBatch(batch.state, ended);
    if (isCommitted) return { outcome, rows, ...optional("error", ended.unacknowledged) };
    return { outcome, error: failure ?? ended.failure ?? abortedAs(ended.batch) };
  }
}

async function tellInterrupted({ pipeline, ports, onEvent }: RunControl): Promise<void> {
  const head = await ports.ledger.head(pipeline);
  onEvent({ type: "interrupted", ...optional("openBatchId", head?.openBatchId) });
}

/** The recorded reason, if no error of this process tells it. */
export function abortedAs({ error, pipeline, batchId, attempt }: Batch): MillraceError {
  const where = { pipeline, batchId, attempt };
  return error === undefined
    ? new MillraceError("BATCH_ABORTED", `batch ${batchId} was aborted`, { where })
    : MillraceError.from({ ...error, where: { ...error.where, ...where } });
}
