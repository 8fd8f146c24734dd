import type { ErrorMeaning } from "./meaning.ts";

/** Codes of problems with the source: readers, offsets, partitions, rows and schemas. */
export const SOURCE = {
  PLANNING_STALLED: {
    means: "a warning: a method of the reader that plans has not answered for `stallAfter`",
    do: "look whether the source answers; give it a time limit",
    again: "–",
  },
  SOURCE_FAILED: {
    means: "a method of the reader threw; its error is below",
    do: "correct the source",
    again: "in a task, yes",
  },
  READER_INVALID: {
    means:
      "`streamReader()`, `simpleStreamReader()` or `reader()` gave an object that lacks a method, a class, or nothing; the message has what it may be a slip of",
    do: "give an object of a class that extends `DataSourceStreamReader`, …",
    again: "no",
  },
  OFFSET_NOT_JSON: {
    means: "an offset that JSON would lose or change; the message has the place",
    do: "give a plain object of JSON values",
    again: "no",
  },
  OFFSET_UNREADABLE: {
    means:
      "an offset that a person gave, which the source's reader cannot read, or from which it cannot plan a batch; the message names the field, or says why",
    do: "correct it; `millrace status` shows one that the source wrote. `--unchecked` sets it all the same",
    again: "no",
  },
  OFFSET_TOO_LARGE: {
    means:
      "an offset of more JSON than the ledger can store: 100 KiB in DynamoDB, 1 MiB in SQLite; nothing was recorded",
    do: "give a shorter offset, and keep what is long where the source has its data",
    again: "no",
  },
  OFFSET_WENT_BACK: {
    means: "`latestOffset`, or a simple reader's `read`, gave an end before the start",
    do: "give the start where nothing is new",
    again: "no",
  },
  OFFSET_FOLLOWS_CLOCK: {
    means: "a warning, in the first batch: `latestOffset` seems to give the time of day, unrounded",
    do: "stay behind the clock: [`settledNow`](source-helpers.md)",
    again: "–",
  },
  OFFSET_FIELD_INVALID: {
    means:
      "an offset or a row lacks a field of a `CompositeOffset`, has another type there, or null; or an offset has a field too many; the message names it",
    do: "leave out rows without it; rewind where the source's offsets have changed",
    again: "no",
  },
  TIME_INVALID: {
    means: "no time with its zone and of whole microseconds, of the years 0000 to 9999",
    do: "give ISO 8601 with its zone, a Date, or bigint microseconds",
    again: "no",
  },
  TIME_RANGE_INVALID: {
    means: "a `TimeRange` that would end before it begins",
    do: "swap its ends; `TimeRange.upTo` for a clock's time",
    again: "no",
  },
  READ_LIMIT_INVALID: {
    means: "`getDefaultReadLimit` gave no read limit, or a limit is no whole number from 1 on",
    do: "give one of the `Read…` classes",
    again: "no",
  },
  SIMPLE_STREAM_READER_OFFSET_DID_NOT_ADVANCE: {
    means: "a simple reader's `read(start)` gave rows, and `start` as their end",
    do: "give the offset after the rows",
    again: "no",
  },
  PARTITIONS_NOT_AN_ARRAY: {
    means: "`partitions` gave something else",
    do: "give an array",
    again: "no",
  },
  PARTITIONS_OVERLAP: {
    means:
      "two partitions are equal, or their [ranges overlap](from-pyspark.md#partitions-that-overlap): rows would be written twice",
    do: "half-open ranges: [`TimeRange.split`](source-helpers.md); other names than `from` and `to` if they are no ranges",
    again: "no",
  },
  PARTITION_NOT_JSON: {
    means: "a partition that JSON would lose or change",
    do: "give plain objects, make what has methods in `read`",
    again: "no",
  },
  READ_NOT_ITERABLE: {
    means: "`read` gave no iterable; of a simple reader, no `{ rows, offset }`",
    do: "write it as a generator",
    again: "no",
  },
  ROW_MISMATCH: {
    means: "a value does not fit its field: row number (from 1), field, expected type, what was found",
    do: "convert it in `read`, or change the schema",
    again: "no",
  },
  ROW_NOT_A_ROW: {
    means: "something that is neither object, array nor record batch",
    do: "yield rows",
    again: "no",
  },
  BATCH_SCHEMA_MISMATCH: {
    means: "a record batch of another schema",
    do: "give the schema's columns, in its order",
    again: "no",
  },
  COLUMN_MISNAMED: {
    means:
      "a column of the schema is not in the file, page or message, but one is whose name differs only in case, `_`, `-` or spaces; the message has both",
    do: "call it in the schema as it is called there; `trim` of `files`, `columns` of `rest-api`",
    again: "no",
  },
  BATCH_INVALID: {
    means:
      "a record batch whose buffers do not fit each other: too short, offsets that go back, indices beyond a dictionary, text that is not UTF-8",
    do: "build it anew; the message has the column",
    again: "no",
  },
  COLUMN_DUPLICATE: {
    means: "two columns, or two fields of a struct, have the same name",
    do: "rename one of them",
    again: "no",
  },
  DICTIONARY_TOO_LARGE: {
    means:
      "a file has one dictionary a column, and the values of all record batches do not fit into it: the type of the indices is too small, or the dictionary is ordered",
    do: "give the dictionary indices of `Int32`, or the column its values without a dictionary",
    again: "no",
  },
  RECORD_BATCH_TOO_LARGE: {
    means: "one record batch has 2 GiB or more, and cannot be split because it has one row, or views",
    do: "let the reader yield smaller record batches, or rows",
    again: "no",
  },
  TYPE_NOT_SUPPORTED: {
    means: "rows cannot be turned into this Arrow type, or a file has a type or encoding that is not read",
    do: "yield record batches; write the file again with another type",
    again: "no",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of writer tasks. */
export const TASKS = {
  TASK_FAILED: {
    means: "an error outside source and sink",
    do: "see its cause",
    again: "yes",
  },
  TASK_CANCELLED: {
    means: "the run was interrupted, or another task failed for good",
    do: "nothing: it runs again with the batch",
    again: "no",
  },
  PARTITION_STALLED: {
    means:
      "the source gave no row, or the sink took none, for as long as [`stallAfter`](progress.md#stalled-partitions) allows, and the task is to fail then; the message says which of the two, and the offsets",
    do: "look there; give what waits a time limit; raise `stallAfter` where it is only slow",
    again: "yes",
  },
  WORKER_DIED: {
    means: "the task's thread ended, for example because it ran out of memory",
    do: "look into source and sink",
    again: "yes",
  },
  CODE_CHANGED: {
    means:
      "a warning: a file of the pipeline was edited after the run began, which goes on with the code that it began with; or a run goes on with a batch that other code has planned",
    do: "stop the run and start it again to use the new code; let new code read the partitions that old code has planned",
    again: "–",
  },
  TASKS_MISSING: {
    means: "tasks of the batch never finished",
    do: "see the run's other errors",
    again: "next run",
  },
  PIPELINE_PAUSED: {
    means:
      "the pipeline [was paused](runners.md#a-batch-that-cannot-succeed), because a batch was aborted again and again by an error that will not pass; nothing was read or written",
    do: "correct what `millrace batch` shows, then `millrace resume`; or leave its rows out by `millrace skip`, then `millrace resume`",
    again: "no",
  },
  BATCH_ABORTED: {
    means: "the batch was aborted, and no reason is known",
    do: "run again",
    again: "next run",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of problems with the sink: writers, commits and tables. */
export const SINK = {
  ROWS_NOT_CONSUMED: {
    means:
      "a warning: `write` returned before it had all rows, as Spark lets it; the others are not read again",
    do: "go through the rows to their end",
    again: "–",
  },
  TARGET_UNUSABLE: {
    means:
      "the server, the catalog or the folder of the sink refuses, such as for a wrong password or a bucket that is not there; found before a batch is planned",
    do: "correct the options, the password or the rights",
    again: "no",
  },
  FIELDS_LEFT_OUT: {
    means:
      "a warning: rows have fields that the schema lacks, so nothing writes them; the message has their names",
    do: "add them to the schema, or leave them out of the rows",
    again: "–",
  },
  WRITER_INVALID: {
    means:
      "`streamWriter()` or `writer()` gave an object without `write`, `commit` or `abort`, a class, or nothing; or a method of a [table](write.md) returned something else than its interface says",
    do: "give an object of a class that extends `DataSourceStreamWriter`, …",
    again: "no",
  },
  WRITE_NOT_SUPPORTED: {
    means: "the table cannot do what the pipeline asks of it, such as an overwrite by filter",
    do: "choose another mode, or another table; see [docs/write.md](write.md)",
    again: "no",
  },
  FACTORY_NOT_JSON: {
    means: "a field of a writer factory is no JSON value, so that it cannot travel to the tasks",
    do: "keep plain JSON in the fields; open connections in `createWriter()`",
    again: "no",
  },
  FACTORY_TOO_LARGE: {
    means: "the fields of a writer factory have more than 16 KiB as JSON",
    do: "keep large data in a file, and its name in the factory",
    again: "no",
  },
  COMMIT_DENIED: {
    means:
      "an attempt of a task was not allowed to commit, because another one had the right to, and that one failed",
    do: "nothing: the task is tried again",
    again: "yes",
  },
  SINK_FAILED: {
    means:
      "a method of the writer threw. After `commit()`: the batch was aborted, or, where it may have landed, goes on from there with the next run",
    do: "correct the sink",
    again: "in a task; in `commit` where the error has `retryable: true`",
  },
  COMMIT_STALLED: {
    means:
      "a warning: a call that ends a batch has not answered for [`stallAfter`](progress.md#stalled-partitions): `commit()`, `abort()` or `hasCommitted()` of the sink, or `commit()` of the source. It comes again each time that the wait has doubled",
    do: "look whether the other side answers, and who holds its locks; give the call a time limit. Stopping the run loses nothing",
    again: "–",
  },
  MESSAGE_NOT_JSON: {
    means: "a commit message that JSON would lose or change",
    do: "give plain JSON",
    again: "no",
  },
  TARGET_EXISTS: {
    means:
      "a batch of the mode `errorifexists`, the default, to a target that is there. Nothing was read or written",
    do: "choose another mode, or another target",
    again: "no",
  },
  COLUMNS_NOT_MATCHED: {
    means:
      "the rows do not fit the columns of the table: one is missing, one is not in the table, or one has a type that is not safely stored; the message has all of them",
    do: "give the rows the columns of the table",
    again: "no",
  },
  TABLE_SCHEMA_MISMATCH: {
    means: "the table has other columns than the rows; the message names each difference",
    do: '`.onSchemaChange("evolve")` if the error says so; else write to another path, or change the schema back',
    again: "no",
  },
  TABLE_PARTITIONS_MISMATCH: {
    means: "the table, or what a task has staged for it, has other partition columns",
    do: "give the sink the option `partitionBy` that the table was made with, or write to another path",
    again: "no",
  },
  TABLE_PARTITIONS_TOO_MANY: {
    means: "a task would write more than 10,000 files, because its rows are of so many partitions",
    do: "partition by a coarser column, or order the rows by it",
    again: "no",
  },
  TABLE_MOVED: {
    means: "a batch was staged in another folder than the table now has",
    do: "run it with the path, home and working directory that it was begun with",
    again: "no",
  },
  TABLE_BUSY: {
    means: "too many commits of other pipelines, or of another home, at once",
    do: "fewer pipelines on one table",
    again: "yes",
  },
  TABLE_LOG_BROKEN: {
    means: "an entry of the table's log is gone or damaged",
    do: "restore it",
    again: "no",
  },
  TABLE_VERSION: {
    means: "the table's log, or its record of batches, was written by a newer Millrace",
    do: "use that one",
    again: "no",
  },
  TABLE_FILE_DAMAGED: {
    means: "a data file of an Arrow table is not what was written",
    do: "restore it from a backup",
    again: "no",
  },
  TABLE_FILE_MISSING: {
    means: "a data file that the table's log names is gone",
    do: "restore it",
    again: "no",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of the ledger and of the object store. */
export const LEDGER_AND_STORE = {
  LEDGER_FAILED: {
    means: "the ledger's disk or table failed, is full, or forbids it",
    do: "as it says; where the cause is not known, check space and rights",
    again: "where it may pass",
  },
  STORE_FAILED: {
    means: "the store's disk or bucket failed, is full, or forbids it",
    do: "as it says; where the cause is not known, check space and rights",
    again: "where it may pass",
  },
  LEDGER_BEHIND_SINK: {
    means:
      "the sink has a batch of this pipeline that the ledger does not know, or another one under the same id: the ledger was [restored, copied or lost](restore.md); nothing was written, moved or acknowledged",
    do: "`millrace adopt`",
    again: "no",
  },
  SINK_BEHIND_LEDGER: {
    means:
      "the sink lacks batches that the ledger calls committed: it was [restored, emptied or replaced](restore.md); nothing was written, moved or acknowledged",
    do: "`millrace rewind` to where the sink ends, or `millrace adopt` if a batch is open; the message has the command",
    again: "no",
  },
  LEDGER_LOST: {
    means: "the ledger's file was removed or replaced while a run had it open; the run has ended",
    do: "put the file back, or start again: see [restore](restore.md)",
    again: "no",
  },
  PIPELINE_CHANGED: {
    means:
      "the name stood for another file, kind, source, sink or target; the message names [what differs](restore.md#the-pipeline-has-changed); nothing was planned",
    do: "`millrace accept` if it is the same pipeline; another name if it is not; `millrace forget` if it was a batch and is a stream, or the other way round",
    again: "no",
  },
  SKIP_REFUSED: {
    means: "a batch cannot be skipped without losing rows that only the source still has",
    do: "copy them, then `millrace skip --discard`; or give the reader [`setAside`](sources-and-sinks.md#a-stream-reader)",
    again: "no",
  },
  HOME_READABLE: {
    means: "a warning: every user of this machine can look into the home, which existed before",
    do: "`chmod -R o-rwx` of the home; one that Millrace creates is for its owner only",
    again: "–",
  },
  LEDGER_DAMAGED: {
    means: "the ledger's file is damaged, or holds something else",
    do: "restore it from a backup; without one, move it away and `millrace adopt`",
    again: "no",
  },
  LEDGER_VERSION: {
    means: "the ledger was written by a newer Millrace",
    do: "use that one",
    again: "no",
  },
  LEDGER_CONFLICT: {
    means: "a transition that the ledger's state does not allow; nothing was changed",
    do: "run again; report it if it stays",
    again: "no",
  },
  STORE_KEY_INVALID: {
    means: "a key that is no plain relative path",
    do: "a sink's mistake: correct it",
    again: "no",
  },
  PARTITIONS_MISSING: {
    means: "somebody deleted or damaged a batch's partitions file, which the ledger names",
    do: "run again: the batch is planned anew; or restore the file",
    again: "next run",
  },
  MESSAGE_MISSING: {
    means: "somebody deleted or changed a task's commit message, which the ledger names",
    do: "run again: the task runs again; or restore the file",
    again: "next run",
  },
  BATCH_TOO_OLD: {
    means: "a batch was decided over 90 days ago and never ended",
    do: "look in the sink whether it landed, then `millrace skip`",
    again: "no",
  },
  UNEXPECTED: {
    means: "a defect of Millrace",
    do: "report it",
    again: "no",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;
