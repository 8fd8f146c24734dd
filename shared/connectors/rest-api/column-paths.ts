import { MillraceError } from "../../contract/errors.ts";
import { firstNames, isExact, pathReader, pathSteps, showPath } from "../kit/json-path.ts";
import { similarPath } from "../kit/similar-path.ts";
import type { ColumnPath, SourceOptions } from "./options.ts";

/** Returns the path of an entry of the option `columns`. */
export function pathOf(column: NonNullable<SourceOptions["columns"]>[string]): ColumnPath {
  return typeof column === "string" || Array.isArray(column)
    ? { path: column }
    : // Array.isArray does not exclude a readonly array.
      (column as ColumnPath);
}

/**
 * Returns a function that checks the configured paths with the records of a page. A path that leads
 * nowhere in all of them, while one of them has a similar name there, is probably misspelt. Exact
 * paths, and the column's own name, are meant as they are. `plain` are the names of columns without
 * a path. Error: `COLUMN_MISNAMED`.
 */
export function pathCheck(
  columns: SourceOptions["columns"],
  plain: readonly string[],
): (records: readonly unknown[]) => void {
  const paths = Object.entries(columns).map(([name, column]) => ({ name, path: pathOf(column).path }));
  const knownBeside = (name: string): ReadonlySet<string> =>
    new Set([
      ...plain,
      ...paths.filter((other) => other.name !== name).flatMap(({ path }) => firstNames(path)),
    ]);
  const checks = paths
    .filter(({ name, path }) => !isExact(path) && path !== name)
    .map(({ name, path }) => ({
      name,
      path,
      read: pathReader(path, name),
      steps: pathSteps(path),
      known: knownBeside(name),
    }));
  return (records) => {
    for (const { name, path, read, steps, known } of checks) {
      if (records.some((record) => read(record) !== undefined)) continue;
      const similar = firstSimilar(records, steps, known);
      if (similar === undefined) continue;
      throw new MillraceError(
        "COLUMN_MISNAMED",
        `column "${name}": the path ${showPath(path)} leads to no value on this page, but ${showPath(similar)} does`,
        {
          where: { field: name },
          hint:
            `Set columns: { ${JSON.stringify(name)}: ${JSON.stringify(similar)} }, ` +
            `or ${JSON.stringify(steps)} if the value may be missing on a whole page.`,
        },
      );
    }
  };
}

function firstSimilar(
  records: readonly unknown[],
  steps: readonly string[],
  known: ReadonlySet<string>,
): readonly string[] | undefined {
  for (const record of records) {
    const similar = similarPath(record, steps, known);
    if (similar !== undefined) return similar;
  }
  return undefined;
}
