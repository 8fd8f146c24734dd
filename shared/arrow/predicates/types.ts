import { Binary, Bool, DataType, Decimal, Field, Float64, Int64, Null, Utf8 } from "apache-arrow";
import { typeName } from "../../contract/ddl/print.ts";
import type { FilterValue } from "../../contract/filters.ts";
import { kindOf } from "../../contract/json.ts";
import { rowType } from "../row-type.ts";
import { isSameType } from "../same-type.ts";
import { invalidFilter, type Key } from "./keys.ts";
import type { ValueNode } from "./nodes.ts";

/** Maximum number of digits of a decimal. */
const MAX_DIGITS = 38;

/** Returns the name and type of a computed value. */
export function computed(type: DataType): Field {
  return new Field("the computed value", type, true);
}

export function decimalOf(scale: number, label: string): Field {
  if (scale <= MAX_DIGITS) return computed(new Decimal(scale, MAX_DIGITS, 128));
  throw invalidFilter(`${label} computes a decimal of more than ${MAX_DIGITS} digits`);
}

/** Returns the type in which values of both types are compared. Throws `FILTER_INVALID`. */
export function commonField(one: Field, other: Field, label: string): Field {
  if (isComparedAsIs(one.type, other.type)) return one;
  if (DataType.isNull(one.type)) return other;
  if (DataType.isNull(other.type)) return one;
  const [scale, otherScale] = [scaleOf(one.type), scaleOf(other.type)];
  if (scale !== undefined && otherScale !== undefined) {
    const isInteger = DataType.isInt(one.type) && DataType.isInt(other.type);
    return isInteger ? computed(new Int64()) : decimalOf(Math.max(scale, otherScale), label);
  }
  if (isFloatOrInt(one.type) && isFloatOrInt(other.type)) return computed(new Float64());
  throw invalidFilter(
    `${label} cannot compare "${one.name}", which is ${typeName(one.type)}, with "${other.name}", which is ${typeName(other.type)}`,
  );
}

function isFloatOrInt(type: DataType): boolean {
  return DataType.isFloat(type) || DataType.isInt(type);
}

/** Returns the number of fractional digits of an exact number. */
function scaleOf(type: DataType): number | undefined {
  if (DataType.isInt(type)) return 0;
  return DataType.isDecimal(type) ? type.scale : undefined;
}

/** True if keys of both types have the same order and equality. */
function isComparedAsIs(one: DataType, other: DataType): boolean {
  if (DataType.isDecimal(one) && DataType.isDecimal(other)) return one.scale === other.scale;
  return isSameType(one, other) || (isBytesLike(one) && rowType(one).typeId === rowType(other).typeId);
}

/** True for text and bytes, whose keys are bytes. */
function isBytesLike(type: DataType): boolean {
  return DataType.isUtf8(rowType(type)) || DataType.isBinary(rowType(type));
}

/** Returns a node with the same values in the type of `field`, which is a common type. */
export function converted(node: ValueNode, field: Field): ValueNode {
  const convert = converterOf(node.field.type, field.type);
  if (convert === undefined) return node;
  return {
    field,
    bind: (rows) => {
      const keyAt = node.bind(rows);
      return (row) => {
        const key = keyAt(row);
        return key === null ? null : convert(key);
      };
    },
    range: (statistics) => {
      const { min, max, ...nulls } = node.range(statistics);
      return {
        ...nulls,
        ...(min === undefined ? {} : { min: convert(min) }),
        ...(max === undefined ? {} : { max: convert(max) }),
      };
    },
  };
}

/** Returns a function that keeps the order of keys, or `undefined` if keys stay as they are. */
function converterOf(from: DataType, to: DataType): ((key: Key) => Key) | undefined {
  if (DataType.isNull(from) || isComparedAsIs(from, to)) return undefined;
  if (DataType.isFloat(to)) return Number;
  const digits = (scaleOf(to) ?? 0) - (scaleOf(from) ?? 0);
  const factor = 10n ** BigInt(digits);
  return (key) => BigInt(key as number | bigint) * factor;
}

/** Returns the type of literals that are compared with each other. Throws `FILTER_INVALID`. */
export function fieldOfLiterals(values: readonly FilterValue[], label: string): Field {
  const present = values.filter((value) => value !== null);
  const all = (test: (value: FilterValue) => boolean) => present.length > 0 && present.every(test);
  if (present.length === 0) return computed(new Null());
  if (all((value) => typeof value === "bigint" || Number.isInteger(value))) return computed(new Int64());
  if (all((value) => typeof value === "number")) return computed(new Float64());
  if (all((value) => typeof value === "string")) return computed(new Utf8());
  if (all((value) => typeof value === "boolean")) return computed(new Bool());
  if (all((value) => value instanceof Uint8Array)) return computed(new Binary());
  const kinds = [...new Set(present.map(kindOf))].join(" and ");
  throw invalidFilter(`${label} compares literals whose type is not known: ${kinds}`);
}
