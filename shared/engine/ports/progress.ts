import type { Offset } from "../../contract/offset.ts";

/** What there is to tell of a source of one batch, by the names of Spark's `SourceProgress`. */
export interface SourceProgress {
  /** Name of the data source. */
  readonly description: string;
  readonly startOffset: Offset;
  readonly endOffset: Offset;
  /**
   * The end of all that was there when the batch was planned; `null` where the reader does not
   * report it.
   */
  readonly latestOffset: Offset | null;
  readonly numInputRows: number;
  readonly inputRowsPerSecond?: number;
  readonly processedRowsPerSecond?: number;
}

/**
 * One committed batch, by the names of Spark's `StreamingQueryProgress`, as its JSON has them.
 * docs/progress.md says what each is here.
 */
export interface StreamingQueryProgress {
  readonly id: string;
  readonly runId: string;
  readonly name: string;
  /** ISO 8601. */
  readonly timestamp: string;
  readonly batchId: number;
  /** Milliseconds. */
  readonly batchDuration: number;
  readonly numInputRows: number;
  readonly inputRowsPerSecond?: number;
  readonly processedRowsPerSecond?: number;
  readonly durationMs: Readonly<Record<string, number>>;
  readonly sources: readonly SourceProgress[];
  readonly sink: { readonly description: string; readonly numOutputRows: number };
}

/** Three digits after the point are plenty. */
export function rowsPerSecond(rows: number, milliseconds: number): number {
  return Math.round((rows * 1e6) / Math.max(1, milliseconds)) / 1000;
}
