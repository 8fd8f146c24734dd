import type { BatchContext, TaskContext } from "../../contract/context.ts";
import type { ErrorLocation } from "../../contract/errors.ts";
import type { JsonValue } from "../../contract/json.ts";
import type { Awaitable } from "../../contract/stream-reader.ts";
import { StreamingWrite } from "../../contract/write/batch-write.ts";
import type { StreamingDataWriterFactory } from "../../contract/write/data-writer.ts";
import { type CustomMetric, CustomSumMetric, type CustomTaskMetric } from "../../contract/write/metrics.ts";
import { reference } from "../../contract/write/predicates.ts";
import type { DeltaStreamingWrite, DeltaWrite } from "../../contract/write/row-level.ts";
import { Write } from "../../contract/write/write.ts";
import type { PhysicalWriteInfo } from "../../contract/write/write-info.ts";
import { OperationWriter, type OperationWriterParts } from "../row-level/operation-writer.ts";
import type { EngineWrite, Exchange } from "../sessions/engine-write.ts";
import { recordedFactory, restoreFactory } from "../sessions/table-factory.ts";
import { ChangeRows } from "./change-rows.ts";
import { type ChangeCounts, LastChanges } from "./last-changes.ts";
import type { MergePlan } from "./merge-plan.ts";

/** How many bytes of changes a task should get. Spark's advisory size of a partition. */
const TARGET_BYTES = 64 * 1024 * 1024;

/** A metric of a merge. */
class ChangeMetric extends CustomSumMetric {
  override readonly name: string;
  override readonly description: string;

  constructor(name: string, description: string) {
    super();
    this.name = name;
    this.description = description;
  }
}

const MERGED = new ChangeMetric("changesMerged", "changes merged");
const SUPERSEDED = new ChangeMetric("changesSuperseded", "changes superseded in the batch");
const REPEATED = new ChangeMetric("changesRepeated", "changes repeated in the batch");

/** The write of a stream of changes: it gives the changes of each key to the table's own write. */
export class MergeWrite extends Write implements EngineWrite {
  readonly transform: LastChanges;
  readonly #plan: MergePlan;
  readonly #write: DeltaWrite;
  readonly #where: ErrorLocation;

  constructor(plan: MergePlan, write: DeltaWrite, where: ErrorLocation) {
    super();
    this.#plan = plan;
    this.#write = write;
    this.#where = where;
    this.transform = new LastChanges(plan);
  }

  override get description(): string {
    return this.#write.description;
  }

  /** The changes of one key must be in one task. Those of one partition are already. */
  exchanges(inputPartitions: number): readonly Exchange[] {
    if (inputPartitions <= 1) return [];
    const expressions = this.#plan.settings.keys.map((key) => reference(key));
    const size = { buckets: inputPartitions, isFixed: false, targetBytes: TARGET_BYTES, maySplit: false };
    return [{ transform: new ChangeRows(this.#plan), spec: { kind: "hash", expressions, ...size } }];
  }

  override async toStreaming(): Promise<StreamingWrite<unknown>> {
    const { layout } = this.#plan;
    const write = await this.#write.toStreaming();
    return new MergeStreamingWrite(write, { layout, counts: this.transform.counts, where: this.#where });
  }

  override supportedCustomMetrics(): readonly CustomMetric[] {
    return [MERGED, SUPERSEDED, REPEATED, ...this.#write.supportedCustomMetrics()];
  }
}

interface MergeWriterParts extends Pick<OperationWriterParts, "layout" | "where"> {
  readonly counts: ChangeCounts;
}

class MergeStreamingWrite extends StreamingWrite<unknown> {
  /** Only present if the table's write has it. */
  override readonly restoreStreamingWriterFactory?: (
    fields: Readonly<Record<string, JsonValue>>,
  ) => Promise<MergeWriterFactory>;
  readonly #write: DeltaStreamingWrite<unknown>;
  readonly #parts: MergeWriterParts;

  constructor(write: DeltaStreamingWrite<unknown>, parts: MergeWriterParts) {
    super();
    this.#write = write;
    this.#parts = parts;
    if (write.restoreStreamingWriterFactory === undefined) return;
    this.restoreStreamingWriterFactory = async ({ table }) => {
      const factory = await write.restoreStreamingWriterFactory?.(table as Record<string, JsonValue>);
      return new MergeWriterFactory(factory as StreamingDataWriterFactory<unknown>, parts);
    };
  }

  override async createStreamingWriterFactory(info: PhysicalWriteInfo): Promise<MergeWriterFactory> {
    return new MergeWriterFactory(await this.#write.createStreamingWriterFactory(info), this.#parts);
  }

  override useCommitCoordinator(): boolean {
    return this.#write.useCommitCoordinator();
  }

  override commit(epochId: number, messages: readonly unknown[], batch: BatchContext): Awaitable<unknown> {
    return this.#write.commit(epochId, messages, batch);
  }

  override abort(epochId: number, messages: readonly unknown[], batch: BatchContext): Awaitable<void> {
    return this.#write.abort(epochId, messages, batch);
  }
}

/** Makes the writers of the tasks. The fields of the table's own factory are recorded. */
class MergeWriterFactory implements StreamingDataWriterFactory<unknown> {
  readonly table: Readonly<Record<string, JsonValue>>;
  readonly #factory: StreamingDataWriterFactory<unknown>;
  readonly #parts: MergeWriterParts;

  constructor(factory: StreamingDataWriterFactory<unknown>, parts: MergeWriterParts) {
    this.#factory = factory;
    this.#parts = parts;
    this.table = recordedFactory(factory, parts.where);
  }

  async createWriter(
    partitionId: number,
    taskId: number,
    epochId: number,
    task: TaskContext,
  ): Promise<MergeWriter> {
    restoreFactory(this.#factory, this.table);
    const writer = await this.#factory.createWriter(partitionId, taskId, epochId, task);
    return new MergeWriter({ ...this.#parts, writer });
  }
}

/** Passes changes on to the writer of the table, and counts them. */
class MergeWriter extends OperationWriter {
  readonly #counts: ChangeCounts;
  #merged = 0;

  constructor({ counts, ...parts }: MergeWriterParts & Pick<OperationWriterParts, "writer">) {
    super({ ...parts, counts: [] });
    this.#counts = counts;
  }

  override write(record: Parameters<OperationWriter["write"]>[0]): Awaitable<void> {
    this.#merged++;
    return super.write(record);
  }

  override currentMetricsValues(): readonly CustomTaskMetric[] {
    const { superseded, repeated } = this.#counts;
    return [
      { name: MERGED.name, value: this.#merged },
      { name: SUPERSEDED.name, value: superseded },
      { name: REPEATED.name, value: repeated },
      ...super.currentMetricsValues(),
    ];
  }
}
