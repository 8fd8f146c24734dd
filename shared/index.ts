export type { BatchContext, Runtime, SinkContext, TaskContext } from "./contract/context.ts";
export { DataSource, type DataSourceClass, type SchemaLike } from "./contract/data-source.ts";
export {
  type ErrorLocation,
  type ErrorRecord,
  MillraceError,
  type MillraceErrorOptions,
} from "./contract/errors.ts";
export type { JsonValue } from "./contract/json.ts";
export type { ObjectInfo, ObjectStore, UnfinishedUpload } from "./contract/object-store.ts";
export type { Offset } from "./contract/offset.ts";
export {
  type Configured,
  Pipeline,
  pipeline,
  ReadStream,
  ReadStreamChooser,
  type Trigger,
  WriteStreamChooser,
} from "./contract/pipeline.ts";
export {
  ReadAllAvailable,
  type ReadLimit,
  ReadMaxBytes,
  ReadMaxFiles,
  ReadMaxRows,
  ReadMinRows,
} from "./contract/read-limit.ts";
export { registerDataSource } from "./contract/registry.ts";
export { parseDdl } from "./contract/schema.ts";
export {
  type Awaitable,
  DataSourceStreamReader,
  type InputPartition,
  type NamedRow,
  type Row,
  type RowSource,
  SimpleDataSourceStreamReader,
  type SimpleRead,
  type SupportsTriggerAvailableNow,
} from "./contract/stream-reader.ts";
export {
  DataSourceStreamArrowWriter,
  DataSourceStreamWriter,
  type OpenBatch,
  type StreamWriter,
  type SupportsCommitLookup,
  type SupportsTaskAbort,
  type SupportsVacuum,
  type VacuumContext,
  type VacuumResult,
  type WriterCommitMessage,
} from "./contract/stream-writer.ts";
