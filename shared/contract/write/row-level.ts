import type { TaskContext } from "../context.ts";
import type { Awaitable, InputPartition, NamedRow } from "../stream-reader.ts";
import type { WriterCommitMessage } from "../stream-writer.ts";
import { BatchWrite, StreamingWrite } from "./batch-write.ts";
import { DataWriter, type DataWriterFactory, type StreamingDataWriterFactory } from "./data-writer.ts";
import type { NamedReference } from "./predicates.ts";
import type { ScanBuilder } from "./scan.ts";
import type { Table } from "./table.ts";
import { Write } from "./write.ts";
import type { WriteBuilder } from "./write-builder.ts";
import type { LogicalWriteInfo, PhysicalWriteInfo } from "./write-info.ts";

/** What changes the rows of a table. (Spark: `RowLevelOperation.Command`.) */
export type RowLevelCommand = "DELETE" | "UPDATE" | "MERGE";

/** What a table learns about an operation. (Spark: `RowLevelOperationInfo`.) */
export interface RowLevelOperationInfo {
  /** The command. */
  readonly command: RowLevelCommand;
  /** The options of the table, as its `optionsSchema` returned them. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** A table whose rows can be changed. (Spark: `SupportsRowLevelOperations`.) */
export interface SupportsRowLevelOperations extends Table {
  /** Returns a builder. Called in each step of a batch, with equal information. */
  newRowLevelOperationBuilder(info: RowLevelOperationInfo): RowLevelOperationBuilder;
}

/** Builds an operation. (Spark: `RowLevelOperationBuilder`.) */
export interface RowLevelOperationBuilder {
  /** Returns the operation. */
  build(): Awaitable<RowLevelOperation>;
}

/**
 * Changes rows of a table. Without the methods of `SupportsDelta`, whole groups of rows, such as
 * files, are read and written again: a scan must return all rows of a group, whatever predicates
 * were pushed, and the commit replaces the groups that the scan has read. The same object makes the
 * scan and the write, the scan first. (Spark: `RowLevelOperation`.)
 */
export interface RowLevelOperation {
  /** The command. */
  readonly command: RowLevelCommand;
  /** What people see as the name of the operation. */
  readonly description?: string;
  /**
   * Returns a builder of the scan that finds the rows. It is not called if no row can remain: the
   * commit must then empty the table.
   */
  newScanBuilder(options: Readonly<Record<string, unknown>>): ScanBuilder;
  /** Returns a builder of the write. `info` has the row ids and the metadata columns. */
  newWriteBuilder(info: LogicalWriteInfo): WriteBuilder;
  /**
   * Tells which partitions the scan of the batch has, if another process has planned it: between
   * planning and writing tasks may exchange rows. Called before `createBatchWriterFactory`, so that
   * its fields can say what the commit replaces.
   */
  scanned?(partitions: readonly InputPartition[]): Awaitable<void>;
  /** Returns the metadata columns that the writers need. Default: none. */
  requiredMetadataAttributes?(): readonly NamedReference[];
}

/** An operation whose writers get only the changes. (Spark: `SupportsDelta`.) */
export interface SupportsDelta extends RowLevelOperation {
  /** Returns the columns that identify a row. They must not be nullable. */
  rowId(): readonly NamedReference[];
  /**
   * True if an update arrives as a `delete` and a `reinsert`. Default false: it arrives as
   * `update`.
   */
  representUpdateAsDeleteAndInsert?(): boolean;
  /** Returns a builder of the write. `info` has the row ids and the metadata columns. */
  newWriteBuilder(info: LogicalWriteInfo): DeltaWriteBuilder;
}

/** Builds a write of changes. (Spark: `DeltaWriteBuilder`.) */
export interface DeltaWriteBuilder extends WriteBuilder {
  /** Returns the write. */
  build(): Awaitable<DeltaWrite>;
}

/** A write of changes. (Spark: `DeltaWrite`.) */
export abstract class DeltaWrite extends Write {
  /** Returns the write of one batch. */
  override toBatch(): Awaitable<DeltaBatchWrite<unknown>> {
    return super.toBatch() as Awaitable<DeltaBatchWrite<unknown>>;
  }

  /** Returns the write of one epoch. Only a streaming merge calls it. */
  override toStreaming(): Awaitable<DeltaStreamingWrite<unknown>> {
    return super.toStreaming() as Awaitable<DeltaStreamingWrite<unknown>>;
  }
}

/** Writes the changes of one batch. (Spark: `DeltaBatchWrite`.) */
export abstract class DeltaBatchWrite<M = WriterCommitMessage> extends BatchWrite<M> {
  /** Returns the factory of the task writers. */
  abstract override createBatchWriterFactory(info: PhysicalWriteInfo): Awaitable<DeltaWriterFactory<M>>;
}

/** Writes the changes of one epoch of a stream. */
export abstract class DeltaStreamingWrite<M = WriterCommitMessage> extends StreamingWrite<M> {
  /** Returns the factory of the task writers. */
  abstract override createStreamingWriterFactory(
    info: PhysicalWriteInfo,
  ): Awaitable<DeltaStreamingWriterFactory<M>>;
}

/** Makes the writers of a batch's tasks. (Spark: `DeltaWriterFactory`.) */
export interface DeltaWriterFactory<M = WriterCommitMessage> extends DataWriterFactory<M> {
  /** Like `DataWriterFactory.createWriter`. */
  createWriter(partitionId: number, taskId: number, task: TaskContext): Awaitable<DeltaWriter<M>>;
}

/** Makes the writers of an epoch's tasks. */
export interface DeltaStreamingWriterFactory<M = WriterCommitMessage> extends StreamingDataWriterFactory<M> {
  /** Like `StreamingDataWriterFactory.createWriter`. */
  createWriter(
    partitionId: number,
    taskId: number,
    epochId: number,
    task: TaskContext,
  ): Awaitable<DeltaWriter<M>>;
}

/**
 * Writes the changes of one task attempt: the engine calls these methods change by change, and
 * never `writeAll`. `metadata` is null if the operation requires no metadata columns. Row objects
 * are reused: copy what you keep. (Spark: `DeltaWriter`.)
 */
export abstract class DeltaWriter<M = WriterCommitMessage> extends DataWriter<NamedRow, M> {
  /** Deletes the row with this id. */
  abstract delete(metadata: NamedRow | null, id: NamedRow): Awaitable<void>;

  /** Replaces the row with this id by `row`, whose own id may be another one. */
  abstract update(metadata: NamedRow | null, id: NamedRow, row: NamedRow): Awaitable<void>;

  /** Inserts a row that was deleted before, as the second half of an update. */
  reinsert(_metadata: NamedRow | null, row: NamedRow): Awaitable<void> {
    return this.insert(row);
  }

  /** Inserts a new row. */
  abstract insert(row: NamedRow): Awaitable<void>;

  /** Inserts a row. */
  override write(row: NamedRow): Awaitable<void> {
    return this.insert(row);
  }
}
