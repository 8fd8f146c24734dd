import type { RecordBatch } from "apache-arrow";
import { rowsOf } from "../../arrow/rows.ts";
import type { TaskContext } from "../../contract/context.ts";
import type { NamedRow } from "../../contract/stream-reader.ts";
import {
  type AnyDataWriter,
  ArrowDataWriter,
  DataWriter,
  type DataWriterFactory,
  type StreamingDataWriterFactory,
} from "../../contract/write/data-writer.ts";
import { CustomSumMetric, type CustomTaskMetric } from "../../contract/write/metrics.ts";
import { openTable, type StagedRows } from "./table.ts";

/** The number of rows that the tasks wrote. */
export class RowsWritten extends CustomSumMetric {
  override readonly name = "rowsWritten";
  override readonly description = "rows written";

  of(value: number): CustomTaskMetric {
    return { name: this.name, value };
  }
}

type Form = "rows" | "arrow";

/**
 * Makes the writers of a batch pipeline's tasks. Its fields travel to the tasks as JSON, so it has
 * the name of the table and not the table itself.
 */
export class MemoryBatchFactory implements DataWriterFactory<StagedRows> {
  readonly table: string;
  readonly form: Form;

  constructor(table: string, form: Form) {
    this.table = table;
    this.form = form;
  }

  createWriter(_partitionId: number, taskId: number, task: TaskContext): AnyDataWriter<StagedRows> {
    return dataWriter(this.table, this.form, taskId, task);
  }
}

/** Like `MemoryBatchFactory`, for a stream. */
export class MemoryEpochFactory implements StreamingDataWriterFactory<StagedRows> {
  readonly table: string;
  readonly form: Form;

  constructor(table: string, form: Form) {
    this.table = table;
    this.form = form;
  }

  createWriter(
    _partitionId: number,
    taskId: number,
    _epochId: number,
    task: TaskContext,
  ): AnyDataWriter<StagedRows> {
    return dataWriter(this.table, this.form, taskId, task);
  }
}

function dataWriter(
  table: string,
  form: Form,
  taskId: number,
  { incarnation, batchId, attempt }: TaskContext,
): AnyDataWriter<StagedRows> {
  const staged = new TaskRows(table, `${incarnation}/${batchId}/${attempt}/${taskId}`);
  return form === "arrow" ? new MemoryArrowDataWriter(staged) : new MemoryDataWriter(staged);
}

/** The rows of one task attempt. No other attempt has its key. */
class TaskRows {
  readonly #table: string;
  readonly #key: string;
  readonly #rows: NamedRow[] = [];
  #staged: StagedRows | undefined;

  constructor(table: string, key: string) {
    this.#table = table;
    this.#key = key;
  }

  /** Copies the row, because the engine may use the object again. */
  add(row: NamedRow): void {
    this.#rows.push({ ...row });
  }

  stage(): StagedRows {
    this.#staged = openTable(this.#table).stage(this.#key, this.#rows);
    return this.#staged;
  }

  discard(): void {
    if (this.#staged !== undefined) openTable(this.#table).discard([this.#staged]);
  }

  get metrics(): readonly CustomTaskMetric[] {
    return [new RowsWritten().of(this.#rows.length)];
  }
}

/** Receives rows. */
class MemoryDataWriter extends DataWriter<NamedRow, StagedRows> {
  readonly #rows: TaskRows;

  constructor(rows: TaskRows) {
    super();
    this.#rows = rows;
  }

  override write(row: NamedRow): void {
    this.#rows.add(row);
  }

  override commit(): StagedRows {
    return this.#rows.stage();
  }

  override abort(): void {
    this.#rows.discard();
  }

  override currentMetricsValues(): readonly CustomTaskMetric[] {
    return this.#rows.metrics;
  }
}

/** Receives record batches. */
class MemoryArrowDataWriter extends ArrowDataWriter<StagedRows> {
  readonly #rows: TaskRows;

  constructor(rows: TaskRows) {
    super();
    this.#rows = rows;
  }

  override write(batch: RecordBatch): void {
    for (const row of rowsOf(batch)) this.#rows.add(row);
  }

  override commit(): StagedRows {
    return this.#rows.stage();
  }

  override abort(): void {
    this.#rows.discard();
  }

  override currentMetricsValues(): readonly CustomTaskMetric[] {
    return this.#rows.metrics;
  }
}
