import { MillraceError } from "../../../contract/errors.ts";
import type { PrimitiveType } from "./types.ts";

/** The most digits that a decimal of Iceberg can have. */
export const MAX_DECIMAL_PRECISION = 38;

/** The kind and the parameters of a primitive type. */
export type Primitive =
  | { readonly kind: (typeof SIMPLE_KINDS)[number] }
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
  | { readonly kind: "fixed"; readonly length: number };

const SIMPLE_KINDS = [
  "boolean",
  "int",
  "long",
  "float",
  "double",
  "date",
  "time",
  "timestamp",
  "timestamptz",
  "string",
  "uuid",
  "binary",
] as const;

/** Returns the parts of a primitive type's name. Throws `TABLE_TYPE_NOT_SUPPORTED`. */
export function primitiveOf(type: PrimitiveType): Primitive {
  const simple = SIMPLE_KINDS.find((kind) => kind === type);
  if (simple !== undefined) return { kind: simple };
  const decimal = /^decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)$/.exec(type);
  if (decimal !== null) return { kind: "decimal", precision: Number(decimal[1]), scale: Number(decimal[2]) };
  const fixed = /^fixed\[\s*(\d+)\s*\]$/.exec(type);
  if (fixed !== null) return { kind: "fixed", length: Number(fixed[1]) };
  throw new MillraceError("TABLE_TYPE_NOT_SUPPORTED", `the table has a column of the type ${type}`, {
    hint: "Version 2 of Iceberg's table format does not have the type. Write to another table, or drop the column.",
  });
}
