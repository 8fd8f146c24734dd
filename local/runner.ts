import { encodeSchema } from "../shared/arrow/ipc-file.ts";
import { parseDuration } from "../shared/contract/duration.ts";
import { MillraceError } from "../shared/contract/errors.ts";
import type { Offset } from "../shared/contract/offset.ts";
import { type Pipeline, type StallPolicy, type Trigger, triggerKind } from "../shared/contract/pipeline.ts";
import type { ReadLimit } from "../shared/contract/read-limit.ts";
import { finalize } from "../shared/engine/finalize.ts";
import { OpenPipeline } from "../shared/engine/open-pipeline.ts";
import { limitOf, type PlanResult, plan } from "../shared/engine/plan.ts";
import type { Batch, Fence } from "../shared/engine/ports/ledger.ts";
import type { RunEvent } from "../shared/engine/ports/run-events.ts";
import type { Ports } from "../shared/engine/ports/runtime.ts";
import type { BatchState } from "../shared/engine/ports/states.ts";
import { progressOf } from "../shared/engine/progress.ts";
import { stallPolicyOf } from "../shared/engine/write/watch.ts";
import type { Home } from "./home.ts";
import { hasEnded, OwnerLock } from "./owner-lock.ts";
import { runTasks } from "./run-tasks.ts";
import { TaskPool } from "./task-pool.ts";

/** A run is known to have ended by its lock, so its lease need never be waited for; it is only a bound for a home whose locks are lost. */
const LEASE_MILLISECONDS = 24 * 3_600_000;

/** How long a method of the source may take to answer once the run is interrupted. */
const GRACE_MILLISECONDS = 5000;

export interface RunOptions {
  readonly pipeline: Pipeline;
  /** The file that exports the pipeline: worker threads load it too. */
  readonly entry: string;
  readonly home: Home;
  readonly trigger: Trigger;
  readonly maxConcurrency: number;
  /** Attempts of one task at most. */
  readonly maxAttempts: number;
  /** When a partition counts as stalled, over what the pipeline says. */
  readonly stall?: Partial<StallPolicy>;
  /** Interrupts the run: tasks stop and drop what they staged, finished ones stay for the next run. A commit goes on to its end. */
  readonly signal: AbortSignal;
  onEvent(event: RunEvent): void;
}

/**
 * Runs a pipeline here, on the ledger and the store of `home`, until its trigger is served. Errors: `LEASE_HELD`, `FENCED`, and whatever made a
 * batch fail; the batch is then aborted and will be replayed by the next run.
 */
export async function run(options: RunOptions): Promise<void> {
  const { pipeline, home } = options;
  const ledger = await home.openLedger({ create: true });
  const ports = home.ports(pipeline.name, ledger);
  const lock = new OwnerLock(home.ownersFolder, ports.runtime.newId());
  // A promise of the user's that never settles must not end the process as if the run were over.
  const alive = setInterval(() => undefined, 60_000);
  let session: Session | undefined;
  try {
    const open = await OpenPipeline.open(pipeline, ports);
    // A sink that cannot use its options is told before anything is planned.
    const schema = await open.schema();
    await open.newWriter(schema);
    await home.rememberEntry(pipeline.name, options.entry);
    const setup = {
      entry: options.entry,
      home: home.root,
      pipeline: pipeline.name,
      schema: encodeSchema(schema),
      stall: options.stall ?? {},
    };
    session = new Session(options, open, ports, lock, new TaskPool(options.maxConcurrency, setup));
    await session.run();
  } finally {
    await session?.end();
    lock.release();
    ledger.close();
    clearInterval(alive);
  }
}

class Session {
  readonly #options: RunOptions;
  readonly #open: OpenPipeline;
  readonly #ports: Ports;
  readonly #lock: OwnerLock;
  readonly #pool: TaskPool;
  #fence: Fence | undefined;
  #batches = 0;
  #rows = 0;

  constructor(options: RunOptions, open: OpenPipeline, ports: Ports, lock: OwnerLock, pool: TaskPool) {
    this.#options = options;
    this.#open = open;
    this.#ports = ports;
    this.#lock = lock;
    this.#pool = pool;
  }

  async run(): Promise<void> {
    const { trigger, onEvent, pipeline, home, signal } = this.#options;
    onEvent({
      type: "started",
      pipeline: pipeline.name,
      home: home.root,
      trigger: Object.keys(trigger).join(),
    });
    try {
      await this.#serve(trigger);
      if (signal.aborted) await this.#tellInterrupted();
    } finally {
      onEvent({ type: "ended", batches: this.#batches, rows: this.#rows });
    }
  }

  /** Runs batches until the trigger is served, or the run is interrupted. */
  async #serve(trigger: Trigger): Promise<void> {
    const { onEvent, signal } = this.#options;
    // As in Spark: without a reader that fixes what is available now, such a run has one batch.
    const isBounded =
      "availableNow" in trigger &&
      (await this.#unlessStuck(this.#open.prepareForTriggerAvailableNow())) === true;
    const limit = limitOf(triggerKind(trigger), isBounded);
    const interval = "processingTime" in trigger ? parseDuration(trigger.processingTime) : undefined;
    while (!signal.aborted) {
      const startedAt = this.#ports.runtime.now();
      const planned = await this.#unlessStuck(this.#plan(limit));
      if (planned === undefined) break;
      let state: BatchState | undefined;
      if (planned.kind === "idle") {
        const why = planned.targetExists ? ({ targetExists: true } as const) : {};
        onEvent({ type: "idle", ...latestOf(planned), ...why });
      } else if (planned.kind === "paused") await this.#tellPaused(planned);
      else state = await this.#runBatch(planned);
      if (state === "planned") break;
      if (state === "aborted") continue;
      if (interval === undefined) {
        const isServed = planned.kind !== "batch" || "once" in trigger || !isBounded;
        if (isServed) break;
      } else {
        const rest = Math.max(0, startedAt + interval - this.#ports.runtime.now());
        await this.#ports.runtime.sleep(rest, signal).catch(() => undefined);
      }
    }
  }

  /** The result of planning; nothing, where the run is interrupted and a method of the source does not answer in time. */
  async #unlessStuck<T>(planning: Promise<T>): Promise<T | undefined> {
    const { signal } = this.#options;
    const ended = new AbortController();
    const { sleep } = this.#ports.runtime;
    this.#tellIfStalled(ended.signal);
    const interrupted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true, signal: ended.signal });
    });
    const stuck = interrupted
      .then(() => sleep(GRACE_MILLISECONDS, ended.signal))
      .then(
        () => undefined,
        () => undefined,
      );
    try {
      return await Promise.race([planning, stuck]);
    } finally {
      ended.abort();
      // Left behind, and of no effect: the process ends.
      planning.catch(() => undefined);
    }
  }

  /** A source that never answers would else keep the run waiting without a word. */
  #tellIfStalled(ended: AbortSignal): void {
    const { pipeline, stall, onEvent } = this.#options;
    const { after } = stallPolicyOf(pipeline, stall);
    const tell = () => {
      const error = new MillraceError(
        "PLANNING_STALLED",
        `${this.#open.waitsFor ?? "planning"} has not answered for ${after}`,
        {
          where: { pipeline: pipeline.name },
          hint: "Look whether the source answers, and give what its reader waits for a time limit. Raise stallAfter where it is only slow.",
        },
      );
      onEvent({ type: "warning", error: error.toRecord() });
    };
    this.#ports.runtime.sleep(parseDuration(after), ended).then(tell, () => undefined);
  }

  async #plan(limit: ReadLimit | undefined): Promise<PlanResult> {
    const { home } = this.#options;
    const planned = await plan(this.#open, this.#ports, {
      owner: this.#lock.owner,
      leaseMilliseconds: LEASE_MILLISECONDS,
      limit,
      hasEnded: (owner) => hasEnded(home.ownersFolder, owner),
    });
    this.#fence = planned.fence;
    return planned;
  }

  /** Runs one batch to its end, or leaves it `planned` where the run is interrupted before. A batch that this run aborts is an error. */
  async #runBatch(planned: Extract<PlanResult, { kind: "batch" }>): Promise<BatchState> {
    const { maxConcurrency, maxAttempts, signal, onEvent } = this.#options;
    const { batch, run, todo, resumed } = planned;
    const range = {
      batchId: batch.batchId,
      attempt: batch.attempt,
      start: batch.start,
      end: batch.end,
      partitions: batch.tasks,
    };
    onEvent({ type: "planned", ...range, ...latestOf(planned), todo: todo.length, resumed });
    if (planned.warning !== undefined) onEvent({ type: "warning", error: planned.warning.toRecord() });
    const failure = await runTasks(this.#pool, this.#ports, {
      run,
      todo,
      partitions: batch.tasks,
      maxConcurrency,
      maxAttempts,
      signal,
      onEvent,
    });
    if (signal.aborted && failure === undefined && !(await this.#isReady(batch))) return "planned";
    const ended = await finalize(this.#open, this.#ports, {
      run,
      ...(failure === undefined ? {} : { failure: failure.toRecord() }),
    });
    const state = ended.batch.state === "committed" ? "committed" : "aborted";
    const { rows, bytes } = ended.batch.progress ?? { rows: 0, bytes: 0 };
    const milliseconds = (ended.batch.finishedAt ?? batch.plannedAt) - batch.plannedAt;
    onEvent({ type: "batch", ...range, state, rows, bytes, milliseconds });
    const progress = progressOf(ended.batch);
    if (progress !== undefined) onEvent({ type: "batchProgress", progress });
    if (state === "committed") {
      this.#batches++;
      this.#rows += rows;
      if (ended.unacknowledged !== undefined) throw ended.unacknowledged;
      return state;
    }
    // An earlier run decided to abort and got no further; the batch is now free to be replayed.
    if (batch.state === "aborting") return state;
    throw failure ?? ended.failure ?? abortedAs(ended.batch);
  }

  /** True where a batch that was interrupted has all it needs, so that only its end is missing. */
  async #isReady(batch: Batch): Promise<boolean> {
    return batch.state !== "planned" || (await this.#ports.ledger.tasks(batch)).length === batch.tasks;
  }

  /** A run that waits for the pipeline to be resumed keeps nobody from working on it by hand. */
  async #tellPaused({ fence, paused }: Extract<PlanResult, { kind: "paused" }>): Promise<void> {
    this.#options.onEvent({ type: "paused", ...paused });
    await this.#ports.ledger.release(fence);
  }

  async #tellInterrupted(): Promise<void> {
    const head = await this.#ports.ledger.head(this.#options.pipeline.name);
    this.#options.onEvent({
      type: "interrupted",
      ...(head?.openBatchId === undefined ? {} : { openBatchId: head.openBatchId }),
    });
  }

  /** Gives back what the run holds; its own outcome is told already, so nothing here can fail it. */
  async end(): Promise<void> {
    await this.#pool.destroy();
    await this.#open.stop();
    if (this.#fence !== undefined) await this.#ports.ledger.release(this.#fence).catch(() => undefined);
  }
}

function latestOf({ latest }: { readonly latest?: Offset }): { readonly latest?: Offset } {
  return latest === undefined ? {} : { latest };
}

/** The recorded reason, where no error of this process tells it. */
export function abortedAs(batch: Batch): MillraceError {
  const { error, pipeline, batchId, attempt } = batch;
  const where = { pipeline, batchId, attempt };
  return error === undefined
    ? new MillraceError("BATCH_ABORTED", `batch ${batchId} was aborted`, { where })
    : MillraceError.from({ ...error, where: { ...error.where, ...where } });
}
