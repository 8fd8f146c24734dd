import type { ErrorMeaning } from "./meaning.ts";

/** Codes about the files of an Iceberg table. */
const ICEBERG_FILES = {
  TABLE_FILE_MISSING: {
    means: "a file that the table's metadata names is gone",
    do: "find out who removes files; `millrace table rollback` goes back to a snapshot without it",
    again: "no",
  },
  TABLE_FILE_EXISTS: {
    means: "a file with the name of a new one exists already",
    do: "run again: names have a random id",
    again: "no",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of reading, and of `millrace table`. */
const ICEBERG_READ = {
  SNAPSHOT_NOT_FOUND: {
    means: "the table has no snapshot with this id, or of this time",
    do: "`millrace table snapshots` lists those that are left",
    again: "no",
  },
  TABLE_FILE_DAMAGED: {
    means: "a data file of the table cannot be read, or is not what the table's metadata says",
    do: "`millrace table rollback` goes back to a snapshot without it",
    again: "no",
  },
  TABLE_MOVED_ON: {
    means: "another writer changed the table after `millrace table rollback` had shown its preview",
    do: "run the command again and look at the new preview",
    again: "no",
  },
  TABLE_NOT_READABLE: {
    means: "the table uses a part of Iceberg that Millrace does not read, such as equality deletes",
    do: "read it with the engine that the message names",
    again: "no",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of catalogs. */
const ICEBERG_CATALOG = {
  CATALOG_FAILED: {
    means: "the catalog did not answer, or answered with an error",
    do: "the message has the catalog's own text",
    again: "429, 5xx and broken connections",
  },
  CATALOG_DENIED: {
    means: "the catalog refused the credentials, or has no right for them",
    do: "check the credentials and the rights of the role",
    again: "no",
  },
  CATALOG_MISSING: {
    means: "the option `catalog` is not set, and there is no home that could have the default one",
    do: "set the option `catalog`",
    again: "no",
  },
  TABLE_NAME_INVALID: {
    means: "the option `table` is not a namespace and a name, or the catalog cannot have such a name",
    do: "correct the option `table`",
    again: "no",
  },
  TABLE_NAME_TAKEN: {
    means: "a view, or something else that is not a table, has the table's name",
    do: "drop it, or choose another name",
    again: "no",
  },
  TABLE_GONE: {
    means: "the table was dropped or renamed while a batch was committed",
    do: "register it again; otherwise the next `millrace run` creates a new one",
    again: "no",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of commits. */
const ICEBERG_COMMIT = {
  MARKER_DAMAGED: {
    means: "a property of the table that names the newest batch of a pipeline is not what Millrace wrote",
    do: "set it to what an earlier metadata file has, or remove it and `millrace adopt` the table",
    again: "no",
  },
  PARTITIONING_CHANGED: {
    means: "partitions are replaced, and the table has files with an older partitioning",
    do: "rewrite the old files once, for example by Spark's `rewrite_data_files`",
    again: "no",
  },
  PARTITIONING_DIFFERS: {
    means: "the table is partitioned otherwise than the option `partitionBy` says",
    do: "set `partitionBy` to what the table has, or leave it out",
    again: "no",
  },
  TABLE_CHANGED: {
    means: "another writer changed the columns of the table after the batch was planned",
    do: "nothing: the next run plans the batch again",
    again: "no",
  },
  TABLE_REPLACED: {
    means: "the table was dropped and made anew after the batch was planned",
    do: "nothing: the next run plans the batch again",
    again: "no",
  },
  COMMIT_CONFLICTS: {
    means: "other writers changed the table again and again while a batch was committed",
    do: "nothing: the next run tries again",
    again: "yes",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of schemas, partitions and data files. */
const ICEBERG_DATA = {
  COLUMN_TYPE_NOT_SUPPORTED: {
    means: "Iceberg has no type for a column of the rows; the message has all such columns",
    do: "leave the column out, or give it another type",
    again: "no",
  },
  TABLE_TYPE_NOT_SUPPORTED: {
    means: "a column of the table has a type that version 2 of Iceberg's format does not have",
    do: "write to another table",
    again: "no",
  },
  TRANSFORM_NOT_SUPPORTED: {
    means: "the table is divided by a transform that is not known, or not possible for its column",
    do: "write to another table",
    again: "no",
  },
  PARTITIONS_INVALID: {
    means: "a text of the option for partitions names no column, or a transform that does not fit",
    do: "correct the option; the hint has the columns or transforms that are possible",
    again: "no",
  },
  BOUND_MALFORMED: {
    means: "a bound in a manifest is no value of its column's type",
    do: "`millrace table rollback` goes back to a snapshot before the damaged manifest",
    again: "no",
  },
  DATA_FILE_INVALID: {
    means: "a task's message about its data files cannot be read",
    do: "run again with the version that wrote it, or skip the batch",
    again: "no",
  },
  PARQUET_NOT_WRITTEN: {
    means: "the Parquet writer did not write a file, or wrote other rows than it was given",
    do: "run again with smaller `targetFileBytes`; report it if it happens again",
    again: "no",
  },
  TABLE_PROPERTY_INVALID: {
    means: "a property of the table has a value that is not possible",
    do: "correct the property with another engine",
    again: "no",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of the connector `iceberg` and of `millrace table`. */
export const ICEBERG = {
  ...ICEBERG_FILES,
  ...ICEBERG_READ,
  ...ICEBERG_CATALOG,
  ...ICEBERG_COMMIT,
  ...ICEBERG_DATA,
} as const satisfies Readonly<Record<string, ErrorMeaning>>;
