import type { ErrorLocation, ErrorRecord } from "../../contract/errors.ts";
import type { JsonValue } from "../../contract/json.ts";
import type { Offset } from "../../contract/offset.ts";
import type { BatchRun } from "./ledger.ts";
import type { Pause } from "./manual-operations.ts";
import { rowsPerSecond, type StreamingQueryProgress } from "./progress.ts";
import type { RunningTask, Task } from "./tasks.ts";

/**
 * A task whose rows do not move, for log messages and warnings. A partition or an offset of more
 * than 1,024 characters of JSON is cut, and is then a string.
 */
export interface StalledTask {
  readonly where: ErrorLocation;
  /** Whether the task is waiting for the source or for the sink. */
  readonly waitsFor: RunningTask["waitsFor"];
  /** Milliseconds since a row last moved. */
  readonly milliseconds: number;
  /** Number of rows that the source delivered before the stall. */
  readonly rows: number;
  readonly bytes: number;
  /** The partition, as the source planned it. */
  readonly value: JsonValue;
  /** Start offset of the batch. */
  readonly start?: JsonValue;
  readonly end?: JsonValue;
  /** True if the task fails because of the stall. */
  readonly fails: boolean;
  /** All of the above in one line of text. */
  readonly message: string;
}

/**
 * An event of a run. With `--json` each event is printed as one line; later versions only add
 * fields. Times are in milliseconds.
 */
export type RunEvent =
  | {
      readonly type: "started";
      readonly pipeline: string;
      readonly trigger: string;
      /** Folder of the ledger and the store, if the pipeline runs on this machine. */
      readonly home?: string;
      /** Stack and execution, if the pipeline is deployed. */
      readonly stack?: string;
      readonly execution?: string;
    }
  | {
      /** The tasks of a batch have exchanged their rows, and the next stage begins. */
      readonly type: "exchanged";
      readonly batchId: number;
      readonly attempt: number;
      /** Number of partitions of the next stage. */
      readonly partitions: number;
      /** Number of partitions that still have to be written. */
      readonly todo: number;
    }
  | {
      readonly type: "planned";
      readonly batchId: number;
      readonly attempt: number;
      readonly start: Offset;
      readonly end: Offset;
      /** The end of all data that existed, if the reader implements `reportLatestOffset`. */
      readonly latest?: Offset;
      readonly partitions: number;
      /** Number of partitions that still have to be written. */
      readonly todo: number;
      /** True if the partitions are exchanged before they are written. */
      readonly exchanges?: true;
      /** True if an earlier run planned the batch. */
      readonly resumed: boolean;
    }
  | {
      readonly type: "progress";
      readonly batchId: number;
      readonly partitionsDone: number;
      readonly partitions: number;
      readonly rows: number;
      readonly bytes: number;
    }
  | {
      /**
       * Sent at most once per second while the partition is running, and once when it is written.
       */
      readonly type: "partition";
      readonly batchId: number;
      readonly attempt: number;
      readonly partition: number;
      readonly attemptNumber: number;
      readonly state: "running" | "written";
      readonly rows: number;
      readonly bytes: number;
      readonly milliseconds: number;
      readonly rowsPerSecond: number;
    }
  | ({ readonly type: "stalled" } & StalledTask)
  | {
      /** A slow task gets a second attempt beside the first. */
      readonly type: "speculation";
      readonly batchId: number;
      readonly attempt: number;
      readonly partition: number;
      /** Number of the attempt that begins. */
      readonly attemptNumber: number;
      /** How long the first attempt has run. */
      readonly milliseconds: number;
      /** After how long a task of this batch counts as slow. */
      readonly slowAfter: number;
    }
  | {
      readonly type: "retry";
      readonly delay: number;
      /** Number of the attempt that runs already. Present if the failed attempt was not alone. */
      readonly goesOn?: number;
      readonly error: ErrorRecord;
      /** Message of the user's own error. */
      readonly cause?: string;
      /** The value that did not fit. */
      readonly found?: string;
    }
  /**
   * A probable mistake of the source or the sink, or a source that does not answer. docs/cli.md
   * lists the warnings.
   */
  | { readonly type: "warning"; readonly error: ErrorRecord }
  | {
      readonly type: "batch";
      readonly batchId: number;
      readonly attempt: number;
      readonly state: "committed" | "aborted";
      readonly start: Offset;
      readonly end: Offset;
      readonly partitions: number;
      readonly rows: number;
      readonly bytes: number;
      /** Rows that were left out because they could not be written. Absent if there are none. */
      readonly bad?: { readonly rows: number; readonly isKept: boolean };
      /** From the plan of this attempt to its end. */
      readonly milliseconds: number;
      /** The write's metrics, by their descriptions. Absent if it has none. */
      readonly metrics?: Readonly<Record<string, string>>;
    }
  | { readonly type: "batchProgress"; readonly progress: StreamingQueryProgress }
  | {
      readonly type: "idle";
      readonly latest?: Offset;
      /** True if the batch was skipped because its target exists and the save mode is `ignore`. */
      readonly targetExists?: true;
    }
  | {
      /** The run goes on after a failure that may pass. */
      readonly type: "waiting";
      readonly error: ErrorRecord;
      /** Message of the user's own error. */
      readonly cause?: string;
      /** Number of failures in a row, from 1. */
      readonly failures: number;
      /** When the run tries again, in epoch milliseconds. */
      readonly at: number;
    }
  /** `error` is present if a batch of this run has just paused the pipeline. */
  | ({ readonly type: "paused"; readonly error?: ErrorRecord; readonly cause?: string } & Pause)
  | { readonly type: "interrupted"; readonly openBatchId?: number }
  | { readonly type: "ended"; readonly batches: number; readonly rows: number };

/** Progress figures of a partition. */
export type PartitionFigures = Pick<Task, "partition" | "attemptNumber" | "rows" | "bytes" | "milliseconds">;

export function partitionEvent(
  { batchId, attempt }: Pick<BatchRun, "batchId" | "attempt">,
  state: "running" | "written",
  { partition, attemptNumber, rows, bytes, milliseconds }: PartitionFigures,
): RunEvent {
  return {
    type: "partition",
    batchId,
    attempt,
    partition,
    attemptNumber,
    state,
    rows,
    bytes,
    milliseconds,
    rowsPerSecond: rowsPerSecond(rows, milliseconds),
  };
}
