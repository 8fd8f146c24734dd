import { LeftOutFields } from "../shared/arrow/left-out.ts";
import type { MillraceError } from "../shared/contract/errors.ts";
import type { BatchRun } from "../shared/engine/ports/ledger.ts";
import { partitionEvent, type RunEvent } from "../shared/engine/ports/run-events.ts";
import type { Ports } from "../shared/engine/ports/runtime.ts";
import { leftOutWarning } from "../shared/engine/write/task.ts";
import type { TaskProgress, TaskResult } from "../shared/engine/write/task-request.ts";

/** Minimum time between two events of a running partition. */
const PARTITION_EVENT_MILLISECONDS = 1000;

/** A running attempt of a task. */
export interface RunningAttempt {
  readonly partition: number;
  readonly attemptNumber: number;
  /** In the time of `Runtime.monotonic`. */
  readonly startedAt: number;
  /** When its last event was emitted. */
  lastEventAt: number;
  progress: TaskProgress;
}

/** The batch whose progress is counted. */
export interface CountedBatch {
  readonly run: BatchRun;
  readonly todo: readonly number[];
  readonly partitions: number;
  onEvent(event: RunEvent): void;
}

/** Sums up the progress of a batch's tasks and emits events. */
export class BatchProgressCounter {
  readonly #batch: CountedBatch;
  readonly #monotonic: () => number;
  readonly #running = new Map<number, Set<RunningAttempt>>();
  readonly #counted = new Map<number, TaskProgress>();
  readonly #finished = new Set<number>();
  #rows = 0;
  #bytes = 0;
  #hasUnread = false;
  readonly #leftOut = new LeftOutFields();

  constructor(batch: CountedBatch, { runtime }: Ports) {
    this.#batch = batch;
    this.#monotonic = () => runtime.monotonic();
  }

  /**
   * Returns true the first time only, so that a batch with many such partitions causes one warning.
   */
  isFirstUnread(): boolean {
    const isFirst = !this.#hasUnread;
    this.#hasUnread = true;
    return isFirst;
  }

  /** Returns the warning for fields that the schema lacks, without those that were `told`. */
  leftOutWarning(told: Set<string>): MillraceError | undefined {
    const { found } = this.#leftOut;
    const isNew = found?.names.some((name) => !told.has(name)) === true;
    for (const name of found?.names ?? []) told.add(name);
    return found !== undefined && isNew ? leftOutWarning(this.#batch.run, found) : undefined;
  }

  begin(partition: number, attemptNumber: number): RunningAttempt {
    const now = this.#monotonic();
    const progress = { rows: 0, bytes: 0 };
    const attempt = { partition, attemptNumber, startedAt: now, lastEventAt: now, progress };
    const beside = this.#running.get(partition);
    if (beside === undefined) this.#running.set(partition, new Set([attempt]));
    else beside.add(attempt);
    return attempt;
  }

  update(attempt: RunningAttempt, progress: TaskProgress): void {
    if (this.#finished.has(attempt.partition)) return;
    attempt.progress = progress;
    this.#count(attempt.partition);
    const now = this.#monotonic();
    if (now - attempt.lastEventAt < PARTITION_EVENT_MILLISECONDS) return;
    attempt.lastEventAt = now;
    this.#emitPartition("running", attempt, { ...progress, milliseconds: now - attempt.startedAt });
  }

  /** Notes the end of a task. Another attempt of it is not counted from then on. */
  finish(attempt: RunningAttempt, result: TaskResult): void {
    this.#finished.add(attempt.partition);
    if (result.leftOut !== undefined) this.#leftOut.add(result.leftOut.names, result.leftOut.rows);
    this.#running.set(attempt.partition, new Set([attempt]));
    attempt.progress = result;
    this.#emitPartition("written", attempt, result);
    this.#count(attempt.partition);
  }

  /** Removes the attempt's rows and bytes from the sums. */
  drop(attempt: RunningAttempt): void {
    if (this.#finished.has(attempt.partition)) return;
    this.#running.get(attempt.partition)?.delete(attempt);
    this.#count(attempt.partition);
  }

  /** Counts a partition once, with the attempt that has read most. */
  #count(partition: number): void {
    const attempts = [...(this.#running.get(partition) ?? [])].map(({ progress }) => progress);
    const most = attempts.reduce((a, b) => (b.rows > a.rows ? b : a), { rows: 0, bytes: 0 });
    const before = this.#counted.get(partition) ?? { rows: 0, bytes: 0 };
    this.#counted.set(partition, most);
    this.#rows += most.rows - before.rows;
    this.#bytes += most.bytes - before.bytes;
    const { run, todo, partitions, onEvent } = this.#batch;
    onEvent({
      type: "progress",
      batchId: run.batchId,
      partitionsDone: partitions - todo.length + this.#finished.size,
      partitions,
      rows: this.#rows,
      bytes: this.#bytes,
    });
  }

  #emitPartition(
    state: "running" | "written",
    { partition, attemptNumber }: RunningAttempt,
    { rows, bytes, milliseconds }: TaskProgress & { readonly milliseconds: number },
  ): void {
    const { run, onEvent } = this.#batch;
    onEvent(partitionEvent(run, state, { partition, attemptNumber, rows, bytes, milliseconds }));
  }
}
