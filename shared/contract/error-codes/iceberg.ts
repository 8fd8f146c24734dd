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
  AWS_CREDENTIALS_MISSING: {
    means: "the AWS SDK finds no credentials or no region with which a catalog could be asked",
    do: "set them as for the AWS CLI; `aws sts get-caller-identity` tells which are found",
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
    means: "another writer changed the columns or the partitioning after the batch was planned",
    do: "nothing: the next run plans the batch again",
    again: "no",
  },
  PLAN_FILE_MISSING: {
    means: "the file with the plan of a batch for a table with many columns is gone",
    do: "find out who removes files; nothing was committed, and the next run plans the batch again",
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
    do: "nothing was committed: run again; report it with the schema of the rows if it happens again",
    again: "no",
  },
  TABLE_PROPERTY_INVALID: {
    means: "a property of the table has a value that is not possible",
    do: "correct the property with another engine",
    again: "no",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of metadata files, manifests and manifest lists. */
const ICEBERG_FORMAT = {
  TABLE_METADATA_INVALID: {
    means: "a table's metadata is not as Iceberg's specification has it",
    do: "the message says where; `millrace table path` shows the file, and its catalog an earlier one",
    again: "no",
  },
  TABLE_VERSION_NOT_SUPPORTED: {
    means: "the table has another format version than 2",
    do: "upgrade a table of version 1 with Spark; use another table instead of a later version",
    again: "no",
  },
  SNAPSHOT_EXISTS: {
    means: "a commit adds a snapshot whose id the table has already",
    do: "nothing: the sink loads the table again and finds that the batch is there",
    again: "no",
  },
  TABLE_UPDATE_INVALID: {
    means: "a commit contains a change that the table cannot take, such as an unknown schema",
    do: "report it: the request was wrong, and nothing was written",
    again: "no",
  },
  AVRO_DAMAGED: {
    means: "a manifest or a manifest list is cut off or damaged",
    do: "restore the file, or go back to a snapshot without it: `millrace table rollback`",
    again: "no",
  },
  AVRO_NOT_SUPPORTED: {
    means: "a manifest or a manifest list uses a part of Avro that Millrace does not read",
    do: "rewrite the manifests with the program that wrote them",
    again: "no",
  },
  MANIFEST_INVALID: {
    means: "a manifest or a manifest list breaks the rules of Iceberg's specification",
    do: "rewrite the manifests with Spark's `rewrite_manifests`",
    again: "no",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of schema evolution. */
const ICEBERG_EVOLVE = {
  SCHEMA_CHANGED: {
    means: "the rows have other columns than the table, and `.onSchemaChange()` does not let it change",
    do: "the message names each column, and the hint the choice that ends it: see [schema changes](iceberg.md#schema-changes)",
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
  ...ICEBERG_FORMAT,
  ...ICEBERG_EVOLVE,
} as const satisfies Readonly<Record<string, ErrorMeaning>>;
