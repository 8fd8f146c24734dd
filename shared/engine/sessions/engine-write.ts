import type { RecordBatch, Schema } from "apache-arrow";
import type { TaskContext } from "../../contract/context.ts";
import type { WriteSummary } from "../../contract/write/summary.ts";
import type { SupportsWrite } from "../../contract/write/table.ts";
import type { Write } from "../../contract/write/write.ts";
import type { WriteBuilder } from "../../contract/write/write-builder.ts";
import type { LogicalWriteInfo } from "../../contract/write/write-info.ts";
import type { Batch } from "../ports/ledger.ts";
import type { SortingOptions } from "../shuffle/sorted-rows.ts";
import type { ShuffleSpec } from "../shuffle/spec.ts";

/** Makes other rows of the rows that a task has. */
export interface RowTransform {
  /** Schema of the rows that it makes. */
  readonly schema: Schema;
  /** Returns the rows. Called once in each task. `sorting` says where it may sort rows. */
  apply(
    batches: AsyncIterable<RecordBatch>,
    task: TaskContext,
    sorting: SortingOptions,
  ): AsyncIterable<RecordBatch>;
}

/** An exchange of rows between the tasks of one stage and those of the next one. */
export interface Exchange {
  /** Makes the rows that are exchanged of the rows that the task reads. */
  readonly transform: RowTransform;
  /** How they are split. Its expressions name columns of `transform.schema`. */
  readonly spec: ShuffleSpec;
}

/** What the table of a command learns of a batch, beside `LogicalWriteInfo`. */
export interface PlannedInput {
  /**
   * Key of the file with the partitions of the source. Present in a step that makes the factory of
   * the writers, but has not planned the source itself.
   */
  readonly partitionsKey?: string;
  /** True if the batch was skipped by hand: nothing may change then. */
  readonly isSkipped: boolean;
}

/** The table that the engine makes for a command. It learns more about the batch than others. */
export interface EngineTable extends SupportsWrite {
  /** Distinguishes it from other tables. */
  readonly takesInput: true;
  newWriteBuilder(info: LogicalWriteInfo, input?: PlannedInput): WriteBuilder;
}

/**
 * A write that the engine itself makes, for commands and for streams of changes. It tells the
 * engine more than Spark's methods can.
 */
export interface EngineWrite extends Write {
  /**
   * Exchanges before `transform`, in their order. `inputPartitions` is their number in the source.
   */
  exchanges?(inputPartitions: number): readonly Exchange[];
  /**
   * Makes the rows that the writers get of those of the source, or of the last exchange. What the
   * write requires about distribution and ordering concerns these rows.
   */
  readonly transform?: RowTransform;
  /** Returns the summary from the counts of all tasks, by name. */
  summaryOf?(counts: Readonly<Record<string, number>>): WriteSummary | undefined;
}

/** A task writer of an `EngineWrite` that counts rows by name. The sums reach `summaryOf`. */
export interface CountsRows {
  /** Returns the counts of this task so far. */
  counts(): Readonly<Record<string, number>>;
}

export function takesInput(table: SupportsWrite): table is EngineTable {
  return "takesInput" in table && table.takesInput === true;
}

export function inputOf({
  exchanges,
  skipped,
}: { readonly [Key in "exchanges" | "skipped"]?: Batch[Key] | undefined }): PlannedInput {
  const isSkipped = skipped !== undefined;
  return exchanges === undefined ? { isSkipped } : { isSkipped, partitionsKey: exchanges.inputKey };
}
