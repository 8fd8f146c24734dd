import { DataType, Field, Float32, Float64, Int64, Precision, type Schema, type Struct } from "apache-arrow";
import { typeName } from "../../contract/ddl/print.ts";
import type { Attribute } from "../../contract/filters.ts";
import { suggest } from "../../contract/suggest.ts";
import { rowType } from "../row-type.ts";
import { compareKeys, invalidFilter, type Key, keyOfValue, keysOf } from "./keys.ts";
import type { Condition, ValueNode } from "./nodes.ts";
import { ANY_RANGE, type ColumnStatistics, type Range, rangeOf, type Statistics } from "./ranges.ts";
import { computed, converted, decimalOf } from "./types.ts";

/** Returns a column. `label` names the expression in a `FILTER_INVALID`. */
export function columnNode(schema: Schema, attribute: Attribute, label: string): ValueNode {
  const { path, field } = columnAt(schema, attribute, label);
  const name = attribute.join(".");
  return {
    field: new Field(name, rowType(field.type), true, field.metadata),
    bind: (rows) => keysOf(rows, path),
    range: (statistics) => columnRange(field, name, statistics, statistics.column(attribute)),
  };
}

/** Returns the indexes of the column and of nested struct fields, and the last field. */
export function columnAt(
  schema: Schema,
  attribute: Attribute,
  label: string,
): { readonly path: readonly number[]; readonly field: Field } {
  const path: number[] = [];
  let fields: readonly Field[] = schema.fields;
  let field: Field | undefined;
  for (const part of attribute) {
    const index = fields.findIndex((other) => other.name === part);
    field = fields[index];
    if (field === undefined) {
      const names = suggest(
        part,
        fields.map((other) => other.name),
      );
      throw invalidFilter(`${label} names the column "${attribute.join(".")}", which is not there${names}`);
    }
    path.push(index);
    fields = DataType.isStruct(field.type) ? (field.type as Struct).children : [];
  }
  if (field === undefined) throw invalidFilter(`${label} names no column`);
  return { path, field };
}

function columnRange(
  field: Field,
  name: string,
  { rowCount }: Statistics,
  { min, max, nullCount }: ColumnStatistics = {},
): Range {
  const isAllNull = nullCount !== undefined && nullCount === rowCount;
  const nulls = { canBeNull: nullCount !== 0, canBeValue: !isAllNull };
  const bound = (value: unknown) =>
    value === undefined || !isComparable(field.type)
      ? null
      : keyOfValue(
          new Field(name, rowType(field.type)),
          value,
          "a minimum or maximum in the statistics does not fit",
        );
  const [low, high] = [bound(min), bound(max)];
  // Such statistics are wrong, so they tell nothing.
  if (low !== null && high !== null && compareKeys(low, high) > 0) return nulls;
  return { ...nulls, ...(low === null ? {} : { min: low }), ...(high === null ? {} : { max: high }) };
}

/** True if values of the type have an order. */
export function isComparable(type: DataType): boolean {
  const plain = rowType(type);
  const kinds = [
    ...[DataType.isInt, DataType.isFloat, DataType.isDecimal, DataType.isBool, DataType.isUtf8],
    ...[DataType.isBinary, DataType.isDate, DataType.isTime, DataType.isTimestamp, DataType.isDuration],
    DataType.isNull,
  ];
  return kinds.some((isKind) => isKind(plain));
}

/** Throws `FILTER_INVALID` if the values have no order. */
export function checkComparable({ field }: ValueNode, label: string): void {
  if (!isComparable(field.type))
    throw invalidFilter(`${label} cannot compare "${field.name}", which is ${typeName(field.type)}`);
}

/** Returns a value that is the same for all rows. */
export function constantNode(field: Field, key: Key | null): ValueNode {
  return { field, constant: key, bind: () => () => key, range: () => rangeOf(key) };
}

/** Returns a condition as a value. */
export function conditionNode(condition: Condition, field: Field): ValueNode {
  return { field, bind: (rows) => condition.bind(rows), range: () => ANY_RANGE };
}

/** Returns the result of an operator on two keys. */
type Operator = (a: number & bigint, b: number & bigint) => number | bigint;

const OPERATORS: Readonly<Record<string, Operator>> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
};

/**
 * Returns a node that computes with numbers of one type. Integers and decimals are computed
 * exactly, even beyond the range of their type.
 */
export function arithmeticNode(name: string, operands: readonly ValueNode[], label: string): ValueNode {
  const [{ field } = constantNode(computed(new Int64()), null)] = operands;
  if (operands.length === 1) return arithmeticNode(name, [zeroOf(field), ...operands], label);
  const { type } = field;
  if (DataType.isInt(type)) return computedNode(operator(name), toBigInts(operands), computed(new Int64()));
  if (DataType.isDecimal(type)) {
    const scale = name === "*" ? 2 * type.scale : type.scale;
    return computedNode(operator(name), operands, decimalOf(scale, label));
  }
  if (DataType.isFloat(type)) return floatNode(operator(name), operands, type.precision);
  throw invalidFilter(`${label} cannot compute with "${field.name}", which is ${typeName(type)}`);
}

function operator(name: string): Operator {
  const found = OPERATORS[name];
  if (found === undefined) throw new Error(`no operator ${name}`);
  return found;
}

function floatNode(operate: Operator, operands: readonly ValueNode[], precision: Precision): ValueNode {
  if (precision === Precision.DOUBLE) return computedNode(operate, operands, computed(new Float64()));
  return computedNode((a, b) => Math.fround(Number(operate(a, b))), operands, computed(new Float32()));
}

function toBigInts(operands: readonly ValueNode[]): readonly ValueNode[] {
  return operands.map((node) => converted(node, computed(new Int64())));
}

function zeroOf(field: Field): ValueNode {
  const isExact = DataType.isInt(field.type) || DataType.isDecimal(field.type);
  // 0 - x would be 0, not -0, if x is 0.
  return constantNode(field, isExact ? 0n : -0);
}

function computedNode(operate: Operator, operands: readonly ValueNode[], field: Field): ValueNode {
  const [left, right] = operands as [ValueNode, ValueNode];
  return {
    field,
    bind: (rows) => {
      const [a, b] = [left.bind(rows), right.bind(rows)];
      return (row) => {
        const [one, other] = [a(row), b(row)];
        if (one === null || other === null) return null;
        return operate(one as number & bigint, other as number & bigint);
      };
    },
    range: (statistics) => ({
      canBeNull: left.range(statistics).canBeNull || right.range(statistics).canBeNull,
      canBeValue: true,
    }),
  };
}

/** Returns the first value that is not null. */
export function coalesceNode(operands: readonly ValueNode[], field: Field): ValueNode {
  return {
    field,
    bind: (rows) => {
      const readers = operands.map((node) => node.bind(rows));
      return (row) => {
        for (const keyAt of readers) {
          const key = keyAt(row);
          if (key !== null) return key;
        }
        return null;
      };
    },
    range: () => ANY_RANGE,
  };
}

/** Returns a hash of the values. It is never null, and equal values of other widths share it. */
export function hashNode(operands: readonly ValueNode[]): ValueNode {
  return {
    field: computed(new Int64()),
    bind: (rows) => {
      const readers = operands.map((node) => node.bind(rows));
      return (row) => BigInt(readers.reduce((hash, keyAt) => hashOf(hash, keyAt(row)), HASH_SEED));
    },
    range: () => ANY_RANGE,
  };
}

const HASH_SEED = 42;

/** The hash FNV-1a, by Fowler, Noll and Vo, of the value's text. */
function hashOf(seed: number, key: Key | null): number {
  if (key === null) return seed;
  const text = Buffer.isBuffer(key) ? key.toString("latin1") : String(key);
  let hash = seed ^ 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash | 0;
}

/** Returns the value of the first condition that holds, else the last value, else null. */
export function caseNode(
  conditions: readonly Condition[],
  values: readonly ValueNode[],
  field: Field,
): ValueNode {
  return {
    field,
    bind: (rows) => {
      const tests = conditions.map((condition) => condition.bind(rows));
      const readers = values.map((node) => node.bind(rows));
      return (row) => {
        const found = tests.findIndex((test) => test(row) === true);
        return readers[found === -1 ? tests.length : found]?.(row) ?? null;
      };
    },
    range: () => ANY_RANGE,
  };
}
