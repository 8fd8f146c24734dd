import type { ErrorRecord } from "../../contract/errors.ts";
import type { Offset } from "../../contract/offset.ts";

/** Why the last run could not plan a batch. */
export interface PlanFailure {
  /** When the run failed, in epoch milliseconds. */
  readonly at: number;
  readonly error: ErrorRecord;
}

/** What a run that plans no batch leaves in the head when it releases the lease. */
export interface Unplanned {
  /** When the run found no new data, in epoch milliseconds. */
  readonly idleAt?: number;
  readonly failure?: PlanFailure;
}

/** A committed batch for which the source's `commit(end)` has not succeeded yet. */
export interface Unacknowledged {
  readonly batchId: number;
  readonly end: Offset;
}

/** What a run measured while it planned or resumed a batch attempt. */
export interface Planning {
  /** Id of the run. It is the id of the lease's owner. */
  readonly runId: string;
  /** When the run began to plan, in epoch milliseconds. */
  readonly startedAt: number;
  /** When planning ended and the tasks could start, in epoch milliseconds. */
  readonly endedAt: number;
  /**
   * Milliseconds since the previous batch was planned. Absent if the batch was planned by an
   * earlier run.
   */
  readonly sincePrevious?: number;
  /**
   * Milliseconds per planning step, under the names that Spark uses. Empty if the batch was planned
   * by an earlier run.
   */
  readonly durationMs: Readonly<Record<string, number>>;
}

/**
 * The measurements in a committed batch's progress record. The other figures come from the batch
 * itself.
 */
export interface TriggerProgress extends Omit<Planning, "endedAt"> {
  /** Names of the source's and the sink's data source class. */
  readonly source: string;
  readonly sink: string;
}

/** Rows of a batch that could not be written. */
export interface BadRows {
  readonly rows: number;
  /** Key of the file that lists the files of quarantined rows. Absent if the rows were dropped. */
  readonly key?: string;
}

/** Figures of a batch attempt that has ended. */
export interface BatchProgress {
  /** Rows that the sink received. */
  readonly rows: number;
  /** Rows that the source delivered. Absent if they went to the sink as they were. */
  readonly rowsRead?: number;
  /** Bytes of Arrow data that the writer received, before any encoding. */
  readonly bytes: number;
  /** Rows that were left out, because they could not be written. Absent if there are none. */
  readonly bad?: BadRows;
  /** The write's metrics as people see them, by their descriptions. */
  readonly metrics?: Readonly<Record<string, string>>;
  /** Figures of the run's trigger; absent unless the attempt was committed. */
  readonly trigger?: TriggerProgress;
}
