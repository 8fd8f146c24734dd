import type { Runtime } from "../../shared/contract/context.ts";
import type { Batch, Head, Ledger, Task } from "../../shared/engine/ports/ledger.ts";
import { partitionEvent, type RunEvent } from "../../shared/engine/ports/run-events.ts";
import { progressOf } from "../../shared/engine/progress.ts";
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
  readonly runtime: Pick<Runtime, "now" | "sleep">;
  onEvent(event: RunEvent): void;
}

/** The result of following a run. */
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
  /** The batch that is being followed. */
  #batchId: number;
  /** Batches with lower ids were planned before the run. */
  readonly #firstNewBatchId: number;
  /**
   * The attempt for which a `planned` event, and the attempt for which a `batch` event, was emitted
   * last.
   */
  #told = "";
  #ended = "";
  #tasksDueAt = 0;
  #runningDueAt = 0;
  /** Partitions for which a `written` event was emitted. */
  readonly #written = new Set<number>();
  #batches = 0;
  #rows = 0;
  /** The batch as last read, unless it is committed. */
  #open: Batch | undefined;

  private constructor(options: FollowOptions, head: Head | undefined, open: Batch | undefined) {
    this.epoch = head?.epoch ?? 0;
    this.#options = options;
    this.#firstNewBatchId = head?.nextBatchId ?? 0;
    this.#batchId = head?.openBatchId ?? this.#firstNewBatchId;
    if (open?.state === "aborted") this.#ended = attemptOf(open);
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
        await this.#look();
        if (state.status === "succeeded") await this.#tellWhy(state);
        if (state.status !== "running" || signal.aborted) return { state, open: this.#open };
        await runtime.sleep(POLL_MILLISECONDS, signal).catch(() => undefined);
      }
    } finally {
      onEvent({ type: "ended", batches: this.#batches, rows: this.#rows });
    }
  }

  async #look(): Promise<void> {
    const { ledger, pipeline } = this.#options;
    for (;;) {
      const batch = await ledger.batch(pipeline, this.#batchId);
      if (batch === undefined || this.#ended === attemptOf(batch)) return;
      this.#open = batch;
      if (this.#told !== attemptOf(batch)) await this.#tellPlanned(batch);
      if (batch.state === "committed" || batch.state === "aborted") await this.#tellEnded(batch, batch.state);
      else await this.#tellProgress(batch);
      if (batch.state !== "committed") return;
      this.#open = undefined;
      this.#batchId++;
    }
  }

  async #tellPlanned(batch: Batch): Promise<void> {
    this.#told = attemptOf(batch);
    this.#tasksDueAt = 0;
    this.#runningDueAt = this.#options.runtime.now() + RUNNING_MILLISECONDS;
    this.#written.clear();
    const resumed = batch.batchId < this.#firstNewBatchId;
    const done = resumed && batch.state === "planned" ? await this.#options.ledger.tasks(batch) : [];
    for (const { partition } of done) this.#written.add(partition);
    const latest = batch.latest === undefined ? {} : { latest: batch.latest };
    const todo = batch.tasks - done.length;
    this.#options.onEvent({ type: "planned", ...rangeOf(batch), ...latest, todo, resumed });
  }

  async #tellEnded(batch: Batch, state: "committed" | "aborted"): Promise<void> {
    this.#ended = attemptOf(batch);
    this.#tellWritten(batch, await this.#options.ledger.tasks(batch));
    const { rows, bytes } = batch.progress ?? { rows: 0, bytes: 0 };
    const milliseconds = (batch.finishedAt ?? batch.plannedAt) - batch.plannedAt;
    this.#options.onEvent({ type: "batch", ...rangeOf(batch), state, rows, bytes, milliseconds });
    const progress = progressOf(batch);
    if (progress !== undefined) this.#options.onEvent({ type: "batchProgress", progress });
    if (state === "aborted") return;
    this.#batches++;
    this.#rows += rows;
  }

  async #tellProgress(batch: Batch): Promise<void> {
    const { ledger, runtime, onEvent } = this.#options;
    if (runtime.now() < this.#tasksDueAt) return;
    const tasks = await ledger.tasks(batch);
    const pause = Math.min(LONGEST_MILLISECONDS, batch.tasks * MILLISECONDS_PER_PARTITION);
    this.#tasksDueAt = runtime.now() + pause;
    await this.#tellPartitions(batch, tasks);
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
  async #tellPartitions(batch: Batch, tasks: readonly Task[]): Promise<void> {
    const { ledger, runtime, onEvent } = this.#options;
    this.#tellWritten(batch, tasks);
    if (runtime.now() < this.#runningDueAt) return;
    this.#runningDueAt = runtime.now() + RUNNING_MILLISECONDS;
    for (const { reportedAt, startedAt, ...task } of await runningOf(ledger, batch, tasks))
      onEvent(partitionEvent(batch, "running", { ...task, milliseconds: reportedAt - startedAt }));
  }

  #tellWritten(batch: Batch, tasks: readonly Task[]): void {
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
  async #tellWhy({ isRefused }: ExecutionState): Promise<void> {
    const { ledger, pipeline, onEvent } = this.#options;
    const paused = (await ledger.head(pipeline))?.paused;
    if (paused !== undefined) onEvent({ type: "paused", ...paused });
    else if (this.#told === "" && !isRefused) onEvent({ type: "idle" });
  }
}

function attemptOf({ batchId, attempt }: Batch): string {
  return `${batchId}/${attempt}`;
}

function rangeOf({ batchId, attempt, start, end, tasks }: Batch) {
  return { batchId, attempt, start, end, partitions: tasks };
}
