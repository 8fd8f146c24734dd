import type { BackfillOf } from "./backfill.ts";
import { type BadRowPolicy, checkOnBadRow, type OnBadRow } from "./bad-rows.ts";
import type { SaveMode } from "./batch-writer.ts";
import type { Configured, ConfiguredSource } from "./configured.ts";
import type { CheckedDataSourceClass, DataSourceClass } from "./data-source.ts";
import { parseDuration } from "./duration.ts";
import { MillraceError, show } from "./errors.ts";
import type { Filter } from "./filters.ts";
import { checkMergeStream, type MergeStream, type MergeStreamOptions } from "./merge-stream.ts";
import { mergeOptions } from "./options/names.ts";
import type { PauseAfterAborts, PipelineDefinition, StallPolicy } from "./pipeline-definition.ts";
import { Source, type SourceKind, withOptions } from "./pipeline-source.ts";
import { findDataSource } from "./registry.ts";
import type { RowCommand } from "./row-command.ts";
import {
  checkCondition,
  checkOutputMode,
  checkSaveMode,
  type OutputMode,
  type Overwrite,
  refuseSecondVerb,
} from "./save-mode.ts";
import { checkOnSchemaChange } from "./schema-change.ts";
import type { NamedRow } from "./stream-reader.ts";
import { TableTarget } from "./table-target.ts";
import { checkTrigger, type Trigger } from "./trigger.ts";
import type { Predicate } from "./write/predicates.ts";
import type { OnSchemaChange } from "./write/write-info.ts";

/** The settings that a pipeline may lack. */
const SETTINGS: ReadonlySet<string> = new Set<keyof PipelineDefinition>([
  "triggered",
  "saveMode",
  "overwrites",
  "outputs",
  "mergesStream",
  "command",
  "schemaChange",
  "badRows",
  "stall",
  "pausesAfter",
  "backfill",
]);

const SHORTEST_STALL_MILLISECONDS = 1000;

/**
 * Names contain only lower case, because they become folder names and some file systems ignore
 * case.
 */
const NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;

/**
 * A pipeline: what it reads, where it writes, and when. It does nothing until a run executes it.
 * Pipelines are immutable: each method returns a new one.
 */
export abstract class Pipeline<SinkOptions extends object = never> implements PipelineDefinition {
  /** Name of the pipeline. It identifies the pipeline in the ledger. */
  readonly name: string;
  /** The source that the pipeline reads. */
  readonly source: ConfiguredSource;
  /** The sink that the pipeline writes to. */
  readonly sink: Configured;
  /** The trigger set by `.trigger()`. A stream pipeline without one runs as `availableNow`. */
  readonly triggered?: Trigger;
  /** What a batch does with a target that already exists. `undefined` in a stream pipeline. */
  readonly saveMode?: SaveMode;
  /** Which rows the mode `overwrite` replaces. Absent if it replaces all rows. */
  readonly overwrites?: Overwrite;
  /** The mode set by `.outputMode()`. A stream pipeline without one appends. */
  readonly outputs?: OutputMode;
  /** The settings of `.merge()`. A stream pipeline without them writes rows as they are. */
  readonly mergesStream?: MergeStream;
  /** The command that changes rows of the sink's table. Only a pipeline of `.table()` has one. */
  readonly command?: RowCommand;
  /** The choice set by `.onSchemaChange()`. Absent: the sink's own default. */
  readonly schemaChange?: OnSchemaChange;
  /** The choice set by `.onBadRow()`. Absent: a bad row fails the batch. */
  readonly badRows?: BadRowPolicy;
  /**
   * The policy set by `.stallAfter()`. A pipeline without one reports partitions that stall for 5
   * minutes.
   */
  readonly stall?: StallPolicy;
  /** The number set by `.pauseAfterAborts()`. A pipeline without one is paused after 10 aborts. */
  readonly pausesAfter?: PauseAfterAborts;
  /** Present if the pipeline is a backfill of another one. */
  readonly backfill?: BackfillOf;
  /**
   * Identifies the class even if two copies of the package are installed, where `instanceof` fails.
   */
  readonly kind = "millrace.pipeline" as const;

  constructor(definition: PipelineDefinition) {
    const { name, source, sink, ...others } = definition;
    this.name = name;
    this.source = source;
    this.sink = sink;
    const set = Object.entries(others).filter(([key, value]) => SETTINGS.has(key) && value !== undefined);
    Object.assign(this, Object.fromEntries(set));
  }

  /** Like `instanceof`, but also true for a pipeline of another copy of the package. */
  static is(value: unknown): value is Pipeline {
    return (
      typeof value === "object" && value !== null && "kind" in value && value.kind === "millrace.pipeline"
    );
  }

  /** Sets options of the sink. They replace options of the same name that were set before. */
  options(options: SinkOptions): this {
    return this.with({ sink: withOptions(this.sink, options) });
  }

  /** Sets one option of the sink. */
  option<K extends keyof SinkOptions & string>(name: K, value: SinkOptions[K]): this {
    return this.with({ sink: withOptions(this.sink, { [name]: value }) });
  }

  /**
   * Sets what the sink does if the rows have other columns than its table. `fail` refuses the batch
   * when it is planned. `evolve` gives the table new columns and wider types, together with the
   * rows. `ignore` leaves out columns that the table lacks. In each case a column that the rows
   * lack is null. Throws `ON_SCHEMA_CHANGE_INVALID`. A run throws `WRITE_NOT_SUPPORTED` if the sink
   * knows neither `evolve` nor `ignore`.
   */
  onSchemaChange(onSchemaChange: OnSchemaChange): this {
    return this.with({ schemaChange: checkOnSchemaChange(onSchemaChange) });
  }

  /**
   * Sets what happens to a row that cannot be written because it does not fit its schema. `fail`,
   * the default, aborts the batch. `drop` leaves the row out and counts it. `quarantine` keeps it
   * beside the batch with its reason: see `millrace quarantine`. A batch with more than `max` bad
   * rows fails. Guide: docs/bad-rows.md. Throws `ON_BAD_ROW_INVALID`.
   */
  onBadRow(policy: OnBadRow, options: { readonly max?: number } = {}): this {
    return this.with({ badRows: checkOnBadRow(policy, options) });
  }

  /**
   * Reports a partition as stalled if the source delivers no row, or the sink accepts none, for
   * this long. With `fail: true` the task then fails and is retried. The default is to report after
   * 5 minutes. Throws `DURATION_INVALID`.
   */
  stallAfter(after: string, { fail = false }: { readonly fail?: boolean } = {}): this {
    return this.with({ stall: checkStall({ after, fail }) });
  }

  /**
   * Pauses the pipeline when one batch was aborted so many times by errors that will not pass, such
   * as a row that does not fit the schema. Errors that may pass, such as an outage, never count.
   * Aborts count anew for other code, and after `millrace resume`. The default is 10. Throws
   * `PAUSE_AFTER_ABORTS_INVALID`.
   */
  pauseAfterAborts(aborts: PauseAfterAborts): this {
    return this.with({ pausesAfter: checkPauseAfterAborts(aborts) });
  }

  /** Returns a copy of the pipeline with these settings changed. */
  protected with(change: Partial<PipelineDefinition>): this {
    const made = this.constructor as new (definition: PipelineDefinition) => this;
    return new made({ ...this, ...change });
  }
}

/** A pipeline that reads new data, batch after batch. */
export class StreamPipeline<SinkOptions extends object = never> extends Pipeline<SinkOptions> {
  /** Sets when a run executes batches. Throws `TRIGGER_INVALID` or `DURATION_INVALID`. */
  trigger(trigger: Trigger): this {
    return this.with({ triggered: checkTrigger(trigger) });
  }

  /**
   * Sets what each batch does with the rows that the sink has. `append`, the default, adds rows.
   * `complete` replaces all rows in each batch. (Spark: `DataStreamWriter.outputMode`.) Throws
   * `OUTPUT_MODE_INVALID`.
   */
  outputMode(outputMode: OutputMode): this {
    return this.with({ outputs: checkOutputMode(outputMode) });
  }

  /**
   * Takes the rows for changes of the sink's table, and writes the newest state of each key.
   * (Spark: `create_auto_cdc_flow`.) Guide: docs/merge.md. Throws `MERGE_INVALID`, `FILTER_INVALID`
   * or `DURATION_INVALID`. A run throws `WRITE_NOT_SUPPORTED` if the sink cannot merge.
   */
  merge(options: MergeStreamOptions): this {
    return this.with({ mergesStream: checkMergeStream(options) });
  }
}

/**
 * A pipeline that reads all existing data, in one batch per run. After a failed run, the next run
 * finishes the same batch under its batch id.
 */
export class BatchPipeline<SinkOptions extends object = never> extends Pipeline<SinkOptions> {
  /**
   * Sets what happens if the target already exists. The default is `errorifexists`, as in Spark.
   * Throws `SAVE_MODE_INVALID`, also after `.overwrite()` or `.overwritePartitions()`.
   */
  mode(saveMode: SaveMode): this {
    const checked = checkSaveMode(saveMode);
    refuseSecondVerb(this, `.mode("${checked}")`);
    return this.with({ saveMode: checked });
  }

  /** Replaces all rows of the target: the mode `overwrite`. Throws `SAVE_MODE_INVALID`. */
  truncate(): this {
    refuseSecondVerb(this, ".truncate()");
    return this.with({ saveMode: "overwrite" });
  }

  /**
   * Replaces the rows of the target for which the condition holds, and keeps the others. Sets the
   * mode `overwrite`. (Spark: `DataFrameWriterV2.overwrite`.) Throws `FILTER_INVALID`, and
   * `SAVE_MODE_INVALID` if another mode is set.
   */
  overwrite(condition: Filter | Predicate): this {
    const checked = checkCondition(condition);
    refuseSecondVerb(this, ".overwrite(condition)");
    return this.with({
      saveMode: "overwrite",
      overwrites: { replaces: "matching", condition: checked },
    });
  }

  /**
   * Replaces each partition of the target that occurs in the new rows, and keeps the others. Sets
   * the mode `overwrite`. (Spark: `DataFrameWriterV2.overwritePartitions`.) Throws
   * `SAVE_MODE_INVALID` if another mode is set.
   */
  overwritePartitions(): this {
    refuseSecondVerb(this, ".overwritePartitions()");
    return this.with({ saveMode: "overwrite", overwrites: { replaces: "partitions" } });
  }
}

/** The kind of a stream's source. */
export interface StreamSource extends SourceKind {
  /** The type of the source. */
  readonly source: this["options"] extends object
    ? this["row"] extends NamedRow
      ? ReadStream<this["options"], this["row"]>
      : never
    : never;
}

/** The kind of a batch's source. */
export interface BatchSource extends SourceKind {
  /** The type of the source. */
  readonly source: this["options"] extends object
    ? this["row"] extends NamedRow
      ? Read<this["options"], this["row"]>
      : never
    : never;
}

/** The source of a stream pipeline. (Spark: `DataStreamReader`.) */
export class ReadStream<Options extends object, R extends NamedRow = NamedRow> extends Source<
  Options,
  R,
  StreamSource
> {
  /** Returns a chooser for the sink of the stream. (Spark: `DataFrame.writeStream`.) */
  get writeStream(): Chooser<"stream"> {
    return new Chooser((sink) => new StreamPipeline<never>({ name: this.name, source: this.source, sink }));
  }
}

/** The source of a batch pipeline. (Spark: `DataFrameReader`.) */
export class Read<Options extends object, R extends NamedRow = NamedRow> extends Source<
  Options,
  R,
  BatchSource
> {
  /** Adds filters. Those before any step are pushed to the source. */
  protected override keep(filters: readonly Filter[]): this {
    if (this.source.steps !== undefined) return super.keep(filters);
    return this.with({ filters: [...(this.source.filters ?? []), ...filters] });
  }

  /** Returns a chooser for the sink of the batch. (Spark: `DataFrame.write`.) */
  get write(): Chooser<"batch"> {
    const { name, source } = this;
    return new Chooser((sink) => new BatchPipeline<never>({ name, source, sink, saveMode: "errorifexists" }));
  }
}

/** The type that `.format()` returns, by the property that created the `Chooser`. */
export interface Chosen<Options extends object> {
  /** The type that `.format()` returns after `readStream`. */
  readonly readStream: ReadStream<Options>;
  /** The type that `.format()` returns after `read`. */
  readonly read: Read<Options>;
  /** The type that `.format()` returns after `writeStream`. */
  readonly stream: StreamPipeline<Options>;
  /** The type that `.format()` returns after `write`. */
  readonly batch: BatchPipeline<Options>;
}

/**
 * Selects a data source by its class or by its registered name. (Spark: `format` of readers and
 * writers.)
 */
export class Chooser<Next extends keyof Chosen<never>> {
  readonly #next: (configured: Configured) => Chosen<never>[Next];

  constructor(next: (configured: Configured) => Chosen<never>[Next]) {
    this.#next = next;
  }

  /** Selects a class with an `optionsSchema`, which types and validates the options. */
  format<Input extends object, Output extends object>(
    dataSource: CheckedDataSourceClass<Input, Output>,
  ): Chosen<Input>[Next];
  /** Selects a class without an `optionsSchema`. Its constructor types the options. */
  format<Options extends object>(dataSource: DataSourceClass<Options>): Chosen<Options>[Next];
  /** Selects a registered class by its name, ignoring case. Throws `DATA_SOURCE_NOT_FOUND`. */
  format(dataSource: string): Chosen<Record<string, unknown>>[Next];
  format(dataSource: DataSourceClass<never> | string): Chosen<never>[Next] {
    const found = typeof dataSource === "string" ? findDataSource(dataSource) : dataSource;
    return this.#next({ dataSource: found, options: {} });
  }
}

/** The first step of a pipeline: the choice between a stream and a batch. */
export interface PipelineStart {
  /** Starts a stream pipeline, which reads new data, batch after batch. */
  readonly readStream: Chooser<"readStream">;
  /** Starts a batch pipeline, which reads all existing data in each run. */
  readonly read: Chooser<"read">;
  /**
   * Starts a batch pipeline that changes rows of a table: `.deleteWhere`, `.update` or `.merge`.
   * Guide: docs/merge.md. Throws `DATA_SOURCE_NOT_FOUND` for a name that is not registered.
   */
  table<Input extends object, Output extends object>(
    dataSource: CheckedDataSourceClass<Input, Output>,
    options: Input,
  ): TableTarget<BatchPipeline>;
  /** Like the other form, for a class without an `optionsSchema`. */
  table<Options extends object>(
    dataSource: DataSourceClass<Options>,
    options: Options,
  ): TableTarget<BatchPipeline>;
  /** Like the other forms, for a registered class. Throws `DATA_SOURCE_NOT_FOUND`. */
  table(dataSource: string, options: Readonly<Record<string, unknown>>): TableTarget<BatchPipeline>;
}

/**
 * Starts the definition of a pipeline. `name` identifies it in the ledger: 1 to 64 lower-case
 * letters, digits, `-` or `_`. Throws `PIPELINE_NAME_INVALID`.
 */
export function pipeline(name: string): PipelineStart {
  if (!NAME.test(name)) {
    throw new MillraceError("PIPELINE_NAME_INVALID", `"${name}" cannot name a pipeline`, {
      hint: "Use 1 to 64 lower-case letters, digits, - or _, beginning with a letter or digit.",
    });
  }
  return {
    readStream: new Chooser((source) => new ReadStream<never>(name, source)),
    read: new Chooser((source) => new Read<never>(name, source)),
    table(dataSource: DataSourceClass<never> | string, options: object): TableTarget<BatchPipeline> {
      const found = typeof dataSource === "string" ? findDataSource(dataSource) : dataSource;
      const table: Configured = { dataSource: found, options: mergeOptions({}, options) };
      return new TableTarget(name, (command) => {
        return new BatchPipeline<never>({ name, source: table, sink: table, saveMode: "append", command });
      });
    },
  };
}

function checkPauseAfterAborts(aborts: PauseAfterAborts): PauseAfterAborts {
  if (aborts === "never" || (Number.isSafeInteger(aborts) && aborts > 0)) return aborts;
  throw new MillraceError(
    "PAUSE_AFTER_ABORTS_INVALID",
    `a pipeline cannot be paused after ${show(aborts)} aborts`,
    {
      hint: 'Give a whole number from 1 on, or "never".',
    },
  );
}

/** Returns `stall` if its duration is valid and at least 1 second. Throws `DURATION_INVALID`. */
export function checkStall<S extends Partial<StallPolicy>>(stall: S): S {
  const { after } = stall;
  if (after === undefined || parseDuration(after) >= SHORTEST_STALL_MILLISECONDS) return stall;
  throw new MillraceError("DURATION_INVALID", `to call a partition stalled after ${after} is too soon`, {
    hint: "Choose 1s or more: progress is looked at once a second.",
  });
}
