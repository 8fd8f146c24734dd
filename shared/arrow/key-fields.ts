import type { Field, Schema } from "apache-arrow";
import { show } from "../contract/errors.ts";

/**
 * The fields by whose values a person knows a row. They are not in the metadata of the schema,
 * which would be written to files.
 */
const KEYS = new WeakSet<Field>();

/** From now on, errors of rows with these fields show the values of the columns named here. */
export function nameKeyFields({ fields }: Schema, names: readonly string[]): void {
  for (const field of fields) if (names.includes(field.name)) KEYS.add(field);
}

/** Returns the values of a row's key, such as `id 7`. `undefined` if no column was named. */
export function keyOf({ fields }: Schema, row: unknown): string | undefined {
  if (typeof row !== "object" || row === null) return undefined;
  const values = fields.flatMap((field, i) => {
    if (!KEYS.has(field)) return [];
    const value: unknown = Array.isArray(row) ? row[i] : Reflect.get(row, field.name);
    return value === undefined ? [] : [`${field.name} ${show(value)}`];
  });
  return values.length === 0 ? undefined : values.join(", ");
}
