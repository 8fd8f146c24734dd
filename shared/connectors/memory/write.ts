import type { BatchContext } from "../../contract/context.ts";
import type { NamedRow } from "../../contract/stream-reader.ts";
import { BatchWrite, StreamingWrite } from "../../contract/write/batch-write.ts";
import { type CustomMetric, CustomSumMetric, type CustomTaskMetric } from "../../contract/write/metrics.ts";
import type { WriteSummary } from "../../contract/write/summary.ts";
import { type InsertableRelation, V1Write, Write } from "../../contract/write/write.ts";
import type { LogicalWriteInfo } from "../../contract/write/write-info.ts";
import { MemoryBatchFactory, MemoryEpochFactory, RowsWritten } from "./data-writers.ts";
import type { Replaced, StagedRows, Table } from "./table.ts";

/** What a write is made of. */
export interface WriteParts {
  readonly info: LogicalWriteInfo;
  readonly table: Table;
  readonly replaced: Replaced;
  /** Whether the tasks receive rows or record batches. */
  readonly form: "rows" | "arrow";
}

/** The number of rows that a batch replaced, which only its commit knows. */
export class RowsReplaced extends CustomSumMetric {
  override readonly name = "rowsReplaced";
  override readonly description = "rows replaced";

  of(value: number): CustomTaskMetric {
    return { name: this.name, value };
  }
}

/** A write that tasks stage and a commit makes visible. */
export class MemoryWrite extends Write {
  readonly #parts: WriteParts;
  #rowsReplaced = 0;

  constructor(parts: WriteParts) {
    super();
    this.#parts = parts;
  }

  override get description(): string {
    return `memory table ${this.#parts.table.name}`;
  }

  override toBatch(): BatchWrite<unknown> {
    return new MemoryBatchWrite(this.#parts, (rows) => {
      this.#rowsReplaced = rows;
    }) as BatchWrite<unknown>;
  }

  override toStreaming(): StreamingWrite<unknown> {
    return new MemoryStreamingWrite(this.#parts) as StreamingWrite<unknown>;
  }

  override supportedCustomMetrics(): readonly CustomMetric[] {
    return [new RowsWritten(), new RowsReplaced()];
  }

  override reportDriverMetrics(): readonly CustomTaskMetric[] {
    return [new RowsReplaced().of(this.#rowsReplaced)];
  }
}

class MemoryBatchWrite extends BatchWrite<StagedRows> {
  readonly #parts: WriteParts;
  readonly #onReplaced: (rows: number) => void;

  constructor(parts: WriteParts, onReplaced: (rows: number) => void) {
    super();
    this.#parts = parts;
    this.#onReplaced = onReplaced;
  }

  override createBatchWriterFactory(): MemoryBatchFactory {
    return new MemoryBatchFactory(this.#parts.table.name, this.#parts.form);
  }

  override commit(
    messages: readonly (StagedRows | null)[],
    summary: WriteSummary | undefined,
    batch: BatchContext,
  ): void {
    this.#onReplaced(commitRows(this.#parts, messages, batch, summary));
  }

  override abort(messages: readonly (StagedRows | null)[], batch: BatchContext): void {
    abortRows(this.#parts, messages, batch);
  }
}

class MemoryStreamingWrite extends StreamingWrite<StagedRows> {
  readonly #parts: WriteParts;

  constructor(parts: WriteParts) {
    super();
    this.#parts = parts;
  }

  override createStreamingWriterFactory(): MemoryEpochFactory {
    return new MemoryEpochFactory(this.#parts.table.name, this.#parts.form);
  }

  override commit(_epochId: number, messages: readonly (StagedRows | null)[], batch: BatchContext): void {
    commitRows(this.#parts, messages, batch);
  }

  override abort(_epochId: number, messages: readonly (StagedRows | null)[], batch: BatchContext): void {
    abortRows(this.#parts, messages, batch);
  }
}

function commitRows(
  { table, info, replaced }: WriteParts,
  messages: readonly (StagedRows | null)[],
  batch: BatchContext,
  summary?: WriteSummary,
): number {
  return table.commit(present(messages), batch, { schema: info.schema, replaced, summary });
}

function abortRows(
  { table }: WriteParts,
  messages: readonly (StagedRows | null)[],
  batch: BatchContext,
): void {
  // After a commit was tried, another run may try it again and need the staged rows.
  if (!batch.commitTried) table.discard(present(messages));
}

/** Returns the messages of the tasks that have one. */
function present(messages: readonly (StagedRows | null)[]): StagedRows[] {
  return messages.filter((message) => message !== null);
}

/** A write that inserts all rows in one call. */
export class MemoryV1Write extends V1Write {
  readonly #parts: WriteParts;
  #rowsReplaced = 0;

  constructor(parts: WriteParts) {
    super();
    this.#parts = parts;
  }

  override toInsertableRelation(): InsertableRelation {
    return {
      insert: async (rows: AsyncIterable<NamedRow>) => {
        const { table, info, replaced } = this.#parts;
        const { queryId, schema } = info;
        this.#rowsReplaced = table.insert(await Array.fromAsync(rows), queryId, { schema, replaced });
      },
    };
  }

  override supportedCustomMetrics(): readonly CustomMetric[] {
    return [new RowsReplaced()];
  }

  override reportDriverMetrics(): readonly CustomTaskMetric[] {
    return [new RowsReplaced().of(this.#rowsReplaced)];
  }
}
