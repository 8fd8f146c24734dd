import type { Schema } from "apache-arrow";
import type { DataSourceReader } from "./batch-reader.ts";
import type { Writer } from "./batch-writer.ts";
import type { DataSourceRuntime } from "./context.ts";
import { MillraceError } from "./errors.ts";
import type { OptionsSchema } from "./options/parse.ts";
import type { Awaitable, DataSourceStreamReader, SimpleDataSourceStreamReader } from "./stream-reader.ts";
import type { StreamWriter } from "./stream-writer.ts";

/** An Arrow schema, or Spark's DDL for one: `"id string NOT NULL, time timestamp, mag double"`. */
export type SchemaLike = Schema | string;

/**
 * Something to read from or write to. Semantics of Spark's `DataSource`: override what it supports.
 * The name for `.format(name)` is the class's static `name`: its class name, unless it sets `static
 * override readonly name = "rest-api"`.
 */
export abstract class DataSource<Options extends object = Readonly<Record<string, unknown>>> {
  /**
   * As the class's `optionsSchema` made them of what the pipeline sets. Without one: as the
   * pipeline sets them, found under names of any case, as in Spark.
   */
  readonly options: Options;
  /** Clock, ids, environment and stores. */
  readonly runtime: DataSourceRuntime;

  constructor(options: Options, runtime: DataSourceRuntime) {
    this.options = options;
    this.runtime = runtime;
  }

  /** The schema of the rows that are read. Only sources need it. */
  schema(): Awaitable<SchemaLike> {
    return this.#missing("schema()");
  }

  /** A reader for batches, made anew wherever one is needed. */
  reader(_schema: Schema): DataSourceReader<unknown> {
    return this.#missing("reader(schema)");
  }

  /** A reader for streams, made anew wherever one is needed. */
  streamReader(_schema: Schema): DataSourceStreamReader<object, unknown> {
    return this.#missing(
      "streamReader(schema)",
      "streamReader(schema), or simpleStreamReader(schema) for a small source,",
    );
  }

  /**
   * A reader for a small stream, made anew wherever one is needed. Asked only of a data source
   * without `streamReader`.
   */
  simpleStreamReader(_schema: Schema): SimpleDataSourceStreamReader<object> {
    return this.#missing("simpleStreamReader(schema)");
  }

  /**
   * A writer for batches, of rows or of Arrow record batches, made anew for the tasks and for each
   * commit or abort; a writer for streams will do. `overwrite` is true if the batch takes the
   * place of what is there.
   */
  writer(_schema: Schema, _overwrite: boolean): Writer<unknown> {
    return this.#missing("writer(schema, overwrite)");
  }

  /**
   * A writer for streams, of rows or of Arrow record batches, made anew for the tasks and for each
   * commit or abort. `overwrite` is false: streams append.
   */
  streamWriter(_schema: Schema, _overwrite: boolean): StreamWriter<unknown> {
    return this.#missing("streamWriter(schema, overwrite)");
  }

  #missing(method: string, instead: string = method): never {
    const { name } = this.constructor;
    throw new MillraceError("NOT_SUPPORTED", `data source "${name}" has no ${method}`, {
      hint: `Implement ${instead} in ${name}, or use a data source that has it.`,
    });
  }
}

/** The class of a data source, as pipelines take it. */
export interface DataSourceClass<Options extends object> {
  /** The name for `.format(name)`. */
  readonly name: string;
  /**
   * Checks the options when a run, or a deployment, begins. Its input is then what a pipeline may
   * set, its output what the class gets.
   */
  readonly optionsSchema?: OptionsSchema;
  /**
   * Called in each process that needs the data source, so it should do nothing but keep what it is
   * given.
   */
  new (options: Options, runtime: DataSourceRuntime): DataSource<object>;
}

/** A class whose options are checked: a pipeline sets what its `optionsSchema` takes. */
export interface CheckedDataSourceClass<Input extends object, Output extends object = never>
  extends DataSourceClass<Output> {
  /** Any Standard Schema. */
  readonly optionsSchema: OptionsSchema<Input, Output>;
}
