import type { Runtime } from "../../shared/contract/context.ts";
import { optional } from "../../shared/contract/optional.ts";
import type { Batch, Head, Ledger } from "../../shared/engine/ports/ledger.ts";
import type { BatchProgress } from "../../shared/engine/ports/records.ts";
import { partitionEvent, type RunEvent } from "../../shared/engine/ports/run-events.ts";
import { stageOf, stageTasksOf } from "../../shared/engine/ports/stages.ts";
import type { Task } from "../../shared/engine/ports/tasks.ts";
import { elapsedBetween, progressOf } from "../../shared/engine/progress.ts";
import { runningOf } from "../render/partition.ts";
import type { ExecutionState } from "./execution.ts";

const POLL_MILLISECONDS = 1000;
/**
 * Milliseconds between two polls per partition. Each poll reads all tasks, so a batch with many
 * partitions is polled less often.
 */
const MILLISECONDS_PER_PARTITION = 10;
const LONGEST_MILLISECONDS = 60_000;
/** The interval at which running tasks report their progress. */
const RUNNING_MILLISECONDS = 10_000;

export interface FollowOptions {
  readonly ledger: Ledger;
  readonly pipeline: string;
  readonly runtime: Pick<Runtime, "monotonic" | "sleep">;
  onEvent(event: RunEvent): void;
}

/**
 * The state of a run's execution when following has ended, and the batch that the run left open.
 */
export interface Followed {
  readonly state: ExecutionState;
  /** The batch that the run left open, if any. */
  readonly open: Batch | undefined;
}

/** Follows a deployed run by reading its ledger, and emits its events. */
export class Follower {
  /** The pipeline's epoch before the run started. */
  readonly epoch: number;
  readonly #options: FollowOptions;
  /** Id of the batch that is being followed. */
  #batchId: number;
  /** Batches with lower ids were planned before the run. */
  readonly #firstNewBatchId: number;
  /**
   * The attempt for which a `planned` event, and the attempt for which a `batch` event, was emitted
   * last.
   */
  #plannedAttempt = "";
  #endedAttempt = "";
  /** In the time of `Runtime.monotonic`. */
  #tasksDueAt = 0;
  #runningDueAt = 0;
  /** Partitions for which a `written` event was emitted. */
  readonly #written = new Set<number>();
  #batches = 0;
  #rows = 0;
  /** The batch as last read, unless it is committed. */
  #open: Batch | undefined;

  #stage: number | undefined;

  private constructor(options: FollowOptions, head: Head | undefined, open: Batch | undefined) {
    this.epoch = head?.epoch ?? 0;
    this.#options = options;
    this.#firstNewBatchId = head?.nextBatchId ?? 0;
    this.#batchId = head?.openBatchId ?? this.#firstNewBatchId;
    if (open?.state === "aborted") this.#endedAttempt = attemptOf(open);
  }

  /** Creates a follower. Call it before the run starts. */
  static async begin(options: FollowOptions): Promise<Follower> {
    const { ledger, pipeline } = options;
    const head = await ledger.head(pipeline);
    const open = head?.openBatchId === undefined ? undefined : await ledger.batch(pipeline, head.openBatchId);
    return new Follower(options, head, open);
  }

  /**
   * Follows the run until it ends or `signal` aborts. `observe` is called before each read of the
   * ledger, so that the last read sees all changes.
   */
  async follow(observe: () => Promise<ExecutionState>, signal: AbortSignal): Promise<Followed> {
    const { runtime, onEvent } = this.#options;
    try {
      for (;;) {
        const state = await observe();
        await this.#poll();
        if (state.status === "succeeded") await this.#emitReason(state);
        if (state.status !== "running" || signal.aborted) return { state, open: this.#open };
        await runtime.sleep(POLL_MILLISECONDS, signal).catch(() => undefined);
      }
    } finally {
      onEvent({ type: "ended", batches: this.#batches, rows: this.#rows });
    }
  }

  async #poll(): Promise<void> {
    const { ledger, pipeline } = this.#options;
    for (;;) {
      const batch = await ledger.batch(pipeline, this.#batchId);
      if (batch === undefined || this.#endedAttempt === attemptOf(batch)) return;
      this.#open = batch;
      if (this.#plannedAttempt !== attemptOf(batch)) await this.#emitPlanned(batch);
      else if (this.#stage !== stageOf(batch).stage) this.#emitExchanged(batch);
      if (batch.state === "committed" || batch.state === "aborted") await this.#emitEnded(batch, batch.state);
      else await this.#emitProgress(batch);
      if (batch.state !== "committed") return;
      this.#open = undefined;
      this.#batchId++;
    }
  }

  async #emitPlanned(batch: Batch): Promise<void> {
    this.#plannedAttempt = attemptOf(batch);
    this.#tasksDueAt = 0;
    this.#runningDueAt = this.#options.runtime.monotonic() + RUNNING_MILLISECONDS;
    this.#written.clear();
    this.#stage = stageOf(batch).stage;
    const resumed = batch.batchId < this.#firstNewBatchId;
    const done =
      resumed && batch.state === "planned" ? await this.#options.ledger.tasks(stageTasksOf(batch)) : [];
    for (const { partition } of done) this.#written.add(partition);
    const latest = batch.latest === undefined ? {} : { latest: batch.latest };
    const todo = batch.tasks - done.length;
    this.#options.onEvent({
      type: "planned",
      ...rangeOf(batch),
      ...latest,
      todo,
      ...(this.#stage === undefined ? {} : { exchanges: true as const }),
      resumed,
    });
  }

  #emitExchanged(batch: Batch): void {
    this.#stage = stageOf(batch).stage;
    this.#written.clear();
    const { batchId, attempt, tasks: partitions } = batch;
    this.#options.onEvent({ type: "exchanged", batchId, attempt, partitions, todo: partitions });
  }

  async #emitEnded(batch: Batch, state: "committed" | "aborted"): Promise<void> {
    this.#endedAttempt = attemptOf(batch);
    this.#emitWritten(batch, await this.#options.ledger.tasks(batch));
    const { rows, bytes, bad: left }: BatchProgress = batch.progress ?? { rows: 0, bytes: 0 };
    const bad = left && { rows: left.rows, isKept: left.key !== undefined };
    const milliseconds = elapsedBetween(batch.plannedAt, batch.finishedAt ?? batch.plannedAt);
    const figures = { rows, bytes, ...optional("bad", bad), milliseconds };
    this.#options.onEvent({ type: "batch", ...rangeOf(batch), state, ...figures });
    const progress = progressOf(batch);
    if (progress !== undefined) this.#options.onEvent({ type: "batchProgress", progress });
    if (state === "aborted") return;
    this.#batches++;
    this.#rows += rows;
  }

  async #emitProgress(batch: Batch): Promise<void> {
    const { ledger, runtime, onEvent } = this.#options;
    if (runtime.monotonic() < this.#tasksDueAt) return;
    const tasks = await ledger.tasks(stageTasksOf(batch));
    const pause = Math.min(LONGEST_MILLISECONDS, batch.tasks * MILLISECONDS_PER_PARTITION);
    this.#tasksDueAt = runtime.monotonic() + pause;
    await this.#emitPartitions(batch, tasks);
    onEvent({
      type: "progress",
      batchId: batch.batchId,
      partitionsDone: tasks.length,
      partitions: batch.tasks,
      rows: tasks.reduce((sum, task) => sum + task.rows, 0),
      bytes: tasks.reduce((sum, task) => sum + task.bytes, 0),
    });
  }

  /**
   * Reports the tasks that ended since the last poll and, every ten seconds, the progress of
   * running tasks.
   */
  async #emitPartitions(batch: Batch, tasks: readonly Task[]): Promise<void> {
    const { ledger, runtime, onEvent } = this.#options;
    this.#emitWritten(batch, tasks);
    if (runtime.monotonic() < this.#runningDueAt) return;
    this.#runningDueAt = runtime.monotonic() + RUNNING_MILLISECONDS;
    for (const { reportedAt, startedAt, ...task } of await runningOf(ledger, stageTasksOf(batch), tasks))
      onEvent(partitionEvent(batch, "running", { ...task, milliseconds: reportedAt - startedAt }));
  }

  #emitWritten(batch: Batch, tasks: readonly Task[]): void {
    for (const task of tasks) {
      if (this.#written.has(task.partition)) continue;
      this.#written.add(task.partition);
      this.#options.onEvent(partitionEvent(batch, "written", task));
    }
  }

  /**
   * Emits an event that says why the run planned no more batches: the pipeline is paused or there
   * is no new data.
   */
  async #emitReason({ isRefused }: ExecutionState): Promise<void> {
    const { ledger, pipeline, onEvent } = this.#options;
    const paused = (await ledger.head(pipeline))?.paused;
    if (paused !== undefined) onEvent({ type: "paused", ...paused });
    else if (this.#plannedAttempt === "" && !isRefused) onEvent({ type: "idle" });
  }
}

function attemptOf({ batchId, attempt }: Batch): string {
  return `${batchId}/${attempt}`;
}

function rangeOf({ batchId, attempt, start, end, tasks }: Batch) {
  return { batchId, attempt, start, end, partitions: tasks };
}
