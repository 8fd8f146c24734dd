import type { SaveMode } from "./batch-writer.ts";
import type { CheckedDataSourceClass, DataSourceClass, SchemaLike } from "./data-source.ts";
import { parseDuration } from "./duration.ts";
import { MillraceError } from "./errors.ts";
import { checkFilter, conjunctsOf, type Filter } from "./filters.ts";
import { mergeOptions } from "./options/names.ts";
import { findDataSource } from "./registry.ts";
import type { Predicate } from "./write/predicates.ts";

/**
 * When a run executes batches. `once`: one batch. `availableNow`: batches until all data is read
 * that existed at the start of the run. `processingTime`: one batch per interval, such as `"10
 * seconds"`, until the run is stopped. (Spark: `DataStreamWriter.trigger`.)
 */
export type Trigger =
  | { readonly once: true; readonly availableNow?: never; readonly processingTime?: never }
  | { readonly availableNow: true; readonly once?: never; readonly processingTime?: never }
  | { readonly processingTime: string; readonly once?: never; readonly availableNow?: never };

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

/** A data source class together with the options that the pipeline sets. */
export interface Configured {
  /** The data source class. */
  readonly dataSource: DataSourceClass<never>;
  /** The options as the pipeline sets them, not validated. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** The source of a pipeline. */
export interface ConfiguredSource extends Configured {
  /** The schema set by `.schema()`, which replaces the data source's own. */
  readonly schema?: SchemaLike;
  /** The filters set by `.filter()`. Only batch pipelines have filters. */
  readonly filters?: readonly Filter[];
}

/**
 * Which rows an overwrite replaces: those that match a condition, or the partitions of the table
 * that occur in the new rows.
 */
export type Overwrite =
  | { readonly replaces: "matching"; readonly condition: Filter | Predicate }
  | { readonly replaces: "partitions" };

/**
 * What each batch of a stream does with the rows that the sink has. `append` adds rows, `complete`
 * replaces all rows. (Spark: `DataStreamWriter.outputMode`.)
 */
export type OutputMode = "append" | "complete";

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
  readonly overwrite?: Overwrite;
  /** What each batch of a stream does with the rows of the sink. Absent for `append`. */
  readonly outputMode?: OutputMode;
  /** The policy set by `.stallAfter()`. */
  readonly stall?: StallPolicy;
}

const SHORTEST_INTERVAL_MILLISECONDS = 100;
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
  /**
   * The policy set by `.stallAfter()`. A pipeline without one reports partitions that stall for 5
   * minutes.
   */
  readonly stall?: StallPolicy;
  /**
   * Identifies the class even if two copies of the package are installed, where `instanceof` fails.
   */
  readonly kind = "millrace.pipeline" as const;

  constructor({ name, source, sink, triggered, saveMode, stall }: PipelineDefinition) {
    this.name = name;
    this.source = source;
    this.sink = sink;
    if (triggered !== undefined) this.triggered = triggered;
    if (saveMode !== undefined) this.saveMode = saveMode;
    if (stall !== undefined) this.stall = stall;
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
   * Reports a partition as stalled if the source delivers no row, or the sink accepts none, for
   * this long. With `fail: true` the task then fails and is retried. The default is to report after
   * 5 minutes. Throws `DURATION_INVALID`.
   */
  stallAfter(after: string, { fail = false }: { readonly fail?: boolean } = {}): this {
    return this.with({ stall: checkStall({ after, fail }) });
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
}

/**
 * A pipeline that reads all existing data, in one batch per run. After a failed run, the next run
 * finishes the same batch under its batch id.
 */
export class BatchPipeline<SinkOptions extends object = never> extends Pipeline<SinkOptions> {
  /**
   * Sets what happens if the target already exists. The default is `errorifexists`, as in Spark.
   * Throws `SAVE_MODE_INVALID`.
   */
  mode(saveMode: SaveMode): this {
    return this.with({ saveMode: checkSaveMode(saveMode) });
  }
}

/** The first part of a pipeline: its source, with options. */
export abstract class Source<Options extends object> {
  /** Name of the pipeline. */
  protected readonly name: string;
  /** The data source and the settings so far. */
  protected readonly source: ConfiguredSource;

  constructor(name: string, source: ConfiguredSource) {
    this.name = name;
    this.source = source;
  }

  /**
   * Sets options of the source. They replace options of the same name that were set before. Names
   * are case-insensitive.
   */
  options(options: Options): this {
    return this.with(withOptions(this.source, options));
  }

  /** Sets one option of the source. */
  option<K extends keyof Options & string>(name: K, value: Options[K]): this {
    return this.with(withOptions(this.source, { [name]: value }));
  }

  /** Sets the schema of the rows. The data source's own `schema()` is then not called. */
  schema(schema: SchemaLike): this {
    return this.with({ schema });
  }

  /**
   * Sets the option `path` if it is given. The call is optional and exists because Spark has it.
   */
  load(path?: string): this {
    return path === undefined ? this : this.with(withOptions(this.source, { path }));
  }

  /** Returns a copy of the source with these settings changed. */
  protected with(change: Partial<ConfiguredSource>): this {
    const made = this.constructor as new (name: string, source: ConfiguredSource) => this;
    return new made(this.name, { ...this.source, ...change });
  }
}

/** The source of a stream pipeline. (Spark: `DataStreamReader`.) */
export class ReadStream<Options extends object> extends Source<Options> {
  /** Returns a chooser for the sink of the stream. (Spark: `DataFrame.writeStream`.) */
  get writeStream(): Chooser<"stream"> {
    return new Chooser((sink) => new StreamPipeline<never>({ name: this.name, source: this.source, sink }));
  }
}

/** The source of a batch pipeline. (Spark: `DataFrameReader`.) */
export class Read<Options extends object> extends Source<Options> {
  /**
   * Keeps only rows for which all these filters hold, in addition to filters set before. The source
   * applies the filters that it supports, and Millrace applies the others. (Spark:
   * `DataFrame.filter`.) Throws `FILTER_INVALID`.
   */
  filter(...filters: readonly Filter[]): this {
    return this.with({
      filters: [...(this.source.filters ?? []), ...filters.map(checkFilter).flatMap(conjunctsOf)],
    });
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
  };
}

/**
 * Returns the trigger of a run: `asked` if it is given, otherwise the pipeline's own. A batch
 * pipeline always runs `once`. Throws `TRIGGER_INVALID`.
 */
export function triggerOf(
  { name, saveMode, triggered }: Pick<PipelineDefinition, "name" | "saveMode" | "triggered">,
  asked: Trigger | undefined,
): Trigger {
  if (saveMode === undefined) return asked ?? triggered ?? { availableNow: true };
  if (asked === undefined || "once" in asked) return { once: true };
  throw new MillraceError(
    "TRIGGER_INVALID",
    `pipeline "${name}" is a batch: it has no ${Object.keys(asked).join()}`,
    {
      where: { pipeline: name },
      hint: "Leave the trigger out: each run is one batch. What is new, again and again, is read by readStream.",
    },
  );
}

/**
 * Returns the milliseconds between two plans of one run, or `undefined` for a trigger without an
 * interval.
 */
export function intervalOf(trigger: Trigger): number | undefined {
  return "processingTime" in trigger ? parseDuration(trigger.processingTime) : undefined;
}

/** The three kinds of triggers. */
export type TriggerKind = "once" | "availableNow" | "processingTime";

export function triggerKind(trigger: Trigger): TriggerKind {
  if ("once" in trigger) return "once";
  return "availableNow" in trigger ? "availableNow" : "processingTime";
}

/** Returns `trigger` if it is valid. Throws `TRIGGER_INVALID` or `DURATION_INVALID`. */
export function checkTrigger(trigger: Trigger): Trigger {
  const kinds: Readonly<Record<string, unknown>> = trigger;
  const set = ["once", "availableNow", "processingTime"].filter((kind) => kinds[kind] !== undefined);
  const isFlag = kinds["once"] === true || kinds["availableNow"] === true;
  if (set.length === 1 && trigger.processingTime !== undefined) {
    if (parseDuration(trigger.processingTime) < SHORTEST_INTERVAL_MILLISECONDS) {
      throw new MillraceError("TRIGGER_INVALID", `an interval of ${trigger.processingTime} is too short`, {
        hint: "Choose 100ms or more: each interval asks the source and writes to the ledger.",
      });
    }
    return trigger;
  }
  if (set.length === 1 && isFlag) return trigger;
  throw new MillraceError(
    "TRIGGER_INVALID",
    "a trigger must be one, and only one, of once, availableNow, processingTime",
    {
      hint: 'Write .trigger({ availableNow: true }), .trigger({ once: true }) or .trigger({ processingTime: "10 seconds" }).',
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

const SAVE_MODES: ReadonlySet<string> = new Set<SaveMode>(["append", "overwrite", "errorifexists", "ignore"]);

function checkSaveMode(mode: string): SaveMode {
  const lower = String(mode).toLowerCase();
  const saveMode = lower === "error" || lower === "default" ? "errorifexists" : lower;
  if (SAVE_MODES.has(saveMode)) return saveMode as SaveMode;
  throw new MillraceError("SAVE_MODE_INVALID", `"${mode}" is no save mode`, {
    hint: `Write .mode("append"), or one of ${[...SAVE_MODES].slice(1).join(", ")}.`,
  });
}

function withOptions<C extends Configured>(configured: C, options: object): C {
  return { ...configured, options: mergeOptions(configured.options, options) };
}
