import type { RecordBatch } from "apache-arrow";
import type { ColumnMatch } from "../../arrow/match-columns.ts";
import type { Arrangement } from "../../contract/arrangement.ts";
import type { BatchContext, TaskContext } from "../../contract/context.ts";
import type { ErrorLocation } from "../../contract/errors.ts";
import type { Awaitable } from "../../contract/stream-reader.ts";
import type { BatchWrite, StreamingWrite } from "../../contract/write/batch-write.ts";
import type {
  AnyDataWriter,
  DataWriterFactory,
  StreamingDataWriterFactory,
} from "../../contract/write/data-writer.ts";
import type { SortOrder } from "../../contract/write/distribution.ts";
import type { CustomMetric, CustomTaskMetric } from "../../contract/write/metrics.ts";
import type { WriteSummary } from "../../contract/write/summary.ts";
import type { V1Write, Write } from "../../contract/write/write.ts";
import type { LogicalWriteInfo, PhysicalWriteInfo } from "../../contract/write/write-info.ts";
import type { PlannedExchange } from "../partitions-format.ts";
import type { TableWrite } from "../ports/ledger.ts";
import { type SortingOptions, sortedRows } from "../shuffle/sorted-rows.ts";
import {
  BATCH_WRITE,
  checkImplementation,
  DATA_WRITER,
  STREAMING_WRITE,
  WRITER_FACTORY,
} from "./check-implementation.ts";
import type { EngineWrite, Exchange, RowTransform } from "./engine-write.ts";
import { guard } from "./guard.ts";
import { type Requirement, requirementOf } from "./requirement.ts";
import { recordedFactory, restoreFactory } from "./table-factory.ts";
import { V1BatchWrite } from "./v1-write.ts";

/** The exchanges of rows before a write. */
export interface PlannedStages {
  readonly exchanges: readonly Exchange[];
  /** The order in which a writer gets the rows of its task. */
  readonly ordering: readonly SortOrder[];
  /** True if the rows of the last exchange are those that the writers get. */
  readonly isTransformed: boolean;
}

/** The rows that all tasks of a batch wrote. */
export interface WrittenRows {
  readonly rows: number;
  /** Numbers of rows that an engine's writers counted, by name. */
  readonly counts: Readonly<Record<string, number>>;
}

/** How the rows of a writer are prepared. */
export interface RowsOptions extends SortingOptions {
  readonly ordering?: readonly SortOrder[];
  readonly isTransformed: boolean;
}

/** What a write is made of. */
export interface SinkWriteParts {
  readonly write: Write;
  readonly info: LogicalWriteInfo;
  /** True if the write inserts all rows in one call. */
  readonly isV1: boolean;
  readonly isStream: boolean;
  /** True if the sink has writers in the form of PySpark's API, of which nothing is recorded. */
  readonly isWriter: boolean;
  /** The object that has the methods of `SupportsStagedFiles` and the like. */
  readonly asked: object;
  /** How rows are matched with the columns of the table. Absent if they are written as they are. */
  readonly match: ColumnMatch | undefined;
  /** True in a step that plans: only it asks the write how rows are distributed and sorted. */
  readonly asksRequirement: boolean;
  /** How the pipeline wants them. */
  readonly arrangement: Arrangement | undefined;
  readonly where: ErrorLocation;
  newId(): string;
}

type Physical =
  | { readonly kind: "batch"; readonly write: BatchWrite<unknown> }
  | { readonly kind: "stream"; readonly write: StreamingWrite<unknown> };

/** The write of one batch in one step: planning, a task, or the commit. */
export class SinkWrite {
  readonly #parts: SinkWriteParts;
  readonly #physical: Physical;
  readonly #requirement: Requirement;
  /** The metrics that tasks and driver report. */
  readonly metrics: readonly CustomMetric[];

  private constructor(
    parts: SinkWriteParts,
    physical: Physical,
    requirement: Requirement,
    metrics: readonly CustomMetric[],
  ) {
    this.#parts = parts;
    this.#physical = physical;
    this.#requirement = requirement;
    this.metrics = metrics;
  }

  /** Asks the built write for its metrics and for the write of the batch. Error: `SINK_FAILED`. */
  static async open(parts: SinkWriteParts): Promise<SinkWrite> {
    const { write, where, isStream } = parts;
    const askMetrics = () =>
      guard("SINK_FAILED", "supportedCustomMetrics() failed", where, () => write.supportedCustomMetrics());
    if (isStream) {
      // As in Spark, a stream is asked for its requirements and metrics after the write of the batch.
      const physical = await openPhysical(parts);
      return new SinkWrite(parts, physical, await askRequirement(parts), await askMetrics());
    }
    const requirement = await askRequirement(parts);
    const metrics = await askMetrics();
    try {
      return new SinkWrite(parts, await openPhysical(parts), requirement, metrics);
    } catch (error) {
      await reportedMetrics(parts);
      throw error;
    }
  }

  /**
   * True for a writer in the form of PySpark's API, of which each `commit` and `abort` has its own.
   */
  get isWriter(): boolean {
    return this.#parts.isWriter;
  }

  get asked(): object {
    return this.#parts.asked;
  }

  /** Returns how tasks exchange rows before they write, and in which order a writer gets them. */
  stages(inputPartitions: number): PlannedStages {
    const { spec, ordering } = this.#requirement;
    const own = this.#engine.exchanges?.(inputPartitions) ?? [];
    const required = spec === undefined ? [] : [{ transform: transformOf(this.#parts), spec }];
    return { exchanges: [...own, ...required], ordering, isTransformed: spec !== undefined };
  }

  /** Returns what a task of an exchange makes of its rows. */
  exchangeTransform({ stage, inputPartitions }: PlannedExchange): RowTransform {
    return this.#engine.exchanges?.(inputPartitions)[stage]?.transform ?? transformOf(this.#parts);
  }

  /**
   * Returns the rows that a writer gets: in the columns of the table, and sorted. Errors:
   * `ROW_MISMATCH`, and those of the transform.
   */
  rowsToWrite(
    batches: AsyncIterable<RecordBatch>,
    task: TaskContext,
    { ordering = [], isTransformed, ...sorting }: RowsOptions,
  ): AsyncIterable<RecordBatch> {
    const transform = transformOf(this.#parts);
    const rows = isTransformed ? batches : transform.apply(batches, task);
    if (ordering.length === 0) return rows;
    return sortedRows(rows, transform.schema, ordering, sorting);
  }

  get #engine(): EngineWrite {
    return this.#parts.write as EngineWrite;
  }

  /** True if the write hears of each message before it commits or aborts. */
  get hearsOfTasks(): boolean {
    return this.#physical.kind === "batch" && !this.isWriter;
  }

  /** Returns the summary of an append. Overwrites have none, as in Spark. */
  #summaryOf({ rows, counts }: WrittenRows): WriteSummary | undefined {
    if (this.#engine.summaryOf !== undefined) return this.#engine.summaryOf(counts);
    const { saveMode } = this.#parts.info;
    return saveMode === "overwrite" ? undefined : { kind: "InsertSummary", numInsertedRows: rows };
  }

  /**
   * Makes the factory of the task writers, and returns what is recorded of it; `undefined` for
   * writers in the form of PySpark's API. Errors: `SINK_FAILED`, `FACTORY_NOT_JSON`,
   * `FACTORY_TOO_LARGE`.
   */
  async plan(inputPartitions: number): Promise<TableWrite | undefined> {
    const { where, info, isWriter } = this.#parts;
    if (isWriter) return undefined;
    try {
      const made = await this.#makeFactory(inputPartitions);
      const isCoordinated = await guard("SINK_FAILED", "useCommitCoordinator() failed", where, () =>
        this.#physical.write.useCommitCoordinator(),
      );
      const factory = recordedFactory(made, where);
      return { factory, isCoordinated, inputPartitions, plannedAt: info.plannedAt };
    } catch (error) {
      await reportedMetrics(this.#parts);
      throw error;
    }
  }

  /** Makes the factory as the planning step did, for a step that may keep something of it. */
  async repeatFactory(recorded: TableWrite): Promise<void> {
    await this.#restoredFactory(recorded);
  }

  /** Makes the writer of a task attempt. Error: `SINK_FAILED`. */
  async createWriter(
    recorded: TableWrite | undefined,
    taskId: number,
    task: TaskContext,
    where: ErrorLocation,
  ): Promise<AnyDataWriter<unknown>> {
    const factory =
      recorded === undefined ? await this.#makeFactory(1) : await this.#restoredFactory(recorded);
    const { partitionId, batchId } = task;
    const writer = await guard(
      "SINK_FAILED",
      "createWriter() failed",
      where,
      () =>
        this.#physical.kind === "batch"
          ? (factory as DataWriterFactory<unknown>).createWriter(partitionId, taskId, task)
          : (factory as StreamingDataWriterFactory<unknown>).createWriter(partitionId, taskId, batchId, task),
      true,
    );
    return checkImplementation(writer, "createWriter", DATA_WRITER, where);
  }

  async #makeFactory(inputPartitions: number): Promise<object> {
    const { where } = this.#parts;
    const info: PhysicalWriteInfo = { numPartitions: Math.max(1, inputPartitions), inputPartitions };
    const physical = this.#physical;
    const method = physical.kind === "batch" ? "createBatchWriterFactory" : "createStreamingWriterFactory";
    const factory: unknown = await guard("SINK_FAILED", `${method}() failed`, where, () =>
      physical.kind === "batch"
        ? physical.write.createBatchWriterFactory(info)
        : physical.write.createStreamingWriterFactory(info),
    );
    return checkImplementation(factory as object, method, WRITER_FACTORY, where);
  }

  async #restoredFactory({ factory: fields, inputPartitions }: TableWrite): Promise<object> {
    const physical = this.#physical;
    const restored = restorerOf(physical, fields);
    if (restored === undefined) {
      const factory = await this.#makeFactory(inputPartitions);
      restoreFactory(factory, fields);
      return factory;
    }
    const { where } = this.#parts;
    const { method, call } = restored;
    const factory = await guard("SINK_FAILED", `${method}() failed`, where, call);
    return checkImplementation(factory as object, method, WRITER_FACTORY, where);
  }

  async onDataWriterCommit(message: unknown): Promise<void> {
    if (this.#physical.kind === "batch") await this.#physical.write.onDataWriterCommit(message);
  }

  commit(messages: readonly unknown[], written: WrittenRows, batch: BatchContext): Awaitable<unknown> {
    return this.#physical.kind === "batch"
      ? this.#physical.write.commit(messages, this.#summaryOf(written), batch)
      : this.#physical.write.commit(batch.batchId, messages, batch);
  }

  abort(messages: readonly unknown[], batch: BatchContext): Awaitable<void> {
    return this.#physical.kind === "batch"
      ? this.#physical.write.abort(messages, batch)
      : this.#physical.write.abort(batch.batchId, messages, batch);
  }

  /** Returns the metrics that only the driver knows; none in a stream. Error: `SINK_FAILED`. */
  async reportDriverMetrics(): Promise<readonly CustomTaskMetric[]> {
    return await reportedMetrics(this.#parts);
  }
}

/** Returns the call that restores the factory, if the write has a method for it. */
function restorerOf(
  physical: Physical,
  fields: TableWrite["factory"],
): { readonly method: string; readonly call: () => Awaitable<unknown> } | undefined {
  const copy = structuredClone(fields);
  if (physical.kind === "batch") {
    const { write } = physical;
    if (write.restoreBatchWriterFactory === undefined) return undefined;
    return { method: "restoreBatchWriterFactory", call: () => write.restoreBatchWriterFactory?.(copy) };
  }
  const { write } = physical;
  if (write.restoreStreamingWriterFactory === undefined) return undefined;
  return { method: "restoreStreamingWriterFactory", call: () => write.restoreStreamingWriterFactory?.(copy) };
}

async function askRequirement(parts: SinkWriteParts): Promise<Requirement> {
  const { write, arrangement, where, asksRequirement } = parts;
  if (!asksRequirement) return { ordering: [] };
  return await requirementOf(write, transformOf(parts).schema, arrangement, where);
}

/** Returns what makes the rows of the writers: the write itself, or the match of the columns. */
function transformOf({ write, match, info }: SinkWriteParts): RowTransform {
  const own = (write as EngineWrite).transform;
  if (own !== undefined) return own;
  return {
    schema: info.schema,
    apply: (batches) => (match === undefined ? batches : matchedBatches(batches, match)),
  };
}

async function* matchedBatches(
  batches: AsyncIterable<RecordBatch>,
  match: ColumnMatch,
): AsyncGenerator<RecordBatch> {
  let rows = 0;
  for await (const batch of batches) {
    yield match.apply(batch, rows);
    rows += batch.numRows;
  }
}

async function openPhysical(parts: SinkWriteParts): Promise<Physical> {
  const { write, where, isStream, isV1, info, newId } = parts;
  if (isV1)
    return {
      kind: "batch",
      write: new V1BatchWrite(write as V1Write, info.schema, newId) as BatchWrite<unknown>,
    };
  const method = isStream ? "toStreaming" : "toBatch";
  const made = await guard<BatchWrite<unknown> | StreamingWrite<unknown>>(
    "SINK_FAILED",
    `${method}() failed`,
    where,
    () => write[method](),
  );
  checkImplementation(made, method, isStream ? STREAMING_WRITE : BATCH_WRITE, where);
  return isStream
    ? { kind: "stream", write: made as StreamingWrite<unknown> }
    : { kind: "batch", write: made as BatchWrite<unknown> };
}

async function reportedMetrics({
  write,
  isStream,
  where,
}: SinkWriteParts): Promise<readonly CustomTaskMetric[]> {
  if (isStream) return [];
  return await guard("SINK_FAILED", "reportDriverMetrics() failed", where, () => write.reportDriverMetrics());
}
