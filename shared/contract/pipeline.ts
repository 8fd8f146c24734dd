import type { DataSourceClass } from "./data-source.ts";
import { parseDuration } from "./duration.ts";
import { MillraceError } from "./errors.ts";
import { findDataSource } from "./registry.ts";

/**
 * When batches run. `once`: one batch. `availableNow`: batches until everything is read that was there at the start.
 * `processingTime`: a batch at each interval, such as `"10 seconds"`, until stopped. (Spark: `DataStreamWriter.trigger`.)
 */
export type Trigger =
  | { readonly once: true }
  | { readonly availableNow: true }
  | { readonly processingTime: string };

/** A data source class with its options. */
export interface Configured {
  /** The class. */
  readonly dataSource: DataSourceClass<never>;
  /** As the pipeline sets them, not checked. */
  readonly options: Readonly<Record<string, unknown>>;
}

const SHORTEST_INTERVAL_MILLISECONDS = 100;

/** Lower case only: names become folders, and some file systems do not tell cases apart. */
const NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;

/** A pipeline: what to read, where to write it, when. It does nothing until it is run. Immutable: each call gives a new one. */
export class Pipeline<SinkOptions extends object = never> {
  /** Its identity in the ledger. */
  readonly name: string;
  /** What is read. */
  readonly source: Configured;
  /** Where it is written. */
  readonly sink: Configured;
  /** As set by `.trigger()`; a run without any is `availableNow`. */
  readonly triggered: Trigger | undefined;
  /** Marks the class across two copies of the package. */
  readonly kind = "millrace.pipeline" as const;

  constructor(name: string, source: Configured, sink: Configured, triggered?: Trigger) {
    this.name = name;
    this.source = source;
    this.sink = sink;
    this.triggered = triggered;
  }

  /** Works across two copies of the package. */
  static is(value: unknown): value is Pipeline {
    return (
      typeof value === "object" && value !== null && "kind" in value && value.kind === "millrace.pipeline"
    );
  }

  /** Sets options of the sink, over those set before. */
  options(options: SinkOptions): Pipeline<SinkOptions> {
    return new Pipeline<SinkOptions>(this.name, this.source, withOptions(this.sink, options), this.triggered);
  }

  /** Sets one option of the sink. */
  option<K extends keyof SinkOptions & string>(name: K, value: SinkOptions[K]): Pipeline<SinkOptions> {
    return new Pipeline<SinkOptions>(
      this.name,
      this.source,
      withOptions(this.sink, { [name]: value }),
      this.triggered,
    );
  }

  /** Sets when batches run. Errors: `TRIGGER_INVALID`, `DURATION_INVALID`. */
  trigger(trigger: Trigger): Pipeline<SinkOptions> {
    return new Pipeline<SinkOptions>(this.name, this.source, this.sink, checkTrigger(trigger));
  }
}

/** Chooses what a pipeline reads. (Spark: `DataStreamReader`.) */
export class ReadStreamChooser {
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  /** Reads from a data source, whose options are then typed. */
  format<Options extends object>(dataSource: DataSourceClass<Options>): ReadStream<Options>;
  /** Reads from the registered data source of that name. Error: `DATA_SOURCE_NOT_FOUND`. */
  format(dataSource: string): ReadStream<Record<string, unknown>>;
  format(dataSource: DataSourceClass<never> | string): ReadStream<never> {
    return new ReadStream<never>(this.#name, { dataSource: resolve(dataSource), options: {} });
  }
}

/** The source of a pipeline, with its options. (Spark: `DataStreamReader`.) */
export class ReadStream<Options extends object> {
  readonly #name: string;
  readonly #source: Configured;

  constructor(name: string, source: Configured) {
    this.#name = name;
    this.#source = source;
  }

  /** Sets options of the source, over those set before. */
  options(options: Options): ReadStream<Options> {
    return new ReadStream<Options>(this.#name, withOptions(this.#source, options));
  }

  /** Sets one option of the source. */
  option<K extends keyof Options & string>(name: K, value: Options[K]): ReadStream<Options> {
    return new ReadStream<Options>(this.#name, withOptions(this.#source, { [name]: value }));
  }

  /** Chooses where the stream is written. (Spark: `DataFrame.writeStream`.) */
  get writeStream(): WriteStreamChooser {
    return new WriteStreamChooser(this.#name, this.#source);
  }
}

/** Chooses what a pipeline writes to. (Spark: `DataStreamWriter`.) */
export class WriteStreamChooser {
  readonly #name: string;
  readonly #source: Configured;

  constructor(name: string, source: Configured) {
    this.#name = name;
    this.#source = source;
  }

  /** Writes to a data source, whose options are then typed. */
  format<Options extends object>(dataSource: DataSourceClass<Options>): Pipeline<Options>;
  /** Writes to the registered data source of that name. Error: `DATA_SOURCE_NOT_FOUND`. */
  format(dataSource: string): Pipeline<Record<string, unknown>>;
  format(dataSource: DataSourceClass<never> | string): Pipeline<never> {
    return new Pipeline<never>(this.#name, this.#source, { dataSource: resolve(dataSource), options: {} });
  }
}

/** Begins a pipeline. `name` is its identity in the ledger: 1 to 64 lower-case letters, digits, `-` or `_`. Error: `PIPELINE_NAME_INVALID`. */
export function pipeline(name: string): { readonly readStream: ReadStreamChooser } {
  if (!NAME.test(name)) {
    throw new MillraceError("PIPELINE_NAME_INVALID", `"${name}" cannot name a pipeline`, {
      hint: "Use 1 to 64 lower-case letters, digits, - or _, beginning with a letter or digit.",
    });
  }
  return { readStream: new ReadStreamChooser(name) };
}

/** `trigger`, where it is one. */
export function checkTrigger(trigger: Trigger): Trigger {
  const kinds: Readonly<Record<string, unknown>> = trigger;
  const set = ["once", "availableNow", "processingTime"].filter((kind) => kinds[kind] !== undefined);
  const isFlag = kinds["once"] === true || kinds["availableNow"] === true;
  if (set.length === 1 && "processingTime" in trigger) {
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

function resolve(dataSource: DataSourceClass<never> | string): DataSourceClass<never> {
  return typeof dataSource === "string" ? findDataSource(dataSource) : dataSource;
}

function withOptions(configured: Configured, options: object): Configured {
  return { ...configured, options: { ...configured.options, ...options } };
}
