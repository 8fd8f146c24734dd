import type { Schema } from "apache-arrow";
import * as z from "zod";
import { MillraceError } from "../../contract/errors.ts";
import { suggest } from "../../contract/suggest.ts";
import {
  firstNames,
  isExact,
  type JsonPath,
  jsonPath,
  pathReader,
  pathSteps,
  showPath,
} from "./json-path.ts";
import { similarPath } from "./similar-path.ts";

/**
 * Where a column's value is in a JSON object: a path, or several paths, of which the first one that
 * leads to a value other than null counts.
 */
export type JsonColumn = JsonPath | { readonly firstOf: readonly JsonPath[] };

/** The paths of columns. Other columns are at their own names. */
export type JsonColumns = Readonly<Record<string, JsonColumn>>;

/** The schema of the option `columns`. */
export const jsonColumns: z.ZodType<JsonColumns, JsonColumns> = z.record(
  z.string(),
  z.union([jsonPath, z.strictObject({ firstOf: z.array(jsonPath).min(1) })]),
);

/** Throws `OPTIONS_INVALID` if a column of the option `columns` is not in the schema. */
export function checkJsonColumns(connector: string, { fields }: Schema, columns: JsonColumns): void {
  const names = fields.map(({ name }) => name);
  const unknown = Object.keys(columns).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw new MillraceError(
    "OPTIONS_INVALID",
    `${connector}: columns has "${unknown}", which is no column of the schema${suggest(unknown, names)}`,
    { hint: "Add it to the schema, or remove it from columns." },
  );
}

function pathsOf(column: JsonColumn): readonly JsonPath[] {
  return typeof column === "object" && "firstOf" in column ? column.firstOf : [column];
}

/** Returns the names with which the paths begin. */
export function firstNamesOf(columns: JsonColumns): readonly string[] {
  return Object.values(columns).flatMap(pathsOf).flatMap(firstNames);
}

/**
 * Returns a function that puts the value of each column at its own name. A path that leads nowhere,
 * while there is a similar name, is probably misspelt: `COLUMN_MISNAMED`. `name` is the object's
 * name in errors.
 */
export function flattened(
  columns: JsonColumns,
): (record: Readonly<Record<string, unknown>>, name: string) => Readonly<Record<string, unknown>> {
  const readers = Object.entries(columns).map(
    ([column, given]) =>
      [column, pathsOf(given).map((path) => ({ path, read: pathReader(path, column) }))] as const,
  );
  if (readers.length === 0) return (record) => record;
  return (record, name) => {
    const values = readers.map(([column, paths]) => {
      const found = paths.map(({ path, read }) => {
        const value = read(record);
        if (value === undefined) checkPath(record, column, path, name);
        return value;
      });
      return [column, found.find((value) => value !== undefined && value !== null) ?? null] as const;
    });
    return { ...record, ...Object.fromEntries(values) };
  };
}

function checkPath(record: unknown, column: string, path: JsonPath, name: string): void {
  const similar = isExact(path) ? undefined : similarPath(record, pathSteps(path));
  if (similar === undefined) return;
  throw new MillraceError(
    "COLUMN_MISNAMED",
    `${name}: column "${column}": the path ${showPath(path)} leads to no value, but ${showPath(similar)} does`,
    {
      where: { field: column },
      hint: `Set columns: { ${JSON.stringify(column)}: ${JSON.stringify(similar)} }, or ${JSON.stringify(pathSteps(path))} if the value may be missing.`,
    },
  );
}
