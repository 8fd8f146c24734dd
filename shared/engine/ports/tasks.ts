import type { RefusedRows } from "../../contract/bad-rows.ts";
import type { JsonValue } from "../../contract/json.ts";

export interface TaskKey {
  readonly pipeline: string;
  readonly incarnation: string;
  readonly batchId: number;
  readonly attempt: number;
  /** The stage of a task that exchanges rows, from 0. Absent for a task that writes. */
  readonly stage?: number;
  readonly partition: number;
}

/** The attempt of a task that may commit: no other one may, until this one failed or expired. */
export interface CommitClaim {
  /** Unique id of the task attempt. */
  readonly writerId: string;
  /** Number of the task attempt. */
  readonly attemptNumber: number;
  /** Epoch of its run. A claim of an earlier run does not hold. */
  readonly epoch: number;
  /** When the time of the attempt is over, in epoch milliseconds. The claim does not hold then. */
  readonly expiresAt: number;
}

/** The answer to an attempt that asks whether it may commit. */
export type CommitAuthorization =
  | { readonly granted: true }
  /** Another attempt is recorded, so there is nothing left to commit. */
  | { readonly granted: false; readonly task: Task }
  /** Another attempt commits. */
  | { readonly granted: false; readonly holder: CommitClaim };

/** The rows of a task that could not be written. */
export type TaskBadRows = RefusedRows;

/** A finished task. The first one that is recorded under a key stays forever. */
export interface Task {
  readonly partition: number;
  /** The commit message, or `null` if it is stored under `messageKey`. */
  readonly message: JsonValue;
  /** Key of a large commit message in the pipeline's store. */
  readonly messageKey?: string;
  /** Size of that file. Absent in records of older versions. */
  readonly messageBytes?: number;
  /** Rows that the sink received and did not leave out. */
  readonly rows: number;
  /** Rows that the source delivered. Absent if they went to the sink as they were. */
  readonly rowsRead?: number;
  readonly bytes: number;
  readonly milliseconds: number;
  /** Number of the task attempt that was recorded. */
  readonly attemptNumber: number;
  /**
   * Unique id of the task attempt that was recorded, so that a writer recognises its own record.
   */
  readonly writerId: string;
  /** The plan of the batch. Absent in records of older versions, and for batches of theirs. */
  readonly planId?: string;
  readonly recordedAt: number;
  /** Values of the write's metrics, by their names. */
  readonly metrics?: Readonly<Record<string, number>>;
  /** Numbers of rows that an engine's writer counted, by name, for the summary of the write. */
  readonly counts?: Readonly<Record<string, number>>;
  /** Rows that the pipeline let the task leave out. Absent if there are none. */
  readonly bad?: TaskBadRows;
}

/**
 * The last progress report of a task that has been running for more than ten seconds. All times are
 * epoch milliseconds.
 */
export interface RunningTask {
  readonly partition: number;
  readonly attemptNumber: number;
  readonly startedAt: number;
  /** Rows that the source has delivered. */
  readonly rows: number;
  /** Bytes of Arrow data that the sink has received. */
  readonly bytes: number;
  /** Whether the task is waiting for the source or for the sink. */
  readonly waitsFor: "source" | "sink";
  /** When the last row moved, accurate to one second. */
  readonly progressedAt: number;
  readonly reportedAt: number;
}
