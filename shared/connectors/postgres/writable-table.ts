import type { CommittedBatch } from "../../contract/batch-identity.ts";
import type { SupportsExists } from "../../contract/batch-writer.ts";
import type { BatchContext, TaskContext } from "../../contract/context.ts";
import type {
  DamagedFile,
  NewestBatchContext,
  SupportsCommitLookup,
  SupportsNewestBatch,
  SupportsStagedFiles,
  SupportsTargetName,
  SupportsTaskAbort,
  SupportsVacuum,
  VacuumContext,
  VacuumResult,
} from "../../contract/stream-writer.ts";
import type { AutoCdcInfo, SupportsAutoCdc } from "../../contract/write/auto-cdc.ts";
import type { CustomTaskMetric } from "../../contract/write/metrics.ts";
import type { Predicate } from "../../contract/write/predicates.ts";
import type {
  DeltaWriteBuilder,
  RowLevelOperationInfo,
  SupportsRowLevelOperations,
} from "../../contract/write/row-level.ts";
import type { SupportsRead } from "../../contract/write/scan.ts";
import type { SupportsDeleteV2, TruncatableTable } from "../../contract/write/table.ts";
import { WriterTable, type WriterTableParts } from "../../contract/write/writer-table.ts";
import type { StagedRows } from "../kit/staging.ts";
import { autoCdcBuilder } from "./auto-cdc.ts";
import { CommitMetric } from "./change-write.ts";
import { exactFilters, PostgresDeletion } from "./deletion.ts";
import { type DeltaParts, PostgresOperationBuilder } from "./delta.ts";
import { PostgresScanBuilder } from "./scan.ts";
import type { PostgresWriter } from "./writer.ts";

const ROWS_DELETED = new CommitMetric("rowsDeleted", "rows deleted");

/**
 * A table that is written by `PostgresWriter`s, and whose rows can be read, changed, deleted and
 * merged. Questions about its batches have the same answers as those of its writers.
 */
export class PostgresTable
  extends WriterTable
  implements
    SupportsRead,
    SupportsRowLevelOperations,
    SupportsAutoCdc,
    SupportsDeleteV2,
    TruncatableTable,
    SupportsCommitLookup,
    SupportsNewestBatch,
    SupportsStagedFiles<StagedRows>,
    SupportsTaskAbort<StagedRows>,
    SupportsTargetName,
    SupportsVacuum,
    SupportsExists
{
  readonly #parts: DeltaParts;
  readonly #asked: PostgresWriter;
  /** Not known before a deletion, nor after a truncate. */
  #rowsDeleted: number | undefined;

  /** `asked` answers questions about batches, and writes nothing. */
  constructor(table: WriterTableParts, parts: DeltaParts, asked: PostgresWriter) {
    super(table);
    this.#parts = parts;
    this.#asked = asked;
  }

  newScanBuilder(): PostgresScanBuilder {
    return new PostgresScanBuilder(this.#parts.options, this.#parts.server);
  }

  newRowLevelOperationBuilder({ command }: RowLevelOperationInfo): PostgresOperationBuilder {
    return new PostgresOperationBuilder(this.#parts, command);
  }

  newAutoCdcWriteBuilder(info: AutoCdcInfo): DeltaWriteBuilder {
    return autoCdcBuilder(this.#parts, info);
  }

  /** True if all predicates compare columns with values. */
  canDeleteWhere(predicates: readonly Predicate[]): boolean {
    return exactFilters(predicates) !== undefined;
  }

  /**
   * Error: `WRITE_NOT_SUPPORTED` if PostgreSQL compares the values of a column differently than
   * Millrace. No row is deleted then.
   */
  async deleteWhere(
    predicates: readonly Predicate[],
    _options?: unknown,
    batch?: BatchContext,
  ): Promise<void> {
    this.#rowsDeleted = await this.#deletion.deleteWhere(predicates, batch);
  }

  async truncateTable(_options?: unknown, batch?: BatchContext): Promise<boolean> {
    this.#rowsDeleted = undefined;
    await this.#deletion.truncate(batch);
    return true;
  }

  get #deletion(): PostgresDeletion {
    return new PostgresDeletion(this.#parts.options, this.#parts.server);
  }

  supportedCustomMetrics(): readonly CommitMetric[] {
    return [ROWS_DELETED];
  }

  reportDriverMetrics(): readonly CustomTaskMetric[] {
    const value = this.#rowsDeleted;
    return value === undefined ? [] : [{ name: ROWS_DELETED.name, value }];
  }

  hasCommitted(batchId: number, batch: BatchContext): Promise<boolean> {
    return this.#asked.hasCommitted(batchId, batch);
  }

  newestBatch(context: NewestBatchContext): Promise<CommittedBatch | undefined> {
    return this.#asked.newestBatch(context);
  }

  findDamaged(
    messages: readonly (StagedRows | null)[],
    batch: BatchContext,
  ): Promise<readonly DamagedFile[]> {
    return this.#asked.findDamaged(messages, batch);
  }

  abortTask(message: StagedRows | null, task: TaskContext): Promise<void> {
    return this.#asked.abortTask(message, task);
  }

  targetName(): Promise<string> {
    return this.#asked.targetName();
  }

  vacuum(context: VacuumContext): Promise<VacuumResult> {
    return this.#asked.vacuum(context);
  }

  exists(): Promise<boolean> {
    return this.#asked.exists();
  }
}
