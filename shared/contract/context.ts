import type { JsonValue } from "./json.ts";
import type { ObjectStore } from "./object-store.ts";

/** Clock, chance and environment. */
export interface Runtime {
  /** Epoch milliseconds. */
  now(): number;
  /** A fresh unique id (a UUID). */
  newId(): string;
  /** From 0 (inclusive) to 1 (exclusive), for jitter. */
  random(): number;
  /** Resolves after `milliseconds`, or rejects when `signal` aborts. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  /** The environment's variables; secrets are read from here, when they are needed. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What a data source may know of its surroundings, passed to its constructor. */
export interface DataSourceRuntime extends Runtime {
  /**
   * A folder of the pipeline's own store, for what a source must keep beside its offsets. It clears
   * up after itself.
   */
  readonly store: ObjectStore;
  /**
   * A store elsewhere: a folder, absolute or relative to the working directory, or a URL that the
   * runner knows, such as `s3://bucket/prefix`.
   */
  openStore(location: string): ObjectStore;
}

/** What a sink is told wherever it is called. */
export interface SinkContext {
  /** Its name. */
  readonly pipeline: string;
  /**
   * Random id made with the pipeline's ledger: a pipeline that starts again from nothing has
   * another one.
   */
  readonly incarnation: string;
  /** The pipeline's own store. */
  readonly store: ObjectStore;
  /**
   * A store elsewhere: a folder, absolute or relative to the working directory, or a URL that the
   * runner knows.
   */
  openStore(location: string): ObjectStore;
}

/** One batch, as `commit` and `abort` see it. */
export interface BatchContext extends SinkContext {
  /** From 0, one more each batch; never used again in an incarnation. */
  readonly batchId: number;
  /** Attempt of the batch, from 1: a batch that was aborted is tried again under the same id. */
  readonly attempt: number;
  /**
   * True if a `commit` of this attempt was begun, by this run or an earlier one, and may still
   * take effect: `abort` must then delete nothing that this commit could name.
   */
  readonly commitTried: boolean;
  /**
   * What `commit` gave for the pipeline's last committed batch, if it gave anything: a place to go
   * on from, such as a version. Only a hint: it is absent after a crash.
   */
  readonly lastCommit?: JsonValue;
  /** When the batch was planned, epoch milliseconds: the same in each call for this attempt. */
  readonly plannedAt: number;
}

/** One writer task. (Spark: `TaskContext`.) */
export interface TaskContext extends SinkContext {
  /** From 0, one more each batch. */
  readonly batchId: number;
  /** Attempt of the batch, from 1. */
  readonly attempt: number;
  /** Index of the partition in its batch, from 0. */
  readonly partitionId: number;
  /** Attempt of this task, from 0. Two attempts of one task may run at once. */
  readonly attemptNumber: number;
  /** Aborts when the task should stop: the run was interrupted, or another task failed for good. */
  readonly signal: AbortSignal;
}
