import type { BackfillOf } from "./backfill.ts";
import type { BadRowPolicy } from "./bad-rows.ts";
import type { SaveMode } from "./batch-writer.ts";
import type { Configured, ConfiguredSource } from "./configured.ts";
import type { MergeStream } from "./merge-stream.ts";
import type { RowCommand } from "./row-command.ts";
import type { OutputMode, Overwrite } from "./save-mode.ts";
import type { Trigger } from "./trigger.ts";
import type { OnSchemaChange } from "./write/write-info.ts";

/** When a partition counts as stalled, and whether its task then fails. */
export interface StallPolicy {
  /**
   * How long the source may deliver no row, or the sink accept none: a duration such as `"5
   * minutes"`.
   */
  readonly after: string;
  /** If true, the task fails and is retried. If false, the stall is only reported. */
  readonly fail: boolean;
}

/** After how many aborts of one batch a pipeline is paused. */
export type PauseAfterAborts = number | "never";

/** All settings of a pipeline. */
export interface PipelineDefinition {
  /** Name of the pipeline. It identifies the pipeline in the ledger. */
  readonly name: string;
  /** The source that the pipeline reads. */
  readonly source: ConfiguredSource;
  /** The sink that the pipeline writes to. */
  readonly sink: Configured;
  /** The trigger set by `.trigger()`. Only stream pipelines have one. */
  readonly triggered?: Trigger;
  /** What a batch does with a target that already exists. `undefined` in a stream pipeline. */
  readonly saveMode?: SaveMode;
  /** Which rows the mode `overwrite` replaces. Absent if it replaces all rows. */
  readonly overwrites?: Overwrite;
  /** What each batch of a stream does with the rows of the sink. Absent for `append`. */
  readonly outputs?: OutputMode;
  /** How a stream of changes is merged into the sink, set by `.merge()`. */
  readonly mergesStream?: MergeStream;
  /** The command that changes rows of the sink's table. The source is then the table itself. */
  readonly command?: RowCommand;
  /** What the sink does if the rows have other columns than its table. Absent: its own default. */
  readonly schemaChange?: OnSchemaChange;
  /** What happens to rows that cannot be written. Absent: the batch fails. */
  readonly badRows?: BadRowPolicy;
  /** The policy set by `.stallAfter()`. */
  readonly stall?: StallPolicy;
  /** The number set by `.pauseAfterAborts()`. */
  readonly pausesAfter?: PauseAfterAborts;
  /** Present if the pipeline is a backfill of another one. Only `millrace backfill` makes one. */
  readonly backfill?: BackfillOf;
}
