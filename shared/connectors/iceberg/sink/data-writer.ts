import type { RecordBatch, Schema } from "apache-arrow";
import type { TaskContext } from "../../../contract/context.ts";
import {
  ArrowDataWriter,
  type DataWriterFactory,
  type StreamingDataWriterFactory,
} from "../../../contract/write/data-writer.ts";
import type { CustomTaskMetric } from "../../../contract/write/metrics.ts";
import { canonicalRows } from "../files/canonical.ts";
import { writeDataFiles } from "../files/write-data-files.ts";
import type { DataFile } from "../format/types.ts";
import { type FilesMessage, messageOf } from "./message.ts";
import { dataLocation } from "./names.ts";
import type { SinkParts } from "./open-table.ts";
import { metricsOfTask } from "./write-metrics.ts";
import { type RecordedPlan, readPlan, taskFiles, type WritePlan } from "./write-plan.ts";

/** What a task writer needs besides the plan. */
export interface TaskParts extends SinkParts {
  readonly rows: Schema;
}

/**
 * Makes the task writers of a batch. The plan is its only field that is recorded, so that each task
 * writes by it.
 */
export class IcebergWriterFactory
  implements DataWriterFactory<FilesMessage>, StreamingDataWriterFactory<FilesMessage>
{
  readonly recorded: RecordedPlan;
  readonly #parts: TaskParts;

  constructor(recorded: RecordedPlan, parts: TaskParts) {
    this.recorded = recorded;
    this.#parts = parts;
  }

  async createWriter(
    _partitionId: number,
    _taskId: number,
    ...rest: readonly [TaskContext] | readonly [number, TaskContext]
  ): Promise<IcebergDataWriter> {
    const task = rest.at(-1) as TaskContext;
    return new IcebergDataWriter(await readPlan(this.#parts, this.recorded), task, this.#parts);
  }
}

/** Writes the rows of one task attempt to Parquet files that no snapshot names yet. */
class IcebergDataWriter extends ArrowDataWriter<FilesMessage> {
  readonly #plan: WritePlan;
  readonly #task: TaskContext;
  readonly #parts: TaskParts;
  #files: readonly DataFile[] = [];

  constructor(plan: WritePlan, task: TaskContext, parts: TaskParts) {
    super();
    this.#plan = plan;
    this.#task = task;
    this.#parts = parts;
  }

  override write(): never {
    throw new Error("all record batches are written at once");
  }

  override async writeAll(batches: AsyncIterable<RecordBatch>): Promise<void> {
    const { schema, spec, properties, location } = this.#plan;
    const { options, runtime } = this.#parts;
    const id = runtime.newId();
    this.#files = await writeDataFiles(this.#canonical(batches), {
      schema,
      spec,
      properties,
      io: await taskFiles(this.#parts, this.#plan),
      locationOf: (file, partition) =>
        dataLocation(location, this.#task, file === 0 ? id : `${id}-${file}`, partition),
      ...(options.targetFileBytes === undefined ? {} : { targetFileBytes: options.targetFileBytes }),
      signal: this.#task.signal,
    });
  }

  async *#canonical(batches: AsyncIterable<RecordBatch>): AsyncGenerator<RecordBatch> {
    const { pipeline, batchId, partitionId, attempt } = this.#task;
    const where = { pipeline, batchId, partition: partitionId, attempt };
    const extra = this.#plan.ignored.length === 0 ? "refuse" : "leave-out";
    const canonical = canonicalRows(this.#parts.rows, this.#plan.schema, where, extra);
    let rows = 0;
    for await (const batch of batches) {
      yield canonical.apply(batch, rows);
      rows += batch.numRows;
    }
  }

  override commit(): FilesMessage {
    return messageOf(this.#plan, this.#files);
  }

  override currentMetricsValues(): readonly CustomTaskMetric[] {
    return metricsOfTask(this.#files, this.#plan.ignored);
  }

  override async abort(): Promise<void> {
    if (this.#files.length === 0) return;
    const io = await taskFiles(this.#parts, this.#plan);
    await io.delete(this.#files.map(({ filePath }) => filePath));
  }
}
