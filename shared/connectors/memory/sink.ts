import type { SupportsExists } from "../../contract/batch-writer.ts";
import type { BatchContext } from "../../contract/context.ts";
import type { Filter } from "../../contract/filters.ts";
import type { SupportsCommitLookup, SupportsTargetName } from "../../contract/stream-writer.ts";
import type { AutoCdcInfo, SupportsAutoCdc } from "../../contract/write/auto-cdc.ts";
import { predicateOf } from "../../contract/write/convert-filters.ts";
import type { CustomMetric, CustomTaskMetric } from "../../contract/write/metrics.ts";
import type { Predicate } from "../../contract/write/predicates.ts";
import type {
  DeltaWriteBuilder,
  RowLevelOperationBuilder,
  RowLevelOperationInfo,
  SupportsRowLevelOperations,
} from "../../contract/write/row-level.ts";
import type {
  MetadataColumn,
  ScanBuilder,
  SupportsMetadataColumns,
  SupportsRead,
} from "../../contract/write/scan.ts";
import type {
  SupportsDelete,
  SupportsDeleteV2,
  SupportsWrite,
  TableCapability,
  TruncatableTable,
} from "../../contract/write/table.ts";
import type { LogicalWriteInfo } from "../../contract/write/write-info.ts";
import { MemoryAutoCdcBuilder } from "./auto-cdc.ts";
import { memoryOperation, type RowLevelOptions } from "./row-level.ts";
import { METADATA_COLUMNS, memoryScanBuilder } from "./scan.ts";
import { openTable, type Table } from "./table.ts";
import { RowsReplaced } from "./write.ts";
import { FilterWriteBuilder, PredicateWriteBuilder, type WriteBuilderOptions } from "./write-builder.ts";

/** What the pipeline may set about the table. */
export interface SinkOptions extends WriteBuilderOptions, RowLevelOptions {
  readonly table: string;
  readonly filterForm: "predicates" | "filters";
}

type DeleteOptions = Readonly<Record<string, unknown>>;

/** Returns the table that the options name, in the form of Spark's package `connector.write`. */
export function memorySink(options: SinkOptions): SupportsWrite {
  return options.filterForm === "filters" ? new FilterSink(options) : new PredicateSink(options);
}

/** A table with all methods but those that take conditions. */
abstract class MemorySink
  implements
    TruncatableTable,
    SupportsExists,
    SupportsTargetName,
    SupportsCommitLookup,
    SupportsAutoCdc,
    SupportsRowLevelOperations,
    SupportsMetadataColumns,
    SupportsRead
{
  readonly name: string;
  readonly capabilities: ReadonlySet<TableCapability>;
  readonly insteadOf: Readonly<Partial<Record<TableCapability, string>>> = {
    AUTOMATIC_SCHEMA_EVOLUTION:
      "A table in memory keeps each row as it is: remove `.onSchemaChange(…)`, which would change nothing.",
    OVERWRITE_DYNAMIC: 'Set the option partitionBy of the sink, without v1Write: partitionBy: ["column"].',
  };
  protected readonly options: SinkOptions;
  protected readonly table: Table;
  #rowsDeleted = 0;

  constructor(options: SinkOptions) {
    this.options = options;
    this.name = options.table;
    this.table = openTable(options.table);
    this.capabilities = capabilitiesOf(options);
  }

  truncateTable(_options?: DeleteOptions, batch?: BatchContext): boolean {
    this.#rowsDeleted = this.table.delete({ replaces: "all" }, batch);
    return true;
  }

  protected deleteMatching(predicates: readonly Predicate[], batch: BatchContext | undefined): void {
    this.#rowsDeleted = this.table.delete({ replaces: "matching", predicates }, batch);
  }

  newRowLevelOperationBuilder({ command }: RowLevelOperationInfo): RowLevelOperationBuilder {
    return { build: () => memoryOperation(command, this.table, this.options) };
  }

  newScanBuilder(): ScanBuilder {
    return memoryScanBuilder(this.table, this.options);
  }

  metadataColumns(): readonly MetadataColumn[] {
    return METADATA_COLUMNS;
  }

  newAutoCdcWriteBuilder(info: AutoCdcInfo): DeltaWriteBuilder {
    return new MemoryAutoCdcBuilder(this.table, info);
  }

  supportedCustomMetrics(): readonly CustomMetric[] {
    return [new RowsReplaced()];
  }

  reportDriverMetrics(): readonly CustomTaskMetric[] {
    return [new RowsReplaced().of(this.#rowsDeleted)];
  }

  exists(): boolean {
    return this.table.batches().length > 0;
  }

  targetName(): string {
    return this.name;
  }

  hasCommitted(_batchId: number, batch: BatchContext): boolean {
    return this.table.has(batch) || this.table.hasInserted(batch.planId);
  }
}

/** A table whose conditions are predicates, the newer form. */
class PredicateSink extends MemorySink implements SupportsWrite, SupportsDeleteV2 {
  newWriteBuilder(info: LogicalWriteInfo): PredicateWriteBuilder {
    return new PredicateWriteBuilder(info, this.table, this.options);
  }

  deleteWhere(predicates: readonly Predicate[], _options?: DeleteOptions, batch?: BatchContext): void {
    this.deleteMatching(predicates, batch);
  }
}

/** A table whose conditions are filters, the older form. */
class FilterSink extends MemorySink implements SupportsWrite, SupportsDelete {
  readonly filterForm = "filters" as const;

  newWriteBuilder(info: LogicalWriteInfo): FilterWriteBuilder {
    return new FilterWriteBuilder(info, this.table, this.options);
  }

  deleteWhere(filters: readonly Filter[], _options?: DeleteOptions, batch?: BatchContext): void {
    this.deleteMatching(filters.map(predicateOf), batch);
  }
}

function capabilitiesOf({ v1Write, partitionBy }: SinkOptions): ReadonlySet<TableCapability> {
  const capabilities = new Set<TableCapability>([
    "BATCH_READ",
    v1Write ? "V1_BATCH_WRITE" : "BATCH_WRITE",
    "STREAMING_WRITE",
    "TRUNCATE",
    "OVERWRITE_BY_FILTER",
    "ACCEPT_ANY_SCHEMA",
  ]);
  if (partitionBy !== undefined && !v1Write) capabilities.add("OVERWRITE_DYNAMIC");
  return capabilities;
}
