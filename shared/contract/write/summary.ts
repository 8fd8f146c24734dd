/** How many rows an INSERT or an append wrote. (Spark: `InsertSummary`.) */
export interface InsertSummary {
  /** Discriminant of the `WriteSummary` union. */
  readonly kind: "InsertSummary";
  /** Number of rows, or -1 if it is unknown. */
  readonly numInsertedRows: number;
}

/** How many rows an UPDATE wrote. (Spark: `UpdateSummary`.) */
export interface UpdateSummary {
  /** Discriminant of the `WriteSummary` union. */
  readonly kind: "UpdateSummary";
  /** Number of changed rows, or -1 if it is unknown. */
  readonly numUpdatedRows: number;
  /** Number of rows that were written again without a change, or -1 if it is unknown. */
  readonly numCopiedRows: number;
}

/** How many rows a DELETE removed. (Spark: `DeleteSummary`.) */
export interface DeleteSummary {
  /** Discriminant of the `WriteSummary` union. */
  readonly kind: "DeleteSummary";
  /** Number of deleted rows, or -1 if it is unknown. */
  readonly numDeletedRows: number;
  /** Number of rows that were written again without a change, or -1 if it is unknown. */
  readonly numCopiedRows: number;
}

/** How many rows a MERGE changed. Each number is -1 if it is unknown. (Spark: `MergeSummary`.) */
export interface MergeSummary {
  /** Discriminant of the `WriteSummary` union. */
  readonly kind: "MergeSummary";
  /** Number of rows that were written again without a change. */
  readonly numTargetRowsCopied: number;
  /** Number of rows that were deleted. */
  readonly numTargetRowsDeleted: number;
  /** Number of rows that were updated. */
  readonly numTargetRowsUpdated: number;
  /** Number of rows that were inserted. */
  readonly numTargetRowsInserted: number;
  /** Number of rows that a WHEN MATCHED clause updated. */
  readonly numTargetRowsMatchedUpdated: number;
  /** Number of rows that a WHEN MATCHED clause deleted. */
  readonly numTargetRowsMatchedDeleted: number;
  /** Number of rows that a WHEN NOT MATCHED BY SOURCE clause updated. */
  readonly numTargetRowsNotMatchedBySourceUpdated: number;
  /** Number of rows that a WHEN NOT MATCHED BY SOURCE clause deleted. */
  readonly numTargetRowsNotMatchedBySourceDeleted: number;
}

/**
 * What a statement did to the rows of a table. It counts the rows of successful task attempts only.
 * An append has an `InsertSummary`, an overwrite has none. (Spark: `WriteSummary`.)
 */
export type WriteSummary = InsertSummary | UpdateSummary | DeleteSummary | MergeSummary;
