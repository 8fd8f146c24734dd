import { DataType } from "apache-arrow";
import { typeName } from "../../contract/ddl/print.ts";
import { compareKeys, hashable, invalidFilter, type Key } from "./keys.ts";
import type { Condition, Test, ValueNode } from "./nodes.ts";
import {
  andOutcomes,
  comparedOutcomes,
  FALSE,
  notOutcomes,
  nullSafeOutcomes,
  type Outcomes,
  type Range,
  TRUE,
  UNKNOWN,
} from "./ranges.ts";

/** Returns a condition with the same result for all rows. */
export function always(result: boolean): Condition {
  return { bind: () => () => result, outcomes: () => (result ? TRUE : FALSE) };
}

export function not(child: Condition): Condition {
  return {
    bind: (rows) => {
      const test = child.bind(rows);
      return (row) => {
        const result = test(row);
        return result === null ? null : !result;
      };
    },
    outcomes: (statistics) => notOutcomes(child.outcomes(statistics)),
  };
}

export function and(children: readonly Condition[]): Condition {
  return {
    bind: (rows) => {
      const tests = children.map((child) => child.bind(rows));
      return (row) => conjunction(tests, row);
    },
    outcomes: (statistics) => children.map((child) => child.outcomes(statistics)).reduce(andOutcomes, TRUE),
  };
}

function conjunction(tests: readonly Test[], row: number): boolean | null {
  let result: boolean | null = true;
  for (const test of tests) {
    const one = test(row);
    if (one === false) return false;
    if (one === null) result = null;
  }
  return result;
}

export function or(children: readonly Condition[]): Condition {
  return not(and(children.map(not)));
}

/** The comparisons, by the sign of `compareKeys`. */
const SIGN_TESTS: Readonly<Record<string, (sign: number) => boolean>> = {
  "=": (sign) => sign === 0,
  "<>": (sign) => sign !== 0,
  "<": (sign) => sign < 0,
  "<=": (sign) => sign <= 0,
  ">": (sign) => sign > 0,
  ">=": (sign) => sign >= 0,
};

/** Returns the comparison of two values of one type. */
export function comparison(name: string, left: ValueNode, right: ValueNode): Condition {
  if (name === "<=>") return nullSafeEqual(left, right);
  const holds = SIGN_TESTS[name];
  if (holds === undefined) throw new Error(`no comparison ${name}`);
  return {
    bind: (rows) => {
      const [a, b] = [left.bind(rows), right.bind(rows)];
      return (row) => {
        const one = a(row);
        if (one === null) return null;
        const other = b(row);
        return other === null ? null : holds(compareKeys(one, other));
      };
    },
    outcomes: (statistics) => comparedOutcomes(left.range(statistics), right.range(statistics), holds),
  };
}

function nullSafeEqual(left: ValueNode, right: ValueNode): Condition {
  return {
    bind: (rows) => {
      const [a, b] = [left.bind(rows), right.bind(rows)];
      return (row) => {
        const [one, other] = [a(row), b(row)];
        return one === null || other === null ? one === other : compareKeys(one, other) === 0;
      };
    },
    outcomes: (statistics) => nullSafeOutcomes(left.range(statistics), right.range(statistics)),
  };
}

/**
 * Returns the test if a value is in a list. As in Spark, an empty list contains nothing: the result
 * is then false even for a null.
 */
export function inKeys(value: ValueNode, list: readonly (Key | null)[]): Condition {
  if (list.length === 0) return always(false);
  const known = new Set(list.map(hashable));
  const ifNotFound = known.has(null) ? null : false;
  return {
    bind: (rows) => {
      const keyAt = value.bind(rows);
      return (row) => {
        const key = keyAt(row);
        return key === null ? null : known.has(hashable(key)) || ifNotFound;
      };
    },
    outcomes: (statistics) => inOutcomes(value.range(statistics), list),
  };
}

function inOutcomes(range: Range, list: readonly (Key | null)[]): Outcomes {
  const present = list.filter((key) => key !== null);
  const none = present.length < list.length ? UNKNOWN : FALSE;
  const unknown = range.canBeNull ? UNKNOWN : 0;
  if (!range.canBeValue) return unknown;
  const each = present.map((key) =>
    comparedOutcomes(
      { ...range, canBeNull: false },
      { min: key, max: key, canBeNull: false, canBeValue: true },
      (sign) => sign === 0,
    ),
  );
  const some = each.some((outcomes) => outcomes & TRUE) ? TRUE : 0;
  return unknown | some | (each.includes(TRUE) ? 0 : none);
}

export function isNull(value: ValueNode): Condition {
  return {
    bind: (rows) => {
      const keyAt = value.bind(rows);
      return (row) => keyAt(row) === null;
    },
    outcomes: (statistics) => {
      const { canBeNull, canBeValue } = value.range(statistics);
      return (canBeNull ? TRUE : 0) | (canBeValue ? FALSE : 0);
    },
  };
}

const TEXT_TESTS: Readonly<Record<string, (text: Buffer, part: Buffer) => boolean>> = {
  STARTS_WITH: startsWith,
  ENDS_WITH: (text, part) =>
    text.length >= part.length && text.subarray(text.length - part.length).equals(part),
  CONTAINS: (text, part) => text.includes(part),
};

function startsWith(text: Buffer, part: Buffer): boolean {
  return text.subarray(0, part.length).equals(part);
}

/** Returns the test if a string begins with, ends with or contains another. */
export function textTest(name: string, text: ValueNode, part: ValueNode): Condition {
  const holds = TEXT_TESTS[name];
  if (holds === undefined) throw new Error(`no test ${name}`);
  return {
    bind: (rows) => {
      const [a, b] = [text.bind(rows), part.bind(rows)];
      return (row) => {
        const [whole, piece] = [a(row), b(row)];
        return whole === null || piece === null ? null : holds(whole as Buffer, piece as Buffer);
      };
    },
    outcomes: (statistics) => {
      const [whole, piece] = [text.range(statistics), part.range(statistics)];
      const unknown = whole.canBeNull || piece.canBeNull ? UNKNOWN : 0;
      if (!whole.canBeValue || !piece.canBeValue) return unknown;
      return unknown | (name === "STARTS_WITH" ? prefixOutcomes(whole, piece) : TRUE | FALSE);
    },
  };
}

/** Strings with the same prefix are neighbours in the order of their bytes. */
function prefixOutcomes({ min, max }: Range, piece: Range): Outcomes {
  if (piece.min === undefined || piece.max === undefined || compareKeys(piece.min, piece.max) !== 0)
    return TRUE | FALSE;
  const part = piece.min as Buffer;
  const order = (bound: Key | undefined) =>
    bound === undefined ? undefined : (bound as Buffer).subarray(0, part.length).compare(part);
  const [low, high] = [order(min), order(max)];
  if ((low ?? 0) > 0 || (high ?? 0) < 0) return FALSE;
  return low === 0 && high === 0 ? TRUE : TRUE | FALSE;
}

/** Throws `FILTER_INVALID` if the value is no string. */
export function checkText({ field }: ValueNode, label: string): void {
  if (DataType.isUtf8(field.type) || DataType.isNull(field.type)) return;
  throw invalidFilter(`${label} looks into "${field.name}", which is no string but ${typeName(field.type)}`);
}
