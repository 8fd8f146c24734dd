import type { BatchContext } from "../context.ts";
import type { Filter } from "../filters.ts";
import type { SchemaLike } from "../schema-like.ts";
import type { Awaitable } from "../stream-reader.ts";
import type { CustomMetric, CustomTaskMetric } from "./metrics.ts";
import type { Predicate } from "./predicates.ts";
import type { WriteBuilder } from "./write-builder.ts";
import type { LogicalWriteInfo } from "./write-info.ts";

/**
 * What a table can do. The engine checks it before it makes a builder. (Spark: `TableCapability`.)
 */
export type TableCapability =
  /** It can be read in a batch. */
  | "BATCH_READ"
  /** A batch pipeline can write to it. */
  | "BATCH_WRITE"
  /** A stream can write to it. */
  | "STREAMING_WRITE"
  /** A batch can replace all its rows. */
  | "TRUNCATE"
  /** A batch can replace the rows that match a filter. */
  | "OVERWRITE_BY_FILTER"
  /** A batch can replace the partitions that occur in the new rows. */
  | "OVERWRITE_DYNAMIC"
  /** Rows are written as they are, whatever the columns of the table are. */
  | "ACCEPT_ANY_SCHEMA"
  /**
   * The table adds new columns of the rows, or leaves them out, as `info.onSchemaChange` says.
   * `.onSchemaChange("evolve")` and `.onSchemaChange("ignore")` need it. The table then gets the
   * rows as they are, and matches their columns with its own.
   */
  | "AUTOMATIC_SCHEMA_EVOLUTION"
  /** Its builder builds a `V1Write`. */
  | "V1_BATCH_WRITE"
  /** The table computes generated columns. Exists because Spark has it; nothing asks for it. */
  | "GENERATE_COLUMN_VALUES_ON_WRITE";

/** A table of a data source. (Spark: `Table`.) */
export interface Table {
  /** Name of the table, for messages. */
  readonly name: string;
  /** What the table can do. */
  readonly capabilities: ReadonlySet<TableCapability>;
  /**
   * The columns of the table. If it is present, and the table does not accept any schema, columns
   * of the rows are matched by name.
   */
  readonly schema?: SchemaLike;
  /** What people can do instead, by the capability that the table lacks. Errors show it. */
  readonly insteadOf?: Readonly<Partial<Record<TableCapability, string>>>;
}

/**
 * A table that can be written. It may also have the methods of `SupportsExists`,
 * `SupportsNewestBatch`, `SupportsCommitLookup`, `SupportsStagedFiles`, `SupportsTaskAbort`,
 * `SupportsTargetName`, `SupportsLedgerTransaction` and `SupportsVacuum`. (Spark: `SupportsWrite`.)
 */
export interface SupportsWrite extends Table {
  /** Returns a builder. Called in each step of a batch, with equal information. */
  newWriteBuilder(info: LogicalWriteInfo): WriteBuilder;
}

/** A table that can delete all its rows. (Spark: `TruncatableTable`.) */
export interface TruncatableTable extends Table {
  /** Deletes all rows. Returns false if it could not. A pipeline gives its `batch`. */
  truncateTable(options?: Readonly<Record<string, unknown>>, batch?: BatchContext): Awaitable<boolean>;
  /** Returns the metrics of a deletion. */
  supportedCustomMetrics?(): readonly CustomMetric[];
  /** Returns their values after a deletion. */
  reportDriverMetrics?(): Awaitable<readonly CustomTaskMetric[]>;
}

/** A table that can delete the rows that match predicates. (Spark: `SupportsDeleteV2`.) */
export interface SupportsDeleteV2 extends Table {
  /** Distinguishes tables that take filters from those that take predicates. */
  readonly filterForm?: "predicates";
  /** Returns false if the table cannot delete the rows that match all these predicates. */
  canDeleteWhere?(predicates: readonly Predicate[]): boolean;
  /**
   * Deletes the rows that match all these predicates. A pipeline gives its `batch`: after a crash
   * it may call again for the same one, and nothing more may be deleted then.
   */
  deleteWhere(
    predicates: readonly Predicate[],
    options?: Readonly<Record<string, unknown>>,
    batch?: BatchContext,
  ): Awaitable<void>;
  /** Returns the metrics of a deletion. */
  supportedCustomMetrics?(): readonly CustomMetric[];
  /** Returns their values after a deletion. */
  reportDriverMetrics?(): Awaitable<readonly CustomTaskMetric[]>;
}

/** Like `SupportsDeleteV2`, with the older filters. (Spark: `SupportsDelete`.) */
export interface SupportsDelete extends Table {
  /** Distinguishes tables that take filters from those that take predicates. */
  readonly filterForm: "filters";
  /** Returns false if the table cannot delete the rows that match all these filters. */
  canDeleteWhere?(filters: readonly Filter[]): boolean;
  /** Like `SupportsDeleteV2.deleteWhere`. */
  deleteWhere(
    filters: readonly Filter[],
    options?: Readonly<Record<string, unknown>>,
    batch?: BatchContext,
  ): Awaitable<void>;
  /** Returns the metrics of a deletion. */
  supportedCustomMetrics?(): readonly CustomMetric[];
  /** Returns their values after a deletion. */
  reportDriverMetrics?(): Awaitable<readonly CustomTaskMetric[]>;
}
