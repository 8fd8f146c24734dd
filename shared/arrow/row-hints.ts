import type { Field, Schema } from "apache-arrow";
import { isPlainObject, kindOf } from "../contract/json.ts";
import type { Row } from "../contract/stream-reader.ts";
import { ValueMismatch } from "./builders/builder.ts";
import { columnBuilder } from "./builders/index.ts";

/** Maximum number of columns for which `findFittingOrder` tries another order. */
const MAX_COLUMNS = 8;

/** What hints say of the code that makes rows. */
export interface RowWords {
  /** What that code does with a row. */
  readonly verb: "Yield" | "Return";
  /** The name of that code. */
  readonly place: string;
  /** How to make several rows from an array of them. */
  readonly each: string;
}

export const READ_WORDS: RowWords = {
  verb: "Yield",
  place: "read()",
  each: "To yield the rows of an array one by one, write yield* instead of yield.",
};

/** Expressions that convert a string of digits to a type, by type. */
const FROM_DIGITS: Readonly<Record<string, string>> = {
  bigint: "BigInt(value)",
  int: "Number(value)",
  smallint: "Number(value)",
  tinyint: "Number(value)",
};

/** True for an array or a plain object, which can only be a row. */
export function isPlainRow(item: unknown): item is Row {
  return Array.isArray(item) || isPlainObject(item);
}

/** Returns a hint for a row whose field `field` does not fit. */
export function fieldHint(
  schema: Schema,
  row: unknown,
  field: string,
  mismatch: ValueMismatch,
  { verb, place, each }: RowWords,
): string {
  const { value, misnamed, expected, problem } = mismatch;
  if (misnamed !== undefined) {
    const parent = field.slice(0, -misnamed.name.length - 1);
    const call = parent === "" ? "Call it" : `In "${parent}" call it`;
    return `${call} "${misnamed.name}" in ${place}, or "${misnamed.found}" in the schema.`;
  }
  if (value === undefined)
    return `${verb} every field of the schema in each row; give null where "${field}" has no value.`;
  if (value === null) return `Give "${field}" a value, leave the row out, or drop NOT NULL from the schema.`;
  if (Array.isArray(row)) {
    if (isArrayOfRows(row) && !schema.fields.some(isNested)) return each;
    // A value that is only out of range does belong to this column, so no other order is tried.
    const order = problem === kindOf(value) ? findFittingOrder(schema.fields, row) : undefined;
    const names = schema.fields.map(({ name }) => name).join(", ");
    if (order !== undefined)
      return `The values fit in the order (${order.join(", ")}): ${verb.toLowerCase()} them in the order of the schema, (${names}).`;
  }
  const convert = FROM_DIGITS[expected];
  return convert !== undefined && typeof value === "string" && /^-?\d+$/.test(value)
    ? `${verb} ${convert} for "${field}", or make it a string in the schema.`
    : `Convert "${field}" in ${place}, or change its type in the schema.`;
}

/** Returns a hint for a value that is not a row, or that has the wrong number of values. */
export function rowHint(row: unknown, { verb, each }: RowWords): string {
  if (isArrayOfRows(row)) return each;
  if (row instanceof Map) return `${verb} Object.fromEntries(row) in place of a Map.`;
  return `${verb} objects by field name, arrays in the order of the schema, or Arrow record batches.`;
}

function isArrayOfRows(row: unknown): boolean {
  return Array.isArray(row) && row.length > 0 && row.every(isPlainRow);
}

function isNested({ type }: Field): boolean {
  return (type.children ?? []).length > 0;
}

/**
 * Returns the column names in an order in which all these values fit, or `undefined`. A row with a
 * null is not tried, because a null fits every column.
 */
function findFittingOrder(fields: readonly Field[], values: readonly unknown[]): string[] | undefined {
  if (fields.length > MAX_COLUMNS || values.some((value) => value === null || value === undefined))
    return undefined;
  const fitting = values.map((value) => fields.filter((field) => fits(field, value)));
  const place = (taken: readonly Field[]): readonly Field[] | undefined => {
    if (taken.length === values.length) return taken;
    for (const field of fitting[taken.length] ?? []) {
      const order = taken.includes(field) ? undefined : place([...taken, field]);
      if (order !== undefined) return order;
    }
    return undefined;
  };
  return place([])?.map(({ name }) => name);
}

function fits(field: Field, value: unknown): boolean {
  try {
    columnBuilder(field, 1).append(value);
    return true;
  } catch (error) {
    if (error instanceof ValueMismatch) return false;
    throw error;
  }
}
