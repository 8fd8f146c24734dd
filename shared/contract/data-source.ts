import type { Schema } from "apache-arrow";
import type { DataSourceReader } from "./batch-reader.ts";
import type { Writer } from "./batch-writer.ts";
import type { DataSourceRuntime } from "./context.ts";
import { MillraceError } from "./errors.ts";
import type { OptionsSchema } from "./options/parse.ts";
import type { SchemaLike } from "./schema-like.ts";
import type { Awaitable, DataSourceStreamReader, SimpleDataSourceStreamReader } from "./stream-reader.ts";
import type { StreamWriter } from "./stream-writer.ts";
import type { SupportsAutoCdc } from "./write/auto-cdc.ts";
import type { SupportsWrite } from "./write/table.ts";

/**
 * Base class of everything that a pipeline can read from or write to. Works like Spark's
 * `DataSource`: override the methods that your source or sink supports. `.format(name)` finds it by
 * the class's static `name`, which is the class name unless you set `static override readonly name
 * = "rest-api"`.
 */
export abstract class DataSource<Options extends object = Readonly<Record<string, unknown>>> {
  /**
   * The options of the pipeline, as parsed by the class's `optionsSchema`. Without a schema they
   * are passed unchanged, with case-insensitive names as in Spark.
   */
  readonly options: Options;
  /** Clock, ids, environment variables and stores. */
  readonly runtime: DataSourceRuntime;

  constructor(options: Options, runtime: DataSourceRuntime) {
    this.options = options;
    this.runtime = runtime;
  }

  /** Returns the schema of the rows that the source reads. Sinks do not need it. */
  schema(): Awaitable<SchemaLike> {
    return this.#missing("schema()");
  }

  /**
   * Returns the source's records from their beginning, as they are before a schema is applied, for
   * `millrace schema --infer`. It must not change the source or its store. Without it, or if it
   * returns `undefined`, rows of the reader are taken, if they are objects.
   */
  sample?(): AsyncIterable<object> | undefined;

  /** Returns a new batch reader. Called each time that a reader is needed. */
  reader(_schema: Schema): DataSourceReader<unknown> {
    return this.#missing("reader(schema)");
  }

  /** Returns a new stream reader. Called each time that a reader is needed. */
  streamReader(_schema: Schema): DataSourceStreamReader<object, unknown> {
    return this.#missing(
      "streamReader(schema)",
      "streamReader(schema), or simpleStreamReader(schema) for a small source,",
    );
  }

  /**
   * Returns a new reader for a small stream without partitions. Called only if the data source has
   * no `streamReader`, each time that a reader is needed.
   */
  simpleStreamReader(_schema: Schema): SimpleDataSourceStreamReader<object> {
    return this.#missing("simpleStreamReader(schema)");
  }

  /**
   * Returns a new batch writer, for rows or for Arrow record batches; a stream writer is accepted
   * too. Called for each task, commit and abort. `overwrite` is true if the batch replaces the rows
   * of the target.
   */
  writer(_schema: Schema, _overwrite: boolean): Writer<unknown> {
    return this.#missing("writer(schema, overwrite)");
  }

  /**
   * Returns a new stream writer, for rows or for Arrow record batches. Called for each task, commit
   * and abort. `overwrite` is true in the output mode `complete`, in which each batch replaces
   * the rows of the target.
   */
  streamWriter(_schema: Schema, _overwrite: boolean): StreamWriter<unknown> {
    return this.#missing("streamWriter(schema, overwrite)");
  }

  /**
   * Returns the names of the environment variables without which it can neither read nor write,
   * such as those of secrets. If one is not set, a run ends before anything is planned. Error:
   * `SECRET_MISSING`.
   */
  requiredEnvironment?(): readonly string[];

  /**
   * Returns the columns by which a person knows a row of this sink. The error of a row shows their
   * values on the terminal and in the home's log, never in the ledger.
   */
  keyColumns?(): readonly string[];

  /**
   * Returns the table that rows of this schema are written to, in the form of Spark's package
   * `connector.write`. If a data source has this method, `writer` and `streamWriter` are not
   * called. Called in each step of a batch. (Spark: `TableProvider.getTable`.)
   */
  table?(schema: Schema): Awaitable<SupportsWrite>;

  /**
   * Returns the table that streams of changes are merged into. A data source needs it only if it
   * has no `table`, or another one for them. Called in each step of a batch.
   */
  autoCdcTable?(schema: Schema): Awaitable<SupportsAutoCdc>;

  #missing(method: string, instead: string = method): never {
    const { name } = this.constructor;
    throw new MillraceError("NOT_SUPPORTED", `data source "${name}" has no ${method}`, {
      hint: `Implement ${instead} in ${name}, or use a data source that has it.`,
    });
  }
}

/** The class of a data source, as `.format()` accepts it. */
export interface DataSourceClass<Options extends object> {
  /** The name by which `.format(name)` finds the class. */
  readonly name: string;
  /**
   * Checks the options when a run or a deployment starts. The schema's input type is what a
   * pipeline may set; its output type is what the constructor receives.
   */
  readonly optionsSchema?: OptionsSchema;
  /** Called in each process that needs the data source, so it should only store its arguments. */
  new (options: Options, runtime: DataSourceRuntime): DataSource<object>;
}

/** A class with an `optionsSchema`. The pipeline's options have the input type of this schema. */
export interface CheckedDataSourceClass<Input extends object, Output extends object = never>
  extends DataSourceClass<Output> {
  /** The schema of the options: any Standard Schema. */
  readonly optionsSchema: OptionsSchema<Input, Output>;
}
