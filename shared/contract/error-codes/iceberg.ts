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
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of commits. */
const ICEBERG_COMMIT = {
  COMMIT_CONFLICTS: {
    means: "other writers changed the table again and again while a batch was committed",
    do: "nothing: the next run tries again",
    again: "yes",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of the connector `iceberg` and of `millrace table`. */
export const ICEBERG = {
  ...ICEBERG_FILES,
  ...ICEBERG_READ,
  ...ICEBERG_CATALOG,
  ...ICEBERG_COMMIT,
} as const satisfies Readonly<Record<string, ErrorMeaning>>;
