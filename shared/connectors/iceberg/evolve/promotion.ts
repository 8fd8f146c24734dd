import { primitiveOf } from "../format/primitive.ts";
import type { PrimitiveType } from "../format/types.ts";

/**
 * True if version 2 of Iceberg's table format lets a column of one type become the other: `int` to
 * `long`, `float` to `double`, and decimals to more digits of the same scale. Files that were
 * written before are read with the new type. No transform of a partition changes its values by
 * this: `bucket` hashes an `int` as a `long`, and a decimal without its leading zeros.
 */
export function isPromotion(from: PrimitiveType, to: PrimitiveType): boolean {
  const [own, wider] = [primitiveOf(from), primitiveOf(to)];
  if (own.kind === "int") return wider.kind === "long";
  if (own.kind === "float") return wider.kind === "double";
  if (own.kind !== "decimal" || wider.kind !== "decimal") return false;
  return own.scale === wider.scale && wider.precision > own.precision;
}
