import type { Schema } from "apache-arrow";
import type { Runtime } from "../../contract/context.ts";
import type { DataSource } from "../../contract/data-source.ts";
import { toSchema } from "../../contract/ddl/to-schema.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { Pipeline } from "../../contract/pipeline.ts";
import type {
  DataSourceStreamReader,
  RowSource,
  SimpleDataSourceStreamReader,
} from "../../contract/stream-reader.ts";
import { BackfillReader } from "../backfill/reader.ts";
import type { Ports } from "../ports/runtime.ts";
import { type RowPipeline, rowPipeline } from "../steps/row-pipeline.ts";
import { BatchPlanner } from "./batch-planner.ts";
import { BATCH_READER, checkImplementation, SIMPLE_READER, STREAM_READER } from "./check-implementation.ts";
import { dataSourceRuntime } from "./data-source-runtime.ts";
import { guard } from "./guard.ts";
import { Planner } from "./planner.ts";
import { SimplePlanner } from "./simple-planner.ts";

export interface SourceSessionOptions {
  /**
   * Called with the name of a method of the planning reader when the call starts, and with
   * `undefined` when it has ended.
   */
  onCall?(method: string | undefined): void;
}

/** The schemas of a batch. */
export interface Schemas {
  /** That of the rows that the sink gets. */
  readonly schema: Schema;
  /** That of the source's own rows. Absent if the pipeline has no steps. */
  readonly sourceSchema?: Schema;
}

/**
 * The source of a pipeline: its schema and its readers. Each process that runs a part of the
 * pipeline has one.
 */
export class SourceSession {
  readonly #pipeline: Pipeline;
  readonly #ports: Ports;
  readonly #source: DataSource<object>;
  readonly #options: SourceSessionOptions;
  #schema: Schema | undefined;
  #rowPipeline: RowPipeline | undefined;
  #planner: Promise<Planner> | undefined;

  private constructor(
    pipeline: Pipeline,
    ports: Ports,
    source: DataSource<object>,
    schema: Schema | undefined,
    options: SourceSessionOptions,
  ) {
    this.#pipeline = pipeline;
    this.#ports = ports;
    this.#source = source;
    this.#schema = schema;
    this.#options = options;
  }

  /** Creates the source. Throws `SOURCE_FAILED`. */
  static async open(
    pipeline: Pipeline,
    ports: Ports,
    sourceOptions: object,
    options: SourceSessionOptions & { readonly schema?: Schema },
  ): Promise<SourceSession> {
    const { dataSource, schema } = pipeline.source;
    const where = { pipeline: pipeline.name };
    const made = await guard(
      "SOURCE_FAILED",
      `making the source "${dataSource.name}" failed`,
      where,
      () => new dataSource(sourceOptions as never, dataSourceRuntime(ports)),
    );
    const given = schema === undefined ? undefined : toSchema(schema);
    return new SourceSession(pipeline, ports, made, options.schema ?? given, options);
  }

  /**
   * Returns the current schema of the rows that the sink gets. A batch that is already planned
   * keeps the schema that is recorded with it. Throws `STEP_INVALID`.
   */
  async schema(): Promise<Schema> {
    return (await this.currentSchemas()).schema;
  }

  /** Returns the current schemas, as a plan records them. */
  async currentSchemas(): Promise<Schemas> {
    return this.schemasFrom(await this.sourceSchema());
  }

  /** Returns the schemas of rows of the source that have this one. Throws `STEP_INVALID`. */
  schemasFrom(sourceSchema: Schema): Schemas {
    const schema = this.rowPipeline(sourceSchema)?.schema;
    return schema === undefined ? { schema: sourceSchema } : { schema, sourceSchema };
  }

  /** Returns what is done to rows of this schema; `undefined` if there are no steps. */
  rowPipeline(sourceSchema: Schema): RowPipeline | undefined {
    const { steps } = this.#pipeline.source;
    if (steps === undefined) return undefined;
    if (this.#rowPipeline?.sourceSchema !== sourceSchema)
      this.#rowPipeline = rowPipeline(sourceSchema, steps, this.#where);
    return this.#rowPipeline;
  }

  /** Returns the current schema of the source's own rows. */
  async sourceSchema(): Promise<Schema> {
    this.#schema ??= toSchema(
      await guard("SOURCE_FAILED", "schema() failed", this.#where, () => this.#source.schema()),
    );
    return this.#schema;
  }

  /** Returns records before a schema is applied, if the source has a way to tell them. */
  sample(): AsyncIterable<object> | undefined {
    return this.#source.sample?.();
  }

  /** Returns the schema that the source tells itself, or `undefined` if it needs one. */
  async ownSchema(): Promise<Schema | undefined> {
    const own = guard("SOURCE_FAILED", "schema() failed", this.#where, () => this.#source.schema());
    try {
      return toSchema(await own);
    } catch (error) {
      if (isNotSupported(error) || (MillraceError.is(error) && error.code === "SCHEMA_REQUIRED"))
        return undefined;
      throw error;
    }
  }

  /**
   * Returns the reader that plans, which is created once per session. Only the first call uses
   * `schema`, which is that of the source's own rows; without it the reader gets the current one.
   */
  async planner(schema?: Schema): Promise<Planner> {
    this.#planner ??= this.#newPlanner(schema);
    try {
      return await this.#planner;
    } catch (error) {
      // A later call tries again.
      this.#planner = undefined;
      throw error;
    }
  }

  async #newPlanner(given: Schema | undefined): Promise<Planner> {
    const schema = given ?? (await this.sourceSchema());
    const reader = await this.#planningReader(schema);
    return new Planner(reader, { pipeline: this.#pipeline.name, onCall: this.#options.onCall });
  }

  /**
   * Returns the reader for planning. `simpleStreamReader` is called only if the data source has no
   * `streamReader`, as in Spark.
   */
  async #planningReader(schema: Schema): Promise<DataSourceStreamReader<object, unknown>> {
    try {
      return await this.reader(schema);
    } catch (error) {
      if (this.#isBatch || this.#pipeline.backfill !== undefined || !isNotSupported(error)) throw error;
      const simple = await this.simpleReader(schema).catch((other: unknown) => {
        throw isNotSupported(other) ? error : other;
      });
      return new SimplePlanner(simple, schema, this.#where);
    }
  }

  /**
   * Creates a reader for a task or for planning. `watchRows` wraps the rows that the source returns
   * if the pipeline has filters.
   */
  async reader(
    schema: Schema,
    watchRows?: (rows: RowSource) => RowSource,
  ): Promise<DataSourceStreamReader<object, unknown>> {
    const where = this.#where;
    if (!this.#isBatch) {
      const made = await guard("SOURCE_FAILED", "streamReader() failed", where, () =>
        this.#source.streamReader(schema),
      );
      const reader = checkImplementation(made, "streamReader", STREAM_READER, where);
      const { backfill } = this.#pipeline;
      return backfill === undefined ? reader : new BackfillReader(reader, backfill.range, where);
    }
    const made = await guard("SOURCE_FAILED", "reader() failed", where, () => this.#source.reader(schema));
    const reader = checkImplementation(made, "reader", BATCH_READER, where);
    return new BatchPlanner(reader, schema, this.#pipeline.source.filters ?? [], where, watchRows);
  }

  /** Creates a simple reader. A replay needs it if the stored rows have been deleted. */
  async simpleReader(schema: Schema): Promise<SimpleDataSourceStreamReader<object>> {
    const made = await guard("SOURCE_FAILED", "simpleStreamReader() failed", this.#where, () =>
      this.#source.simpleStreamReader(schema),
    );
    return checkImplementation(made, "simpleStreamReader", SIMPLE_READER, this.#where);
  }

  /** Stops the planning reader. As in Spark, an error is ignored. */
  async stop(): Promise<void> {
    const planner = await this.#planner?.catch(() => undefined);
    this.#planner = undefined;
    if (planner !== undefined) await stopReader(planner.reader, this.#ports.runtime);
  }

  get #isBatch(): boolean {
    return this.#pipeline.saveMode !== undefined;
  }

  get #where(): { readonly pipeline: string } {
    return { pipeline: this.#pipeline.name };
  }
}

function isNotSupported(error: unknown): boolean {
  return MillraceError.is(error) && error.code === "NOT_SUPPORTED";
}

const STOP_MILLISECONDS = 5000;

/**
 * Calls `stop` of a reader. As in Spark, an error is ignored. A reader that does not answer within
 * 5 seconds is abandoned.
 */
export async function stopReader(
  reader: DataSourceStreamReader<object, unknown>,
  runtime: Runtime,
): Promise<void> {
  const waiting = new AbortController();
  const stopped = (async () => reader.stop())().catch(() => undefined);
  await Promise.race([stopped, runtime.sleep(STOP_MILLISECONDS, waiting.signal).catch(() => undefined)]);
  waiting.abort();
}
