import type { SaveMode } from "./batch-writer.ts";
import type { CheckedDataSourceClass, DataSourceClass, SchemaLike } from "./data-source.ts";
import { parseDuration } from "./duration.ts";
import { MillraceError } from "./errors.ts";
import { checkFilter, type Filter } from "./filters.ts";
import { mergeOptions } from "./options/names.ts";
import { findDataSource } from "./registry.ts";

/**
 * When batches run. `once`: one batch. `availableNow`: batches until everything is read that was
 * there at the start. `processingTime`: a batch at each interval, such as `"10 seconds"`, until
 * stopped. (Spark: `DataStreamWriter.trigger`.)
 */
export type Trigger =
  | { readonly once: true; readonly availableNow?: never; readonly processingTime?: never }
  | { readonly availableNow: true; readonly once?: never; readonly processingTime?: never }
  | { readonly processingTime: string; readonly once?: never; readonly availableNow?: never };

/** When a partition counts as stalled, and what comes of it. */
export interface StallPolicy {
  /** How long the source may give nothing, or the sink take nothing, such as `"5 minutes"`. */
  readonly after: string;
  /** Whether its task then fails and is tried again; else it is only reported. */
  readonly fail: boolean;
}

/** A data source class with its options. */
export interface Configured {
  /** The class. */
  readonly dataSource: DataSourceClass<never>;
  /** As the pipeline sets them, not checked. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** What is read. */
export interface ConfiguredSource extends Configured {
  /** As set by `.schema()`, in place of the data source's own. */
  readonly schema?: SchemaLike;
  /** As set by `.filter()`: only of a batch. */
  readonly filters?: readonly Filter[];
}

/** All that a pipeline is. */
export interface PipelineDefinition {
  /** Its identity in the ledger. */
  readonly name: string;
  /** What is read. */
  readonly source: ConfiguredSource;
  /** Where it is written. */
  readonly sink: Configured;
  /** As set by `.trigger()`: only of a stream. */
  readonly triggered?: Trigger;
  /** What a batch does with what is there; absent in a stream. */
  readonly saveMode?: SaveMode;
  /** As set by `.stallAfter()`. */
  readonly stall?: StallPolicy;
}

const SHORTEST_INTERVAL_MILLISECONDS = 100;
const SHORTEST_STALL_MILLISECONDS = 1000;

/** Lower case only: names become folders, and some file systems do not tell cases apart. */
const NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;

/**
 * A pipeline: what to read, where to write it, when. It does nothing until it is run. Immutable:
 * each call returns a new one.
 */
export abstract class Pipeline<SinkOptions extends object = never> implements PipelineDefinition {
  /** Its identity in the ledger. */
  readonly name: string;
  /** What is read. */
  readonly source: ConfiguredSource;
  /** Where it is written. */
  readonly sink: Configured;
  /** As set by `.trigger()`; a run of a stream without any is `availableNow`. */
  readonly triggered?: Trigger;
  /** What a batch does with what is there; absent in a stream. */
  readonly saveMode?: SaveMode;
  /**
   * As set by `.stallAfter()`; a pipeline without it reports partitions that stall for 5 minutes.
   */
  readonly stall?: StallPolicy;
  /** Marks the class across two copies of the package. */
  readonly kind = "millrace.pipeline" as const;

  constructor({ name, source, sink, triggered, saveMode, stall }: PipelineDefinition) {
    this.name = name;
    this.source = source;
    this.sink = sink;
    if (triggered !== undefined) this.triggered = triggered;
    if (saveMode !== undefined) this.saveMode = saveMode;
    if (stall !== undefined) this.stall = stall;
  }

  /** Works across two copies of the package. */
  static is(value: unknown): value is Pipeline {
    return (
      typeof value === "object" && value !== null && "kind" in value && value.kind === "millrace.pipeline"
    );
  }

  /** Sets options of the sink, over those set before. */
  options(options: SinkOptions): this {
    return this.with({ sink: withOptions(this.sink, options) });
  }

  /** Sets one option of the sink. */
  option<K extends keyof SinkOptions & string>(name: K, value: SinkOptions[K]): this {
    return this.with({ sink: withOptions(this.sink, { [name]: value }) });
  }

  /**
   * Sets after what time without a row from the source, or none taken by the sink, a partition is
   * reported as stalled; with `fail` its task then fails, and is tried again. Default: reported
   * after 5 minutes. Error: `DURATION_INVALID`.
   */
  stallAfter(after: string, { fail = false }: { readonly fail?: boolean } = {}): this {
    return this.with({ stall: checkStall({ after, fail }) });
  }

  /** The same pipeline with something else. */
  protected with(change: Partial<PipelineDefinition>): this {
    const made = this.constructor as new (definition: PipelineDefinition) => this;
    return new made({ ...this, ...change });
  }
}

/** A pipeline that reads what is new, batch after batch. */
export class StreamPipeline<SinkOptions extends object = never> extends Pipeline<SinkOptions> {
  /** Sets when batches run. Errors: `TRIGGER_INVALID`, `DURATION_INVALID`. */
  trigger(trigger: Trigger): this {
    return this.with({ triggered: checkTrigger(trigger) });
  }
}

/**
 * A pipeline that reads what is there, one batch each run. A run that failed is finished by the
 * next one, under the same batch id.
 */
export class BatchPipeline<SinkOptions extends object = never> extends Pipeline<SinkOptions> {
  /**
   * Sets what is done with what is there. Default: `errorifexists`, as in Spark. Error:
   * `SAVE_MODE_INVALID`.
   */
  mode(saveMode: SaveMode): this {
    return this.with({ saveMode: checkSaveMode(saveMode) });
  }
}

/** The source of a pipeline, with its options. */
export abstract class Source<Options extends object> {
  /** Name of the pipeline. */
  protected readonly name: string;
  /** What has been set. */
  protected readonly source: ConfiguredSource;

  constructor(name: string, source: ConfiguredSource) {
    this.name = name;
    this.source = source;
  }

  /** Sets options of the source, over those set before. Names are case-insensitive. */
  options(options: Options): this {
    return this.with(withOptions(this.source, options));
  }

  /** Sets one option of the source. */
  option<K extends keyof Options & string>(name: K, value: Options[K]): this {
    return this.with(withOptions(this.source, { [name]: value }));
  }

  /** Sets the schema of the rows; the data source is then not asked for its own. */
  schema(schema: SchemaLike): this {
    return this.with({ schema });
  }

  /** As in Spark; it may be left out. `path` sets the option of that name. */
  load(path?: string): this {
    return path === undefined ? this : this.with(withOptions(this.source, { path }));
  }

  /** The same source with something else. */
  protected with(change: Partial<ConfiguredSource>): this {
    const made = this.constructor as new (name: string, source: ConfiguredSource) => this;
    return new made(this.name, { ...this.source, ...change });
  }
}

/** The source of a stream. (Spark: `DataStreamReader`.) */
export class ReadStream<Options extends object> extends Source<Options> {
  /** Chooses where the stream is written. (Spark: `DataFrame.writeStream`.) */
  get writeStream(): Chooser<"stream"> {
    return new Chooser((sink) => new StreamPipeline<never>({ name: this.name, source: this.source, sink }));
  }
}

/** The source of a batch. (Spark: `DataFrameReader`.) */
export class Read<Options extends object> extends Source<Options> {
  /**
   * Reads only rows for which all of these hold, and those set before. The source does what it can
   * of them; Millrace does the rest. (Spark: `DataFrame.filter`.) Error: `FILTER_INVALID`.
   */
  filter(...filters: readonly Filter[]): this {
    return this.with({ filters: [...(this.source.filters ?? []), ...filters.map(checkFilter)] });
  }

  /** Chooses where the batch is written. (Spark: `DataFrame.write`.) */
  get write(): Chooser<"batch"> {
    const { name, source } = this;
    return new Chooser((sink) => new BatchPipeline<never>({ name, source, sink, saveMode: "errorifexists" }));
  }
}

/** What follows the choice of a data source. */
export interface Chosen<Options extends object> {
  /** Of `readStream`. */
  readonly readStream: ReadStream<Options>;
  /** Of `read`. */
  readonly read: Read<Options>;
  /** Of `writeStream`. */
  readonly stream: StreamPipeline<Options>;
  /** Of `write`. */
  readonly batch: BatchPipeline<Options>;
}

/** Chooses a data source. (Spark: `format` of readers and writers.) */
export class Chooser<Next extends keyof Chosen<never>> {
  readonly #next: (configured: Configured) => Chosen<never>[Next];

  constructor(next: (configured: Configured) => Chosen<never>[Next]) {
    this.#next = next;
  }

  /** A class whose options are checked by its `optionsSchema`, and typed by it. */
  format<Input extends object, Output extends object>(
    dataSource: CheckedDataSourceClass<Input, Output>,
  ): Chosen<Input>[Next];
  /** A class: its options are typed. */
  format<Options extends object>(dataSource: DataSourceClass<Options>): Chosen<Options>[Next];
  /** The registered class of that name, in any case. Error: `DATA_SOURCE_NOT_FOUND`. */
  format(dataSource: string): Chosen<Record<string, unknown>>[Next];
  format(dataSource: DataSourceClass<never> | string): Chosen<never>[Next] {
    const found = typeof dataSource === "string" ? findDataSource(dataSource) : dataSource;
    return this.#next({ dataSource: found, options: {} });
  }
}

/** What a pipeline begins with. */
export interface PipelineStart {
  /** Reads a stream: what is new, batch after batch. */
  readonly readStream: Chooser<"readStream">;
  /** Reads a batch: what is there. */
  readonly read: Chooser<"read">;
}

/**
 * Begins a pipeline. `name` is its identity in the ledger: 1 to 64 lower-case letters, digits, `-`
 * or `_`. Error: `PIPELINE_NAME_INVALID`.
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
 * The trigger of a run: as it is asked for, or the pipeline says. A batch has one run. Error:
 * `TRIGGER_INVALID`.
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
 * Milliseconds from one plan of a run to the next; `undefined` for a trigger without an interval.
 */
export function intervalOf(trigger: Trigger): number | undefined {
  return "processingTime" in trigger ? parseDuration(trigger.processingTime) : undefined;
}

/** Which of the three a trigger is. */
export type TriggerKind = "once" | "availableNow" | "processingTime";

export function triggerKind(trigger: Trigger): TriggerKind {
  if ("once" in trigger) return "once";
  return "availableNow" in trigger ? "availableNow" : "processingTime";
}

/** Returns `trigger` if it is one. */
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

/** Returns `stall` if its time is one. Error: `DURATION_INVALID`. */
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
