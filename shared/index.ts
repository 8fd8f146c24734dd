export type { Arrangement } from "./contract/arrangement.ts";
export type { BackfillOf, BackfillRange } from "./contract/backfill.ts";
export {
  type BadContent,
  BadRow,
  type BadRowContent,
  type BadRowPolicy,
  type BadRowSink,
  type OnBadRow,
  type RefusedRowSink,
  type RefusedRows,
} from "./contract/bad-rows.ts";
export type { BatchIdentity, CommittedBatch } from "./contract/batch-identity.ts";
export { DataSourceReader } from "./contract/batch-reader.ts";
export {
  type BatchWriter,
  DataSourceArrowWriter,
  DataSourceWriter,
  type SaveMode,
  type SupportsExists,
  type Writer,
} from "./contract/batch-writer.ts";
export { isCommitted } from "./contract/committed-batch.ts";
export {
  CompositeOffset,
  type OffsetFields,
  type OffsetFieldsAs,
  type OffsetFieldTypes,
  type OffsetOf,
} from "./contract/composite-offset.ts";
export type { Configured, ConfiguredSource } from "./contract/configured.ts";
export type {
  BatchContext,
  DataSourceRuntime,
  Runtime,
  SinkContext,
  TaskContext,
} from "./contract/context.ts";
export { type CheckedDataSourceClass, DataSource, type DataSourceClass } from "./contract/data-source.ts";
export type * as DdlTypes from "./contract/ddl/ddl-types.ts";
export { parseDdl } from "./contract/ddl/parse.ts";
export type { ErrorMeaning } from "./contract/error-codes/meaning.ts";
export type { ERROR_CODES, ErrorCode } from "./contract/error-codes.ts";
export type { ErrorOrigin } from "./contract/error-origin.ts";
export {
  type ErrorLocation,
  type ErrorParts,
  type ErrorRecord,
  MillraceError,
  type MillraceErrorOptions,
} from "./contract/errors.ts";
export {
  AlwaysFalse,
  AlwaysTrue,
  And,
  type Attribute,
  type ColumnFilter,
  EqualNullSafe,
  EqualTo,
  type Filter,
  type FilterValue,
  GreaterThan,
  GreaterThanOrEqual,
  In,
  IsNotNull,
  IsNull,
  LessThan,
  LessThanOrEqual,
  Not,
  Or,
  StringContains,
  StringEndsWith,
  StringStartsWith,
  type ValueFilter,
} from "./contract/filters.ts";
export type { JsonValue } from "./contract/json.ts";
export type { MergeStream, MergeStreamOptions } from "./contract/merge-stream.ts";
export type {
  ListOptions,
  ObjectInfo,
  ObjectStore,
  StoreAccess,
  UnfinishedUpload,
  UnlistedEntry,
} from "./contract/object-store.ts";
export type { Offset } from "./contract/offset.ts";
export type { OptionsSchema } from "./contract/options/parse.ts";
export {
  BatchPipeline,
  type BatchSource,
  type Chooser,
  type Chosen,
  Pipeline,
  type PipelineStart,
  pipeline,
  type Read,
  type ReadStream,
  StreamPipeline,
  type StreamSource,
} from "./contract/pipeline.ts";
export type { PauseAfterAborts, PipelineDefinition, StallPolicy } from "./contract/pipeline-definition.ts";
export type { Rows, Source, SourceFor, SourceKind } from "./contract/pipeline-source.ts";
export {
  ReadAllAvailable,
  type ReadLimit,
  ReadMaxBytes,
  ReadMaxFiles,
  ReadMaxRows,
  ReadMinRows,
} from "./contract/read-limit.ts";
export { registerDataSource } from "./contract/registry.ts";
export type {
  Assignment,
  Assignments,
  CheckedClause,
  MatchedClause,
  MergeClauses,
  NotMatchedBySourceClause,
  NotMatchedClause,
  RowCommand,
} from "./contract/row-command.ts";
export type { RowFunction, RowStep } from "./contract/row-steps.ts";
export type { RowFor, RowLike, RowOf, RowWith } from "./contract/row-types.ts";
export type { OutputMode, Overwrite } from "./contract/save-mode.ts";
export type { SchemaLike } from "./contract/schema-like.ts";
export {
  type Awaitable,
  DataSourceStreamReader,
  type InputPartition,
  type NamedRow,
  type Row,
  type RowSource,
  SimpleDataSourceStreamReader,
  type SimpleRead,
  type SupportsBackfill,
  type SupportsBadRows,
  type SupportsSetAside,
  type SupportsTriggerAvailableNow,
} from "./contract/stream-reader.ts";
export {
  type DamagedFile,
  DataSourceStreamArrowWriter,
  DataSourceStreamWriter,
  type NewestBatchContext,
  type OpenBatch,
  type StreamWriter,
  type SupportsCommitLookup,
  type SupportsLedgerTransaction,
  type SupportsNewestBatch,
  type SupportsRefusedRows,
  type SupportsStagedFiles,
  type SupportsTargetCheck,
  type SupportsTargetName,
  type SupportsTaskAbort,
  type SupportsVacuum,
  type TargetContext,
  type TransactionItem,
  type VacuumContext,
  type VacuumResult,
  type WriterCommitMessage,
} from "./contract/stream-writer.ts";
export type { TableTarget, UpdateOptions } from "./contract/table-target.ts";
export { type InstantLike, roundDown, settledNow } from "./contract/time.ts";
export { TimeRange, type TimeRangeJson } from "./contract/time-range.ts";
export type { Trigger } from "./contract/trigger.ts";
export { asc, desc, type SortOrder, sortOrder } from "./contract/write/distribution.ts";
export type { OnSchemaChange } from "./contract/write/write-info.ts";
