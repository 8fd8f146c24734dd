import type { RecordBatch } from "apache-arrow";
import type { LeftOut } from "../../arrow/left-out.ts";
import type { ErrorLocation } from "../../contract/errors.ts";
import type { StallPolicy } from "../../contract/pipeline-definition.ts";
import type { BatchRun } from "../ports/ledger.ts";
import type { StalledTask } from "../ports/run-events.ts";
import type { RunningTask, TaskKey } from "../ports/tasks.ts";

export interface WriteRequest {
  readonly run: BatchRun;
  /** Index of the partition, from 0. */
  readonly partition: number;
  /** Attempt of the task, from 0. */
  readonly attemptNumber: number;
}

/** Rows and bytes of Arrow data that the sink of a task has received so far. */
export interface TaskProgress {
  readonly rows: number;
  readonly bytes: number;
}

/**
 * What a task returns to its caller. It is small, because the commit message goes to the ledger
 * instead.
 */
export interface TaskResult extends TaskProgress {
  readonly partition: number;
  readonly milliseconds: number;
  /** False if another attempt of the task was recorded before. */
  readonly won: boolean;
  /**
   * True if the writer returned before it had read all rows. The batch is committed without the
   * remaining rows.
   */
  readonly unread?: boolean;
  /** Fields of the rows that the schema lacks. */
  readonly leftOut?: LeftOut;
}

export interface WriteOptions {
  readonly signal: AbortSignal;
  /**
   * Watches the task. Without it stalls are not detected, the ledger gets no progress reports, and
   * the right to commit is not renewed: it ends after 30 s.
   */
  readonly watch?: WatchOptions;
  /**
   * When the time of the task is over, in epoch milliseconds. Absent if nothing limits it. Its
   * right to commit does not hold beyond it.
   */
  readonly commitDeadline?: number | undefined;
  /** Called with each record batch that the sink receives. */
  onProgress?(progress: TaskProgress): void;
  /** Called with each record batch that the sink receives, for tests. */
  onBatch?(batch: RecordBatch): void;
}

/** Settings for watching a running task. */
export interface WatchOptions {
  readonly stall: StallPolicy;
  /** Called every ten seconds. */
  onRunning?(running: RunningTask): void;
  /** Called once per stall, and again only after rows have moved. */
  onStalled?(stalled: StalledTask): void;
}

/** Returns the location of a task, for its errors. */
export function taskLocation({ run, partition, attemptNumber }: WriteRequest): ErrorLocation {
  return { pipeline: run.pipeline, batchId: run.batchId, partition, attempt: run.attempt, attemptNumber };
}

/** Returns the key of the task's record. */
export function taskKey({ run, partition }: WriteRequest): TaskKey {
  return { ...run, partition };
}
