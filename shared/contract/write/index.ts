/**
 * Spark's package `connector.write`: tables that are written by builders, writes, factories and
 * data writers. Guide: docs/write.md.
 */

export type { AutoCdcInfo, ScdType, SupportsAutoCdc } from "./auto-cdc.ts";
export { BatchWrite, StreamingWrite } from "./batch-write.ts";
export { filtersOf, predicatesOf } from "./convert-filters.ts";
export {
  type AnyDataWriter,
  ArrowDataWriter,
  DataWriter,
  type DataWriterFactory,
  type StreamingDataWriterFactory,
} from "./data-writer.ts";
export { type DeleteOptions, type Deletion, deleteFrom, truncateTable } from "./delete.ts";
export {
  asc,
  type ClusteredDistribution,
  type Distribution,
  Distributions,
  desc,
  type NullOrdering,
  type OrderedDistribution,
  type RequiresDistributionAndOrdering,
  type SortDirection,
  type SortOrder,
  sortOrder,
  type UnspecifiedDistribution,
} from "./distribution.ts";
export { CustomAvgMetric, type CustomMetric, CustomSumMetric, type CustomTaskMetric } from "./metrics.ts";
export { predicateText } from "./predicate-text.ts";
export {
  ALWAYS_FALSE,
  ALWAYS_TRUE,
  type Expression,
  isAlwaysTrue,
  type Literal,
  literal,
  type NamedReference,
  type Predicate,
  type PredicateName,
  predicate,
  reference,
  type ScalarExpression,
  type ScalarName,
  scalar,
  source,
} from "./predicates.ts";
export {
  DeltaBatchWrite,
  DeltaStreamingWrite,
  type DeltaStreamingWriterFactory,
  DeltaWrite,
  type DeltaWriteBuilder,
  DeltaWriter,
  type DeltaWriterFactory,
  type RowLevelCommand,
  type RowLevelOperation,
  type RowLevelOperationBuilder,
  type RowLevelOperationInfo,
  type SupportsDelta,
  type SupportsRowLevelOperations,
} from "./row-level.ts";
export type {
  Batch,
  MetadataColumn,
  PartitionReaderFactory,
  Scan,
  ScanBuilder,
  SupportsMetadataColumns,
  SupportsPushDownRequiredColumns,
  SupportsPushDownV2Filters,
  SupportsRead,
  SupportsRuntimeV2Filtering,
} from "./scan.ts";
export type { DeleteSummary, InsertSummary, MergeSummary, UpdateSummary, WriteSummary } from "./summary.ts";
export type {
  SupportsDelete,
  SupportsDeleteV2,
  SupportsWrite,
  Table,
  TableCapability,
  TruncatableTable,
} from "./table.ts";
export { type InsertableRelation, V1Write, Write } from "./write.ts";
export type {
  SupportsDynamicOverwrite,
  SupportsOverwrite,
  SupportsOverwriteV2,
  SupportsTruncate,
  WriteBuilder,
} from "./write-builder.ts";
export type { LogicalWriteInfo, OnSchemaChange, PhysicalWriteInfo } from "./write-info.ts";
