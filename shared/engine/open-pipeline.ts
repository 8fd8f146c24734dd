import type { RecordBatch, Schema } from "apache-arrow";
import { decodeSchema } from "../arrow/ipc-file.ts";
import type { SupportsExists, Writer } from "../contract/batch-writer.ts";
import type { BatchContext, DataSourceRuntime, Runtime, SinkContext } from "../contract/context.ts";
import type { DataSource } from "../contract/data-source.ts";
import { toSchema } from "../contract/ddl/to-schema.ts";
import type { ErrorCode } from "../contract/error-codes.ts";
import { type ErrorLocation, MillraceError, toMillraceError } from "../contract/errors.ts";
import { findNonJson, type JsonValue } from "../contract/json.ts";
import { checkOffset, compareByValue, type Offset } from "../contract/offset.ts";
import { parseOptions } from "../contract/options/parse.ts";
import type { Configured, Pipeline } from "../contract/pipeline.ts";
import { checkReadLimit, type ReadLimit } from "../contract/read-limit.ts";
import type {
  Awaitable,
  DataSourceStreamReader,
  RowSource,
  SimpleDataSourceStreamReader,
  SupportsTriggerAvailableNow,
} from "../contract/stream-reader.ts";
import { BatchPlanner } from "./batch-reader.ts";
import { checkPartitionsArray } from "./partitions-file.ts";
import type { Batch } from "./ports/ledger.ts";
import type { Ports } from "./ports/runtime.ts";
import {
  BATCH_READER,
  BATCH_WRITER,
  checkImplementation,
  SIMPLE_READER,
  STREAM_READER,
  STREAM_WRITER,
} from "./sessions/check-implementation.ts";
import { SimplePlanner } from "./simple-reader.ts";

/** Step Functions carries 256 KiB of state, and the target is one part of it. */
const MAX_TARGET_CHARACTERS = 16 * 1024;

/**
 * A pipeline whose source was made: the calls of the contract, each with its checks, and each error
 * with the place where it happened. One for each process that runs a part of the pipeline.
 */
export class OpenPipeline {
  readonly pipeline: Pipeline;
  readonly runtime: Runtime;
  /** The method of the reader that plans that is being called. */
  waitsFor: string | undefined;
  readonly #ports: Ports;
  readonly #source: DataSource<object>;
  readonly #sinkOptions: object;
  #schema: Schema | undefined;
  #reader: DataSourceStreamReader<object, unknown> | undefined;
  #defaultLimit: ReadLimit | undefined;

  private constructor(
    pipeline: Pipeline,
    ports: Ports,
    source: DataSource<object>,
    sinkOptions: object,
    schema: Schema | undefined,
  ) {
    this.pipeline = pipeline;
    this.runtime = ports.runtime;
    this.#ports = ports;
    this.#source = source;
    this.#sinkOptions = sinkOptions;
    this.#schema = schema;
  }

  /**
   * Checks the options of source and sink, and makes the source. It is asked for its schema when that is needed first, unless it is given here, or by the pipeline.
   * Error: `OPTIONS_INVALID`.
   */
  static async open(pipeline: Pipeline, ports: Ports, schema?: Schema): Promise<OpenPipeline> {
    const { name, source, sink } = pipeline;
    const where = { pipeline: name };
    const parsed = async ({ dataSource, options }: Configured) =>
      (await guard("OPTIONS_INVALID", `checking the options of "${dataSource.name}" failed`, where, () =>
        parseOptions(dataSource, options),
      )) as object;
    const sourceOptions = await parsed(source);
    const sinkOptions = await parsed(sink);
    const made = await guard(
      "SOURCE_FAILED",
      `making the source "${source.dataSource.name}" failed`,
      where,
      () => new source.dataSource(sourceOptions as never, runtimeOf(ports)),
    );
    const given = source.schema === undefined ? undefined : toSchema(source.schema);
    return new OpenPipeline(pipeline, ports, made, sinkOptions, schema ?? given);
  }

  /** The schema of the rows, as the source tells it now. A batch that was planned has its own. */
  async schema(): Promise<Schema> {
    this.#schema ??= toSchema(
      await guard("SOURCE_FAILED", "schema() failed", { pipeline: this.pipeline.name }, () =>
        this.#source.schema(),
      ),
    );
    return this.#schema;
  }

  /** Goes by the schema of a batch that was planned where the source was not asked yet: whoever ends it need not be able to ask. */
  assumeSchema(encoded: string): void {
    this.#schema ??= decodeSchema(encoded);
  }

  /** The reader that plans: one for the whole run. */
  async #planner(): Promise<DataSourceStreamReader<object, unknown>> {
    this.#reader ??= await this.#newPlanner(await this.schema());
    return this.#reader;
  }

  /** As in Spark, a data source without `streamReader` is asked for `simpleStreamReader`. */
  async #newPlanner(schema: Schema): Promise<DataSourceStreamReader<object, unknown>> {
    try {
      return await this.newReader(schema);
    } catch (error) {
      if (this.#isBatch || !isNotSupported(error)) throw error;
      const simple = await this.newSimpleReader(schema).catch((other: unknown) => {
        throw isNotSupported(other) ? error : other;
      });
      return new SimplePlanner(simple, schema, { pipeline: this.pipeline.name });
    }
  }

  /** A reader for a task, or for planning. `notice` is given the rows that filters are to choose from. */
  async newReader(
    schema: Schema,
    notice?: (rows: RowSource) => RowSource,
  ): Promise<DataSourceStreamReader<object, unknown>> {
    const where = { pipeline: this.pipeline.name };
    if (!this.#isBatch) {
      const made = await guard("SOURCE_FAILED", "streamReader() failed", where, () =>
        this.#source.streamReader(schema),
      );
      return checkImplementation(made, "streamReader", STREAM_READER, where);
    }
    const made = await guard("SOURCE_FAILED", "reader() failed", where, () => this.#source.reader(schema));
    const reader = checkImplementation(made, "reader", BATCH_READER, where);
    return new BatchPlanner(reader, schema, this.pipeline.source.filters ?? [], where, notice);
  }

  get #isBatch(): boolean {
    return this.pipeline.saveMode !== undefined;
  }

  /** A simple reader, for rows that are no longer kept. */
  async newSimpleReader(schema: Schema): Promise<SimpleDataSourceStreamReader<object>> {
    const where = { pipeline: this.pipeline.name };
    const made = await guard("SOURCE_FAILED", "simpleStreamReader() failed", where, () =>
      this.#source.simpleStreamReader(schema),
    );
    return checkImplementation(made, "simpleStreamReader", SIMPLE_READER, where);
  }

  /**
   * True where the reader fixes what "available now" is; it is told to, or reminded of the `target` that it fixed in another process
   * of the same run.
   */
  async prepareForTriggerAvailableNow(target?: JsonValue): Promise<boolean> {
    const reader = await this.#planner();
    if (!("prepareForTriggerAvailableNow" in reader)) return false;
    const bounded = reader as typeof reader & SupportsTriggerAvailableNow;
    const { restoreAvailableNow } = bounded;
    if (target !== undefined && restoreAvailableNow !== undefined) {
      await this.#call("restoreAvailableNow", () => restoreAvailableNow.call(bounded, target));
    } else {
      await this.#call("prepareForTriggerAvailableNow", () => bounded.prepareForTriggerAvailableNow());
    }
    return true;
  }

  /** What the reader fixed as available, where it can tell. Errors: `AVAILABLE_NOW_INVALID`. */
  async availableNowTarget(): Promise<JsonValue | undefined> {
    const target: unknown = await this.#call("availableNowTarget", (reader) =>
      (reader as Partial<SupportsTriggerAvailableNow>).availableNowTarget?.(),
    );
    if (target === undefined) return undefined;
    const problem = findNonJson(target, "target");
    const bytes = problem === undefined ? JSON.stringify(target).length : 0;
    if (problem === undefined && bytes <= MAX_TARGET_CHARACTERS) return target as JsonValue;
    throw new MillraceError(
      "AVAILABLE_NOW_INVALID",
      `availableNowTarget() gave ${problem ?? `${bytes} characters of JSON`}`,
      {
        where: { pipeline: this.pipeline.name },
        hint: `Give JSON of at most ${MAX_TARGET_CHARACTERS} characters, such as the last offset of the run: it travels with the run.`,
      },
    );
  }

  /** The reader's own limit, asked once. Error: `READ_LIMIT_INVALID`. */
  async defaultReadLimit(): Promise<ReadLimit> {
    this.#defaultLimit ??= await this.#call("getDefaultReadLimit", async (reader) =>
      checkReadLimit(await reader.getDefaultReadLimit(), "getDefaultReadLimit()"),
    );
    return this.#defaultLimit;
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
    if ((order ?? compareByValue(end, start) ?? 0) >= 0) return end;
    throw new MillraceError(
      "OFFSET_WENT_BACK",
      `${this.rereadsOffsets ? "latestOffset()" : "read(start)"} gave ${JSON.stringify(end)}, which is before the start ${JSON.stringify(start)}`,
      {
        where: { pipeline: this.pipeline.name },
        hint: "Give the start itself where nothing is new, never an offset before it.",
      },
    );
  }

  /** The end of all that is there, where the reader can tell. Error: `OFFSET_NOT_JSON`. */
  async reportLatestOffset(): Promise<Offset | undefined> {
    const latest = await this.#call("reportLatestOffset", (reader) => reader.reportLatestOffset());
    return (latest ?? undefined) === undefined ? undefined : checkOffset(latest, "reportLatestOffset()");
  }

  async partitions(start: Offset, end: Offset): Promise<readonly unknown[]> {
    const partitions: unknown = await this.#call("partitions", (reader) => reader.partitions(start, end));
    return checkPartitionsArray(partitions, this.#isBatch, { pipeline: this.pipeline.name });
  }

  /** False of a simple reader, which reads its rows to find an offset. */
  get rereadsOffsets(): boolean {
    return !(this.#reader instanceof SimplePlanner);
  }

  /** The rows that a simple reader read to find the end of the batch, once; nothing of any other reader. */
  takeRows(): AsyncIterable<RecordBatch> | undefined {
    return this.#reader instanceof SimplePlanner ? this.#reader.takeRows() : undefined;
  }

  async commitOffset(end: Offset): Promise<void> {
    await this.#call("commit", (reader) => reader.commit(end));
  }

  /** Stops the planning reader. Best effort, as in Spark: an error is not told. */
  async stop(): Promise<void> {
    const reader = this.#reader;
    this.#reader = undefined;
    this.#defaultLimit = undefined;
    if (reader !== undefined) await stopReader(reader, this.runtime);
  }

  /** A writer made anew: nothing travels between the tasks and the commit but the messages. */
  async newWriter(schema: Schema): Promise<Writer<unknown>> {
    const { sink, saveMode, name } = this.pipeline;
    const { dataSource } = sink;
    const where = { pipeline: name };
    const made = await guard("SINK_FAILED", `making the sink "${dataSource.name}" failed`, where, () => {
      const sink = new dataSource(this.#sinkOptions as never, runtimeOf(this.#ports));
      return saveMode === undefined
        ? sink.streamWriter(schema, false)
        : sink.writer(schema, saveMode === "overwrite");
    });
    return saveMode === undefined
      ? checkImplementation(made, "streamWriter", STREAM_WRITER, where)
      : checkImplementation(made, "writer", BATCH_WRITER, where);
  }

  /**
   * False where the target is there, and a batch is to leave it alone then. Errors: `TARGET_EXISTS`, `SAVE_MODE_NOT_SUPPORTED`.
   */
  async mayWrite(incarnation: string): Promise<boolean> {
    const { sink, saveMode, name } = this.pipeline;
    if (saveMode !== "errorifexists" && saveMode !== "ignore") return true;
    const where = { pipeline: name };
    const writer = (await this.newWriter(await this.schema())) as Partial<SupportsExists>;
    if (writer.exists === undefined) {
      throw new MillraceError(
        "SAVE_MODE_NOT_SUPPORTED",
        `the data source "${sink.dataSource.name}" cannot be written in the mode "${saveMode}"`,
        { where, hint: 'Choose .mode("append") or .mode("overwrite"), or give its writer exists(context).' },
      );
    }
    const exists = await guard("SINK_FAILED", "exists() failed", where, () =>
      writer.exists?.(this.sinkContext(incarnation)),
    );
    if (exists !== true) return true;
    if (saveMode === "ignore") return false;
    throw new MillraceError("TARGET_EXISTS", `the target of "${sink.dataSource.name}" is there already`, {
      where,
      hint: 'Nothing was read or written. Choose .mode("append"), .mode("overwrite") or .mode("ignore"), or another target.',
    });
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
    // The other modes do not go on from what is there: it may have been removed since.
    const { saveMode = "append" } = this.pipeline;
    return {
      ...this.sinkContext(batch.incarnation),
      batchId: batch.batchId,
      attempt: batch.attempt,
      commitTried: batch.lastTriedAttempt === batch.attempt,
      plannedAt: batch.plannedAt,
      ...(lastCommit === undefined || saveMode !== "append" ? {} : { lastCommit }),
    };
  }

  async #call<T>(
    method: string,
    body: (reader: DataSourceStreamReader<object, unknown>) => Awaitable<T>,
  ): Promise<T> {
    const reader = await this.#planner();
    this.waitsFor = `${method}()`;
    try {
      return await guard("SOURCE_FAILED", `${method}() failed`, { pipeline: this.pipeline.name }, () =>
        body(reader),
      );
    } finally {
      this.waitsFor = undefined;
    }
  }
}

/** Apart from `batches/` and from what a sink keeps in the pipeline's store. */
const SOURCE_FOLDER = "source";

function runtimeOf({ runtime, store, ...ports }: Ports): DataSourceRuntime {
  return {
    now: () => runtime.now(),
    newId: () => runtime.newId(),
    random: () => runtime.random(),
    sleep: (milliseconds, signal) => runtime.sleep(milliseconds, signal),
    env: runtime.env,
    store: store.at(SOURCE_FOLDER),
    openStore: (location) => ports.openStore(location),
  };
}

function isNotSupported(error: unknown): boolean {
  return MillraceError.is(error) && error.code === "NOT_SUPPORTED";
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
  code: ErrorCode,
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
