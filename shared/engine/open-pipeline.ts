import type { Schema } from "apache-arrow";
import type { BatchContext, Runtime, SinkContext } from "../contract/context.ts";
import { type ErrorLocation, MillraceError, toMillraceError } from "../contract/errors.ts";
import type { JsonValue } from "../contract/json.ts";
import { checkOffset, type Offset } from "../contract/offset.ts";
import type { Pipeline } from "../contract/pipeline.ts";
import type { ReadLimit } from "../contract/read-limit.ts";
import { toSchema } from "../contract/schema.ts";
import type {
  Awaitable,
  DataSourceStreamReader,
  SupportsTriggerAvailableNow,
} from "../contract/stream-reader.ts";
import type { DataSourceStreamArrowWriter } from "../contract/stream-writer.ts";
import type { Batch } from "../ledger/ledger.ts";
import type { Ports } from "./ports.ts";

/**
 * A pipeline whose source was made and asked for its schema: the calls of the contract, each with its checks, and each error
 * with the place where it happened. One for each process that runs a part of the pipeline.
 */
export class OpenPipeline {
  readonly pipeline: Pipeline;
  readonly schema: Schema;
  readonly runtime: Runtime;
  readonly #ports: Ports;
  readonly #makeReader: (schema: Schema) => DataSourceStreamReader<object, unknown>;
  #reader: DataSourceStreamReader<object, unknown> | undefined;

  private constructor(
    pipeline: Pipeline,
    ports: Ports,
    schema: Schema,
    makeReader: (schema: Schema) => DataSourceStreamReader<object, unknown>,
  ) {
    this.pipeline = pipeline;
    this.schema = schema;
    this.runtime = ports.runtime;
    this.#ports = ports;
    this.#makeReader = makeReader;
  }

  /** Makes the source, and takes its schema unless `schema` is given (as a batch recorded it). */
  static async open(pipeline: Pipeline, ports: Ports, schema?: Schema): Promise<OpenPipeline> {
    const where = { pipeline: pipeline.name };
    const source = await guard(
      "SOURCE_FAILED",
      `making the source "${pipeline.source.dataSource.name}" failed`,
      where,
      () => {
        return new pipeline.source.dataSource(pipeline.source.options as never, ports.runtime);
      },
    );
    const known = schema ?? (await guard("SOURCE_FAILED", "schema() failed", where, () => source.schema()));
    return new OpenPipeline(pipeline, ports, toSchema(known), (readSchema) =>
      source.streamReader(readSchema),
    );
  }

  /** The reader that plans: one for the whole run. */
  async #planner(): Promise<DataSourceStreamReader<object, unknown>> {
    this.#reader ??= await this.newReader(this.schema);
    return this.#reader;
  }

  /** A reader for a task, or for planning. */
  async newReader(schema: Schema): Promise<DataSourceStreamReader<object, unknown>> {
    return await guard("SOURCE_FAILED", "streamReader() failed", { pipeline: this.pipeline.name }, () =>
      this.#makeReader(schema),
    );
  }

  /** True where the reader fixes what "available now" is; it is told to. */
  async prepareForTriggerAvailableNow(): Promise<boolean> {
    const reader = await this.#planner();
    if (!("prepareForTriggerAvailableNow" in reader)) return false;
    await this.#call("prepareForTriggerAvailableNow", (r) =>
      (r as unknown as SupportsTriggerAvailableNow).prepareForTriggerAvailableNow(),
    );
    return true;
  }

  async initialOffset(): Promise<Offset> {
    return checkOffset(
      await this.#call("initialOffset", (reader) => reader.initialOffset()),
      "initialOffset()",
    );
  }

  /** The end of the next batch. Errors: `OFFSET_NOT_JSON`, `OFFSET_WENT_BACK`. */
  async latestOffset(start: Offset, limit: ReadLimit): Promise<Offset> {
    const end = checkOffset(
      await this.#call("latestOffset", (reader) => reader.latestOffset(start, limit)),
      "latestOffset()",
    );
    const order = await this.#call("compareOffsets", (reader) => reader.compareOffsets?.(end, start));
    if (order === undefined || order >= 0) return end;
    throw new MillraceError(
      "OFFSET_WENT_BACK",
      `latestOffset() gave ${JSON.stringify(end)}, which is before the start ${JSON.stringify(start)}`,
      {
        where: { pipeline: this.pipeline.name },
        hint: "Give the start itself where nothing is new, never an offset before it.",
      },
    );
  }

  async partitions(start: Offset, end: Offset): Promise<readonly unknown[]> {
    const partitions: unknown = await this.#call("partitions", (reader) => reader.partitions(start, end));
    if (Array.isArray(partitions)) return partitions as readonly unknown[];
    throw new MillraceError("PARTITIONS_NOT_AN_ARRAY", "partitions(start, end) must give an array", {
      where: { pipeline: this.pipeline.name },
      hint: "Give an array of JSON values, one for each task; [] for a batch without rows.",
    });
  }

  async commitOffset(end: Offset): Promise<void> {
    await this.#call("commit", (reader) => reader.commit(end));
  }

  /** Stops the planning reader. Best effort, as in Spark: an error is not told. */
  async stop(): Promise<void> {
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader !== undefined) await stopReader(reader, this.runtime);
  }

  /** A writer made anew: nothing travels between the tasks and the commit but the messages. */
  async newWriter(schema: Schema): Promise<DataSourceStreamArrowWriter<unknown>> {
    const { dataSource, options } = this.pipeline.sink;
    return await guard(
      "SINK_FAILED",
      `making the sink "${dataSource.name}" failed`,
      { pipeline: this.pipeline.name },
      () => new dataSource(options as never, this.runtime).streamWriter(schema, false),
    );
  }

  sinkContext(incarnation: string): SinkContext {
    return {
      pipeline: this.pipeline.name,
      incarnation,
      store: this.#ports.store,
      openStore: (location) => this.#ports.openStore(location),
    };
  }

  batchContext(batch: Batch, lastCommit: JsonValue | undefined): BatchContext {
    return {
      ...this.sinkContext(batch.incarnation),
      batchId: batch.batchId,
      attempt: batch.attempt,
      commitTried: batch.lastTriedAttempt === batch.attempt,
      plannedAt: batch.plannedAt,
      ...(lastCommit === undefined ? {} : { lastCommit }),
    };
  }

  async #call<T>(
    method: string,
    body: (reader: DataSourceStreamReader<object, unknown>) => Awaitable<T>,
  ): Promise<T> {
    const reader = await this.#planner();
    return await guard("SOURCE_FAILED", `${method}() failed`, { pipeline: this.pipeline.name }, () =>
      body(reader),
    );
  }
}

const STOP_MILLISECONDS = 5000;

/** Stops a reader. Best effort, as in Spark: an error is not told, and a reader that never answers is left behind. */
export async function stopReader(
  reader: DataSourceStreamReader<object, unknown>,
  runtime: Runtime,
): Promise<void> {
  const waiting = new AbortController();
  const stopped = (async () => reader.stop())().catch(() => undefined);
  await Promise.race([stopped, runtime.sleep(STOP_MILLISECONDS, waiting.signal).catch(() => undefined)]);
  waiting.abort();
}

/** Calls code of a user; whatever it throws becomes a MillraceError at `where`. */
export async function guard<T>(
  code: string,
  doing: string,
  where: ErrorLocation,
  body: () => Awaitable<T>,
  retryable = false,
): Promise<T> {
  try {
    return await body();
  } catch (error) {
    throw toMillraceError(error, code, doing, where, retryable);
  }
}
