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
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of commits. */
const ICEBERG_COMMIT = {
  COMMIT_CONFLICTS: {
    means: "other writers changed the table again and again while a batch was committed",
    do: "nothing: the next run tries again",
    again: "yes",
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

/** Codes of the connector `iceberg` and of `millrace table`. */
export const ICEBERG = {
  ...ICEBERG_FILES,
  ...ICEBERG_CATALOG,
  ...ICEBERG_COMMIT,
  ...ICEBERG_FORMAT,
} as const satisfies Readonly<Record<string, ErrorMeaning>>;
