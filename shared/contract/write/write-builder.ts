import type { Filter } from "../filters.ts";
import type { Awaitable } from "../stream-reader.ts";
import type { Predicate } from "./predicates.ts";
import type { Write } from "./write.ts";

/**
 * Builds a write. Before `build` the engine calls at most one of `truncate`, `overwrite` and
 * `overwriteDynamicPartitions`; without such a call the write appends. (Spark: `WriteBuilder`.)
 */
export interface WriteBuilder {
  /**
   * Returns the write. In the step that plans a batch it may also return `undefined`: then there is
   * nothing to write, and no batch is recorded.
   */
  build(): Awaitable<Write | undefined>;
}

/** A builder whose write can replace all rows of the table. (Spark: `SupportsTruncate`.) */
export interface SupportsTruncate extends WriteBuilder {
  /** Makes the write replace all rows. */
  truncate(): WriteBuilder;
}

/**
 * A builder whose write can replace the rows that match predicates. Without a method `truncate`,
 * all rows are replaced by `overwrite([ALWAYS_TRUE])`. (Spark: `SupportsOverwriteV2`.)
 */
export interface SupportsOverwriteV2 extends WriteBuilder {
  /** Distinguishes builders that take filters from those that take predicates. */
  readonly filterForm?: "predicates";
  /** Returns false if the write cannot replace the rows that match all these predicates. */
  canOverwrite?(predicates: readonly Predicate[]): boolean;
  /** Makes the write replace the rows that match all these predicates. */
  overwrite(predicates: readonly Predicate[]): WriteBuilder;
  /** Makes the write replace all rows. */
  truncate?(): WriteBuilder;
}

/** Like `SupportsOverwriteV2`, with the older filters. (Spark: `SupportsOverwrite`.) */
export interface SupportsOverwrite extends WriteBuilder {
  /** Distinguishes builders that take filters from those that take predicates. */
  readonly filterForm: "filters";
  /** Returns false if the write cannot replace the rows that match all these filters. */
  canOverwrite?(filters: readonly Filter[]): boolean;
  /** Makes the write replace the rows that match all these filters. */
  overwrite(filters: readonly Filter[]): WriteBuilder;
  /** Makes the write replace all rows. */
  truncate?(): WriteBuilder;
}

/**
 * A builder whose write can replace each partition of the table that occurs in the new rows.
 * (Spark: `SupportsDynamicOverwrite`.)
 */
export interface SupportsDynamicOverwrite extends WriteBuilder {
  /** Makes the write replace these partitions. */
  overwriteDynamicPartitions(): WriteBuilder;
}
