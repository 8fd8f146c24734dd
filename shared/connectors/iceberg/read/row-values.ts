import { decimalText } from "../../../arrow/number-text.ts";
import type { FilterValue } from "../../../contract/filters.ts";
import { primitiveOf } from "../format/primitive.ts";
import type { IcebergValue, PrimitiveType } from "../format/types.ts";

const MILLIS_PER_DAY = 86_400_000;

/** Returns a value in the form that rows and filters have: decimals as text, days as `Date`s. */
export function rowValueOf(type: PrimitiveType, value: IcebergValue): Exclude<FilterValue, null> {
  const primitive = primitiveOf(type);
  if (primitive.kind === "date") return new Date(Number(value) * MILLIS_PER_DAY);
  if (primitive.kind === "decimal") return decimalText(BigInt(value as bigint), primitive.scale);
  return value;
}
