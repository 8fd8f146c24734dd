import type { Offset } from "../../contract/offset.ts";

/** Progress of a source in one batch, with the field names of Spark's `SourceProgress`. */
export interface SourceProgress {
  /** Name of the data source. */
  readonly description: string;
  readonly startOffset: Offset;
  readonly endOffset: Offset;
  /**
   * The end of all data that existed when the batch was planned; `null` if the reader does not
   * report it.
   */
  readonly latestOffset: Offset | null;
  readonly numInputRows: number;
  /** Rows that were read and left out, because they could not be written. Absent for none. */
  readonly numBadRows?: number;
  readonly inputRowsPerSecond?: number;
  readonly processedRowsPerSecond?: number;
}

/**
 * Progress of one committed batch, with the field names of Spark's `StreamingQueryProgress` in
 * JSON. docs/progress.md explains each field.
 */
export interface StreamingQueryProgress {
  readonly id: string;
  readonly runId: string;
  readonly name: string;
  /** When the run began to plan the batch, in ISO 8601. */
  readonly timestamp: string;
  readonly batchId: number;
  /** Milliseconds from the start of planning to the commit. */
  readonly batchDuration: number;
  readonly numInputRows: number;
  readonly inputRowsPerSecond?: number;
  readonly processedRowsPerSecond?: number;
  readonly durationMs: Readonly<Record<string, number>>;
  readonly sources: readonly SourceProgress[];
  readonly sink: {
    readonly description: string;
    readonly numOutputRows: number;
    /** The write's metrics, by their descriptions. Absent if it has none. */
    readonly metrics?: Readonly<Record<string, string>>;
  };
}

/** Returns rows per second, rounded to three decimal places. */
export function rowsPerSecond(rows: number, milliseconds: number): number {
  return Math.round((rows * 1e6) / Math.max(1, milliseconds)) / 1000;
}
