import type { Schema } from "apache-arrow";
import type { SaveMode } from "../batch-writer.ts";

/** What a table learns about a write before it is built. (Spark: `LogicalWriteInfo`.) */
export interface LogicalWriteInfo {
  /**
   * Identifies the query. In a stream it is the incarnation of the pipeline, so all its batches
   * have the same. In a batch pipeline it is the plan id of the batch, so all attempts of a batch
   * have the same.
   */
  readonly queryId: string;
  /** The Arrow schema of the rows that are written. */
  readonly schema: Schema;
  /** The options of the sink, as its `optionsSchema` returned them. */
  readonly options: Readonly<Record<string, unknown>>;
  /** The columns that identify a row. Only row-level operations have them. */
  readonly rowIdSchema?: Schema;
  /** The metadata columns of the rows. Only row-level operations have them. */
  readonly metadataSchema?: Schema;
  /**
   * When the batch was planned first, in epoch milliseconds. It is the same in each step and each
   * attempt.
   */
  readonly plannedAt: number;
  /**
   * The save mode of a batch pipeline. Only the step that plans the batch has `errorifexists` and
   * `ignore`; later steps have `append` instead, because that step has decided to write.
   */
  readonly saveMode?: SaveMode;
  /** What the table does if the rows have other columns. Absent: the table's own default. */
  readonly onSchemaChange?: OnSchemaChange;
}

/**
 * What a sink does if the rows have other columns than its table. `fail`: a column that the table
 * lacks, or whose values it cannot store, is refused when a batch is planned. `evolve`: the table
 * gets new columns and wider types, together with the rows. `ignore`: columns that the table lacks
 * are left out. In each mode a column that the rows lack is null.
 */
export type OnSchemaChange = "fail" | "evolve" | "ignore";

/** What a write learns about the tasks of a batch. (Spark: `PhysicalWriteInfo`.) */
export interface PhysicalWriteInfo {
  /** Number of tasks, at least 1. */
  readonly numPartitions: number;
  /** Number of partitions of the source. If it is 0, one task without rows runs. */
  readonly inputPartitions: number;
}
