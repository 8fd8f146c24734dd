import type { BatchContext, TaskContext } from "../../contract/context.ts";
import type { ErrorLocation } from "../../contract/errors.ts";
import type { JsonValue } from "../../contract/json.ts";
import type { Awaitable } from "../../contract/stream-reader.ts";
import { BatchWrite } from "../../contract/write/batch-write.ts";
import type { AnyDataWriter, DataWriterFactory } from "../../contract/write/data-writer.ts";
import type { CustomMetric, CustomTaskMetric } from "../../contract/write/metrics.ts";
import type { WriteSummary } from "../../contract/write/summary.ts";
import { Write } from "../../contract/write/write.ts";
import type { PhysicalWriteInfo } from "../../contract/write/write-info.ts";
import type { EngineWrite, Exchange, RowTransform } from "../sessions/engine-write.ts";
import { withRequirementOf } from "../sessions/requirement.ts";
import { restoreFactory } from "../sessions/table-factory.ts";
import type { CommandPlan } from "./command-plan.ts";
import { commandTransform, insertTransform, mergeExchanges } from "./command-transform.ts";
import { CountingWriter } from "./counting-writer.ts";
import { COUNTS, summaryOf } from "./counts.ts";
import { OperationWriter } from "./operation-writer.ts";

/** What the write of a command is made of. */
export interface CommandWriteParts {
  /** The write of the table. */
  readonly write: Write;
  readonly plan: CommandPlan;
  /** True if the rows of a merge's source are appended. */
  readonly isInsert: boolean;
  /** True if no row of the table remains, so that nobody counts them. */
  readonly deletesAll: boolean;
  /** Tells the operation what was scanned, if another step has planned that. */
  tellScanned(): Promise<void>;
  readonly where: ErrorLocation;
}

/**
 * Returns the write of a command, with the requirements of the table's write. They concern
 * operation rows, whose columns have the names of the table's.
 */
export function commandWrite(parts: CommandWriteParts): Write {
  return withRequirementOf(new CommandWrite(parts), parts.write);
}

/** The write of a command: operation rows for the writers of the table's write. */
class CommandWrite extends Write implements EngineWrite {
  readonly transform: RowTransform;
  readonly #parts: CommandWriteParts;

  constructor(parts: CommandWriteParts) {
    super();
    this.#parts = parts;
    this.transform = parts.isInsert ? insertTransform(parts.plan) : commandTransform(parts.plan);
  }

  override get description(): string {
    return this.#parts.write.description;
  }

  exchanges(inputPartitions: number): readonly Exchange[] {
    return mergeExchanges(this.#parts.plan, inputPartitions);
  }

  summaryOf(counts: Readonly<Record<string, number>>): WriteSummary {
    const { plan, deletesAll } = this.#parts;
    return summaryOf(plan.command.command, counts, deletesAll);
  }

  override async toBatch(): Promise<BatchWrite<unknown>> {
    const batch = await this.#parts.write.toBatch();
    return batch.restoreBatchWriterFactory === undefined
      ? new CommandBatchWrite(batch, this.#parts)
      : new RestoringBatchWrite(batch, this.#parts);
  }

  override supportedCustomMetrics(): readonly CustomMetric[] {
    return this.#parts.write.supportedCustomMetrics();
  }

  override reportDriverMetrics(): Awaitable<readonly CustomTaskMetric[]> {
    return this.#parts.write.reportDriverMetrics();
  }
}

class CommandBatchWrite extends BatchWrite<unknown> {
  protected readonly batch: BatchWrite<unknown>;
  protected readonly parts: CommandWriteParts;
  #factory: CommandFactory | undefined;

  constructor(batch: BatchWrite<unknown>, parts: CommandWriteParts) {
    super();
    this.batch = batch;
    this.parts = parts;
  }

  override async createBatchWriterFactory(info: PhysicalWriteInfo): Promise<DataWriterFactory<unknown>> {
    await this.parts.tellScanned();
    return this.made(await this.batch.createBatchWriterFactory(info));
  }

  protected made(factory: DataWriterFactory<unknown>): CommandFactory {
    this.#factory = new CommandFactory(factory, this.parts);
    return this.#factory;
  }

  override useCommitCoordinator(): boolean {
    return this.batch.useCommitCoordinator();
  }

  override onDataWriterCommit(message: unknown): Awaitable<void> {
    return this.batch.onDataWriterCommit(message);
  }

  override commit(
    messages: readonly unknown[],
    summary: WriteSummary | undefined,
    batch: BatchContext,
  ): Awaitable<unknown> {
    this.#factory?.restore();
    return this.batch.commit(messages, summary, batch);
  }

  override abort(messages: readonly unknown[], batch: BatchContext): Awaitable<void> {
    this.#factory?.restore();
    return this.batch.abort(messages, batch);
  }
}

/** Only a write that has `restoreBatchWriterFactory` itself is asked for it. */
class RestoringBatchWrite extends CommandBatchWrite {
  override async restoreBatchWriterFactory(
    fields: Readonly<Record<string, JsonValue>>,
  ): Promise<DataWriterFactory<unknown>> {
    const factory = await this.batch.restoreBatchWriterFactory?.(fields);
    return this.made(factory as DataWriterFactory<unknown>);
  }
}

type Fields = Readonly<Record<string, JsonValue>>;

/** Has the own fields of the table's factory, which travel to the tasks. */
class CommandFactory implements DataWriterFactory<unknown> {
  readonly #factory: DataWriterFactory<unknown>;
  readonly #parts: CommandWriteParts;

  constructor(factory: DataWriterFactory<unknown>, parts: CommandWriteParts) {
    this.#factory = factory;
    this.#parts = parts;
    const fields = Object.entries(factory).filter(([name]) => name !== "createWriter");
    Object.assign(this, Object.fromEntries(fields));
  }

  /** Sets the fields that the engine has put into this object in the table's factory. */
  restore(): void {
    restoreFactory(this.#factory, { ...this } as unknown as Fields);
  }

  async createWriter(
    partitionId: number,
    taskId: number,
    task: TaskContext,
  ): Promise<AnyDataWriter<unknown>> {
    const { plan, isInsert } = this.#parts;
    this.restore();
    const writer = await this.#factory.createWriter(partitionId, taskId, task);
    if (isInsert) return new CountingWriter(writer as AnyDataWriter<never>, "numTargetRowsInserted");
    const { pipeline, batchId, attempt, attemptNumber } = task;
    const where = { pipeline, batchId, partition: partitionId, attempt, attemptNumber };
    return new OperationWriter({ writer, layout: plan.layout, counts: COUNTS[plan.command.command], where });
  }
}
