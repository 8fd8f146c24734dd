import { listNames, MillraceError } from "../../contract/errors.ts";

/** Names that an error shows at most. */
const MAX_NAMES = 10;

/** A column of the schema, and the name under which it seems to be there. */
export interface Misnamed {
  readonly column: string;
  readonly found: string;
}

export interface NameCheck {
  /** What an error begins with: `message 5: `. */
  readonly prefix?: string;
  /** Where the schema is written. Default: `the schema`. */
  readonly schema?: string;
  /** Names that stand for something else than the missing columns. Default: the columns. */
  readonly known?: readonly string[];
  /** What else the person may do: `, or …`. */
  readonly orElse?: (misnamed: readonly Misnamed[]) => string;
}

/**
 * What is not there is null, unless it is there under a name that differs in no more than
 * case, `_`, `-` and spaces: then it was misnamed. Error: `COLUMN_MISNAMED`.
 */
export function checkColumnNames(
  columns: readonly string[],
  found: readonly string[],
  { prefix = "", schema = "the schema", known = columns, orElse = () => "" }: NameCheck = {},
): void {
  const missing = columns.filter((column) => !found.includes(column));
  if (missing.length === 0) return;
  const others = new Map(found.filter((name) => !known.includes(name)).map((name) => [plain(name), name]));
  const misnamed = missing.flatMap((column): Misnamed[] => {
    const other = plain(column) === "" ? undefined : others.get(plain(column));
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

/** Names for an error: `"a", "b" and 3 more`. */
export function quoted(names: readonly string[]): string {
  return listNames(names, MAX_NAMES);
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[\s_-]/g, "");
}
