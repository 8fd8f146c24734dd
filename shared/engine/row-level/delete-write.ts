import type { BatchContext, TaskContext } from "../../contract/context.ts";
import type { NamedRow } from "../../contract/stream-reader.ts";
import { BatchWrite } from "../../contract/write/batch-write.ts";
import { DataWriter } from "../../contract/write/data-writer.ts";
import {
  type DeleteOptions,
  deleteNotSupported,
  deleteRows,
  deletesByFilter,
  isTruncatable,
} from "../../contract/write/delete.ts";
import type { CustomMetric, CustomTaskMetric } from "../../contract/write/metrics.ts";
import type { Predicate } from "../../contract/write/predicates.ts";
import type { TruncatableTable } from "../../contract/write/table.ts";
import { Write } from "../../contract/write/write.ts";
import type { CommandTable } from "./command-table.ts";

/** What a table deletes by itself. */
export interface DeleteWriteParts {
  readonly table: CommandTable;
  readonly predicates: readonly Predicate[];
  readonly options: DeleteOptions;
}

/** A deletion that the table does by itself: no rows are read, and the commit deletes. */
export class DeleteWrite extends Write {
  readonly #parts: DeleteWriteParts;
  #metricsAsked: readonly CustomMetric[] | undefined;

  constructor(parts: DeleteWriteParts) {
    super();
    this.#parts = parts;
  }

  /** A deletion that the table does by itself has no summary, as in Spark. */
  summaryOf(): undefined {
    return undefined;
  }

  override get description(): string {
    return this.#parts.table.name;
  }

  override toBatch(): BatchWrite<unknown> {
    return new DeleteBatchWrite(this.#parts);
  }

  override supportedCustomMetrics(): readonly CustomMetric[] {
    this.#metricsAsked ??= this.#metrics.supportedCustomMetrics?.() ?? [];
    return this.#metricsAsked;
  }

  /** As in Spark, values are asked for only if the table has metrics. */
  override async reportDriverMetrics(): Promise<readonly CustomTaskMetric[]> {
    if (this.supportedCustomMetrics().length === 0) return [];
    return (await this.#metrics.reportDriverMetrics?.()) ?? [];
  }

  get #metrics(): Partial<Pick<TruncatableTable, "supportedCustomMetrics" | "reportDriverMetrics">> {
    return this.#parts.table as Partial<TruncatableTable>;
  }
}

class DeleteBatchWrite extends BatchWrite<unknown> {
  readonly #parts: DeleteWriteParts;

  constructor(parts: DeleteWriteParts) {
    super();
    this.#parts = parts;
  }

  override createBatchWriterFactory() {
    return { createWriter: (_partitionId: number, _taskId: number, _task: TaskContext) => new NoRows() };
  }

  override async commit(_messages: unknown, _summary: unknown, batch: BatchContext): Promise<void> {
    const { table, predicates, options } = this.#parts;
    if (deletesByFilter(table)) return await deleteRows(table, predicates, options, batch);
    const isDone = isTruncatable(table) && (await table.truncateTable(options, batch));
    if (!isDone)
      throw deleteNotSupported(
        table,
        "could not delete all rows: truncateTable() returned false",
        "another table",
      );
  }

  /** Nothing is deleted before the commit. */
  override abort(): void {}
}

/** Only a batch that has rows by mistake calls `write`. */
class NoRows extends DataWriter<NamedRow, null> {
  override write(): never {
    throw new Error("a deletion by the table itself has no rows");
  }

  override commit(): null {
    return null;
  }

  override abort(): void {}
}
