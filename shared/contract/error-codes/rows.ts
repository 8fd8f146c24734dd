import type { ErrorMeaning } from "./meaning.ts";

/** Codes of rows that are exchanged between tasks, and of changes to rows of a table. */
export const CHANGES = {
  ARRANGEMENT_INVALID: {
    means:
      "`.repartition()`, `.repartitionByRange()` or `.sortWithinPartitions()` of something else than columns",
    do: "correct it as the hint says",
  },
  MERGE_INVALID: {
    means: "`.merge()` or `.update()` with an option, a clause or a column that it cannot have",
    do: "correct it as the hint says; the guide is docs/merge.md",
  },
  DISTRIBUTION_INVALID: {
    means:
      "a write that requires both a number of tasks and a size, one of them without a distribution, or a column that the rows lack; nothing was read or written",
    do: "correct the write's `requiredDistribution()` and the methods beside it",
    again: "no",
  },
  SHUFFLE_FILE_MISSING: {
    means:
      "a file of rows that tasks exchange is gone or damaged; the batch is aborted, and the next run reads its rows again",
    do: "find out who deletes files in the pipeline's store; nothing is lost",
    again: "next run",
  },
  SPILL_FAILED: {
    means: "rows that a task puts aside while it sorts them could not be written or read again",
    do: "see the cause: mostly the disk is full, or files were deleted while a task was running",
    again: "in a task, yes",
  },
  ROW_LEVEL_INVALID: {
    means: "a table's row-level operation lacks a method, or has row ids that may be null",
    do: "correct the table's operation",
    again: "no",
  },
  MERGE_CARDINALITY_VIOLATION: {
    means: "several rows of the source of a merge match one row of the table; nothing was written",
    do: "give the source one row for each row of the table, or add a condition to `on`",
    again: "in a task, yes",
  },
  ROWS_CHANGED: {
    means: "rows of a table have changed since a command read them; nothing was written",
    do: "nothing: the batch is aborted, and the next run reads the table again",
    again: "next run",
  },
  KEY_IS_NULL: {
    means: "a change has no value in one of `keys`; the batch is not committed",
    do: "correct the feed, or leave such rows out where it is read",
    again: "no",
  },
  SEQUENCE_IS_NULL: {
    means: "a change has no value in one of the columns of `sequenceBy`; the batch is not committed",
    do: "correct the feed, or leave such rows out where it is read",
    again: "no",
  },
  SEQUENCE_NOT_UNIQUE: {
    means:
      "two different changes of a key have one sequence, so none of them is the last one; the batch is not committed",
    do: 'add a column to `sequenceBy`, or set `onEqualSequence: "first"`',
    again: "no",
  },
  BAD_ROWS_TOO_MANY: {
    means: "a batch has more rows that cannot be written than `max` of `.onBadRow()` allows; it is aborted",
    do: "correct the source or the schema, or allow more",
    again: "next run",
  },
  QUARANTINE_FILE_MISSING: {
    means: "a file of quarantined rows is gone from the pipeline's store",
    do: "restore it, or read its rows again from the source",
    again: "no",
  },
  RETRY_NOT_SUPPORTED: {
    means: "quarantined rows cannot be sent again: each run of the pipeline writes all rows anew",
    do: "run the pipeline again after the fix",
  },
  ROW_NOT_READ_AGAIN: {
    means:
      "a quarantined row cannot be made from what was kept of it, because the reader has no `readBadRows`; it stays in the quarantine",
    do: "give the reader `readBadRows`, or read its range again: `millrace rewind`",
    again: "no",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;
