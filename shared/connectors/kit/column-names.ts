import { listNames, MillraceError } from "../../contract/errors.ts";

/** Maximum number of names in an error message. */
const MAX_NAMES = 10;

/** A column of the schema, and the similar name that the data has instead. */
export interface Misnamed {
  readonly column: string;
  readonly found: string;
}

export interface NameCheck {
  /** The start of the error message, such as `message 5: `. */
  readonly prefix?: string;
  /** Where the user writes the schema, for the hint. Default: `the schema`. */
  readonly schema?: string;
  /**
   * Names in the data that have a meaning of their own and are never taken for a misspelled column.
   * Default: the columns.
   */
  readonly known?: readonly string[];
  /** Returns another suggestion for the hint, in the form `, or …`. */
  readonly orElse?: (misnamed: readonly Misnamed[]) => string;
}

/**
 * Throws `COLUMN_MISNAMED` if a column is missing in the data but a similar name is there. Similar
 * names differ only in case, `_`, `-` or spaces. Columns that are simply missing are allowed; they
 * are read as null.
 */
export function checkColumnNames(
  columns: readonly string[],
  found: readonly string[],
  { prefix = "", schema = "the schema", known = columns, orElse = () => "" }: NameCheck = {},
): void {
  const missing = columns.filter((column) => !found.includes(column));
  if (missing.length === 0) return;
  const others = new Map(
    found.filter((name) => !known.includes(name)).map((name) => [plainName(name), name]),
  );
  const misnamed = missing.flatMap((column): Misnamed[] => {
    const other = plainName(column) === "" ? undefined : others.get(plainName(column));
    return other === undefined ? [] : [{ column, found: other }];
  });
  if (misnamed.length === 0) return;
  const isOne = misnamed.length === 1;
  const names = quoted(misnamed.map((one) => one.found));
  const theirs = `${isOne ? "column" : "columns"} ${quoted(misnamed.map(({ column }) => column))}`;
  const [be, them] = isOne ? ["is", "it"] : ["are", "them"];
  throw new MillraceError("COLUMN_MISNAMED", `${prefix}${theirs} ${be} not there, but ${names} ${be}`, {
    hint: `Call ${them} ${names} in ${schema}${orElse(misnamed)}.`,
  });
}

/** Formats names for an error message: `"a", "b" and 3 more`. */
export function quoted(names: readonly string[]): string {
  return listNames(names, MAX_NAMES);
}

/** Returns a name without what may differ between similar names. */
export function plainName(name: string): string {
  return name.toLowerCase().replace(/[\s_-]/g, "");
}
