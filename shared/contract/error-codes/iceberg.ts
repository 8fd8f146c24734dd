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
  COMMIT_CONFLICTS: {
    means: "other writers changed the table again and again while a batch was committed",
    do: "nothing: the next run tries again",
    again: "yes",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of the connector `iceberg` and of `millrace table`. */
export const ICEBERG = {
  ...ICEBERG_FILES,
  ...ICEBERG_CATALOG,
  ...ICEBERG_COMMIT,
} as const satisfies Readonly<Record<string, ErrorMeaning>>;
