/** The columns of rows, matched with the fields of a struct of the table by their names. */
export interface NameMatch {
  /** For each column of the rows: the index of the table's field, or `undefined` if it has none. */
  readonly fields: readonly (number | undefined)[];
  /** Names that do not tell one field from another, as parts of a sentence. */
  readonly problems: readonly string[];
}

/**
 * Matches columns of rows with fields of a table. A name that is equal comes first, then one that
 * differs only in case, as in Spark.
 */
export function matchNames(table: readonly string[], rows: readonly string[], path: string): NameMatch {
  const problems: string[] = [];
  const used = new Map<string, string>();
  const fields = rows.map((name) => {
    const candidates = indexesOf(table, name);
    if (candidates.length > 1) {
      const names = candidates.map((index) => `"${path}${table[index]}"`).join(" and ");
      problems.push(`"${path}${name}" may be each of the table's columns ${names}`);
    }
    const [index] = candidates;
    // A second column for the same field, or two new columns that Spark cannot tell apart.
    const key = index === undefined ? `new ${name.toLowerCase()}` : `field ${index}`;
    const first = used.get(key);
    if (first !== undefined) problems.push(twice(path, first, name));
    used.set(key, name);
    return index;
  });
  return { fields, problems };
}

function indexesOf(table: readonly string[], name: string): readonly number[] {
  const exact = table.indexOf(name);
  if (exact >= 0) return [exact];
  const lower = name.toLowerCase();
  return table.flatMap((other, i) => (other.toLowerCase() === lower ? [i] : []));
}

function twice(path: string, first: string, second: string): string {
  return first === second
    ? `the rows have "${path}${first}" twice`
    : `the rows have "${path}${first}" and "${path}${second}", which differ only in case`;
}
