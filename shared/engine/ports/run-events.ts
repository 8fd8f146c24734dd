import type { ErrorLocation, ErrorRecord } from "../../contract/errors.ts";
import type { JsonValue } from "../../contract/json.ts";
import type { Offset } from "../../contract/offset.ts";
import type { Action, BatchRun, RunningTask, Task } from "./ledger.ts";
import { rowsPerSecond, type StreamingQueryProgress } from "./progress.ts";

/** A task whose rows stand still, for whoever is to look after it. Partition and offsets of more than 1,024 characters of JSON are cut, and are text then. */
export interface StalledTask {
  readonly where: ErrorLocation;
  /** Which of the two does nothing. */
  readonly waitsFor: RunningTask["waitsFor"];
  /** How long rows have not moved. */
  readonly milliseconds: number;
  /** That the source had given before. */
  readonly rows: number;
  readonly bytes: number;
  /** The partition, as the source planned it. */
  readonly value: JsonValue;
  /** Of the batch. */
  readonly start?: JsonValue;
  readonly end?: JsonValue;
  /** True where the task fails because of it. */
  readonly fails: boolean;
  /** All that in one line. */
  readonly message: string;
}

/** What a run tells as it goes. With `--json` each is one line; fields are only ever added. Times are in milliseconds. */
export type RunEvent =
  | {
      readonly type: "started";
      readonly pipeline: string;
      readonly trigger: string;
      /** The folder of a run here. */
      readonly home?: string;
      /** Of a deployed pipeline: its stack, and the execution that runs it. */
      readonly stack?: string;
      readonly execution?: string;
    }
  | {
      readonly type: "planned";
      readonly batchId: number;
      readonly attempt: number;
      readonly start: Offset;
      readonly end: Offset;
      /** The end of all that was there, where the reader reports it (`reportLatestOffset`). */
      readonly latest?: Offset;
      readonly partitions: number;
      /** Partitions that still have to be written. */
      readonly todo: number;
      /** True where an earlier run planned the batch. */
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
      /** At most once a second and partition while it runs, and once when it is written. */
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
      readonly type: "retry";
      readonly delay: number;
      readonly error: ErrorRecord;
      /** The message of the user's own error. */
      readonly cause?: string;
    }
  /** What looks like a mistake of the source or the sink, or a source that does not answer; docs/cli.md lists them. */
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
      /** From the plan of this attempt to its end. */
      readonly milliseconds: number;
    }
  | { readonly type: "batchProgress"; readonly progress: StreamingQueryProgress }
  | {
      readonly type: "idle";
      readonly latest?: Offset;
      /** True where a batch of the mode `ignore` is left out, because its target is there. */
      readonly targetExists?: true;
    }
  | ({ readonly type: "paused" } & Action)
  | { readonly type: "interrupted"; readonly openBatchId?: number }
  | { readonly type: "ended"; readonly batches: number; readonly rows: number };

/** How far a partition is. */
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
