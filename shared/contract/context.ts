import type { BadRowSink, RefusedRowSink } from "./bad-rows.ts";
import type { BatchIdentity } from "./batch-identity.ts";
import type { JsonValue } from "./json.ts";
import type { ObjectStore, StoreAccess } from "./object-store.ts";
import type { Offset } from "./offset.ts";

/** Clock, random numbers and environment variables. Tests replace it. */
export interface Runtime {
  /**
   * The current time in epoch milliseconds, for timestamps. A correction of the system clock can
   * move it in both directions, so do not measure durations with it.
   */
  now(): number;
  /**
   * Whole milliseconds since an arbitrary moment. It never goes back and ignores corrections of the
   * system clock. Use it to measure durations and to compute deadlines within one process.
   */
  monotonic(): number;
  /** Returns a new unique id (a UUID). */
  newId(): string;
  /** Returns a random number from 0 (inclusive) to 1 (exclusive), for example for retry jitter. */
  random(): number;
  /** Resolves after `milliseconds`, or rejects when `signal` aborts. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  /** The environment variables. Secrets are read from here at the moment they are needed. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What the constructor of a data source receives: a `Runtime` and access to stores. */
export interface DataSourceRuntime extends Runtime {
  /**
   * A folder in the pipeline's own store, for data that a source must keep besides its offsets. The
   * source must delete what it no longer needs.
   */
  readonly store: ObjectStore;
  /**
   * Opens a store at another location: a folder (absolute, or relative to the working directory),
   * or a URL that the runner supports, such as `s3://bucket/prefix`. `access` replaces the
   * process's own credentials.
   */
  openStore(location: string, access?: StoreAccess): ObjectStore;
  /** The folder of the home, which all pipelines of this machine share. Absent on AWS. */
  readonly home?: string;
}

/** What every call of a sink receives. */
export interface SinkContext {
  /** Name of the pipeline. */
  readonly pipeline: string;
  /**
   * Random id that is created together with the pipeline's ledger. If the ledger is lost and the
   * pipeline starts over, it gets a new incarnation.
   */
  readonly incarnation: string;
  /** The pipeline's own store. */
  readonly store: ObjectStore;
  /**
   * The store with the table of a sink without a place of its own, if it is not `store`: a backfill
   * writes into the table of its pipeline.
   */
  readonly tableStore?: ObjectStore;
  /**
   * Opens a store at another location: a folder (absolute, or relative to the working directory),
   * or a URL that the runner supports. `access` replaces the process's own credentials.
   */
  openStore(location: string, access?: StoreAccess): ObjectStore;
}

/** What `commit` and `abort` receive about the batch. */
export interface BatchContext extends SinkContext {
  /**
   * Id of the batch: 0, 1, 2 and so on. Not enough to recognize a batch: a ledger that was restored
   * from a backup uses an id again, for other rows. Compare `planId` as well.
   */
  readonly batchId: number;
  /**
   * Random id of the batch's plan, equal in every attempt of the batch. A sink stores it with
   * `incarnation`, `batchId`, `start` and `end`, in one step with the rows, and compares it by
   * `isCommitted`.
   */
  readonly planId: string;
  /** Where the batch starts. */
  readonly start: Offset;
  /** Where the batch ends. */
  readonly end: Offset;
  /**
   * The newest batch of this pipeline that the sink must have before this one. Absent for the first
   * batch.
   */
  readonly follows?: BatchIdentity;
  /**
   * What the sink must have before this batch. `strict`: exactly `follows` as the newest batch.
   * `rewound`: the offset was moved by hand, so the sink may lack `follows`. `independent`: a batch
   * pipeline, whose batches do not continue each other.
   */
  readonly continuity: "strict" | "rewound" | "independent";
  /** Earlier incarnations that this one continues, because `millrace adopt` took over from them. */
  readonly formerIncarnations: readonly string[];
  /** Attempt of the batch, from 1. An aborted batch is tried again under the same id. */
  readonly attempt: number;
  /**
   * True if a `commit` of this attempt was started, by this run or an earlier one. That commit may
   * still take effect, so `abort` must not delete anything that it could reference.
   */
  readonly commitTried: boolean;
  /**
   * The value that `commit` returned for the pipeline's last committed batch, for example a table
   * version to continue from. It is only a hint: after a crash it can be absent.
   */
  readonly lastCommit?: JsonValue;
  /**
   * When this attempt was planned, in epoch milliseconds. It is the same in every call for this
   * attempt.
   */
  readonly plannedAt: number;
  /**
   * Returns what takes the rows that `commit` leaves out because the target refuses them. Each try
   * of a commit needs its own. Absent if such a row fails the batch, or if the writer has no
   * `refusedRows`.
   */
  newRefusedRows?(): RefusedRowSink;
}

/** What `write` and `read` receive about their task. (Spark: `TaskContext`.) */
export interface TaskContext extends SinkContext {
  /** Id of the batch: 0, 1, 2 and so on. */
  readonly batchId: number;
  /** Random id of the batch's plan, equal in every attempt of the batch. */
  readonly planId: string;
  /** Attempt of the batch, from 1. */
  readonly attempt: number;
  /** Index of the partition in its batch, from 0. */
  readonly partitionId: number;
  /** Attempt of this task, from 0. Two attempts of one task may run at the same time. */
  readonly attemptNumber: number;
  /**
   * Aborts when the task must stop because the run was interrupted, another task failed for good,
   * or this task stalled.
   */
  readonly signal: AbortSignal;
  /**
   * Tells Millrace that so many rows had fields with these names, which the schema lacks, so that
   * the reader left them out. A warning of the batch names them. Not needed for rows that are
   * objects.
   */
  leftOut?(names: readonly string[], rows: number): void;
  /**
   * Takes rows that cannot be written, if the pipeline lets a task leave them out. A reader that
   * yields rows need not use it: it yields a `BadRow`. A writer gives it what the sink would
   * refuse, and does not stage it.
   */
  readonly badRows?: BadRowSink;
}
