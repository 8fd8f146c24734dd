import type { Schema } from "apache-arrow";
import type { TaskContext } from "../context.ts";
import type { SchemaLike } from "../schema-like.ts";
import type { Awaitable, InputPartition, RowSource } from "../stream-reader.ts";
import type { NamedReference, Predicate } from "./predicates.ts";
import type { Table } from "./table.ts";

/** A table that can be read. (Spark: `SupportsRead`.) */
export interface SupportsRead extends Table {
  /** Returns a builder of scans. */
  newScanBuilder(options: Readonly<Record<string, unknown>>): ScanBuilder;
}

/**
 * Builds a scan. It may also have the methods of `SupportsPushDownV2Filters` and of
 * `SupportsPushDownRequiredColumns`, which are called before `build`, in this order. (Spark:
 * `ScanBuilder`.)
 */
export interface ScanBuilder {
  /** Returns the scan. */
  build(): Awaitable<Scan>;
}

/** A builder that takes predicates. (Spark: `SupportsPushDownV2Filters`.) */
export interface SupportsPushDownV2Filters extends ScanBuilder {
  /**
   * Receives the predicates, all of which must hold, and returns those that the engine has to
   * evaluate again.
   */
  pushPredicates(predicates: readonly Predicate[]): readonly Predicate[];
}

/** A builder that takes the columns that are needed. (Spark: `SupportsPushDownRequiredColumns`.) */
export interface SupportsPushDownRequiredColumns extends ScanBuilder {
  /** Receives the needed columns, metadata columns included. */
  pruneColumns(required: Schema): void;
}

/** Reads rows of a table. (Spark: `Scan`.) */
export interface Scan {
  /**
   * Returns the schema of the rows. It has all needed columns, and may have more.
   */
  readSchema(): SchemaLike;
  /** Returns the reader of one batch. */
  toBatch(): Awaitable<Batch>;
}

/**
 * A scan that can leave out groups of rows when it already runs, because no row of theirs is
 * needed. (Spark: `SupportsRuntimeV2Filtering`.)
 */
export interface SupportsRuntimeV2Filtering extends Scan {
  /** Returns the columns, usually metadata columns, whose values tell groups of rows apart. */
  filterAttributes(): readonly NamedReference[];
  /** Leaves out groups of rows for which the predicates do not hold. */
  filter(predicates: readonly Predicate[]): Awaitable<void>;
}

/** Reads a scan in one batch. (Spark: `Batch`.) */
export interface Batch<P = InputPartition> {
  /** Returns the slices that tasks read: JSON values, which are recorded. */
  planInputPartitions(): Awaitable<readonly P[]>;
  /** Returns the factory of the readers. Called in each task. */
  createReaderFactory(): Awaitable<PartitionReaderFactory<P>>;
}

/** Makes the readers of partitions. (Spark: `PartitionReaderFactory`.) */
export interface PartitionReaderFactory<P = InputPartition> {
  /** Returns the rows of a partition, which have the columns of `readSchema`. */
  createReader(partition: P, task: TaskContext): Awaitable<RowSource>;
}

/** A column that a table does not store, but tells of each row. (Spark: `MetadataColumn`.) */
export interface MetadataColumn {
  /** Name of the column. */
  readonly name: string;
  /** Type in DDL, such as `bigint` or `string not null`. */
  readonly type: string;
  /** False if it is null in the metadata of a deleted row. Default true. */
  readonly preserveOnDelete?: boolean;
  /** False if it is null in the metadata of an updated row. Default true. */
  readonly preserveOnUpdate?: boolean;
  /** True if it is kept in the metadata of a row that is inserted again. Default false. */
  readonly preserveOnReinsert?: boolean;
}

/** A table with metadata columns. (Spark: `SupportsMetadataColumns`.) */
export interface SupportsMetadataColumns extends Table {
  /** Returns the metadata columns. */
  metadataColumns(): readonly MetadataColumn[];
}
