import { optional } from "../../shared/contract/optional.ts";
import type { Chance } from "../engine/row-level/model.ts";
import { type Condition, columnTerm, Expressions, type Scope, scopeOf, type Term } from "./conditions.ts";
import { type Column, distinctRows, type HistoryRow, randomRows, type TableShape } from "./tables.ts";

/** Where a run dies: before or after this call of its ledger, counted from 0. */
export interface Kill {
  readonly call: number;
  readonly when: "before" | "after";
}

/** How a step runs. None of it changes what the step means. */
export interface Circumstances {
  readonly numPartitions: number;
  /** The number of tasks that rows are exchanged to before an append. */
  readonly repartition?: number;
  /** True if the first attempt of one task fails. */
  readonly failsOnce: boolean;
  readonly kill?: Kill;
  /** True if a delete may be left to the table. */
  readonly isDirect: boolean;
  /** True if conditions are given as filters, if they have that form. */
  readonly usesFilters: boolean;
}

export interface Assigned {
  readonly column: string;
  readonly value: Term;
}

/** A clause of a merge. Without values it deletes. */
export interface Clause {
  readonly when?: Condition;
  readonly set?: readonly Assigned[] | "*";
}

export interface MergeStep {
  readonly kind: "merge";
  readonly rows: readonly HistoryRow[];
  readonly columns: readonly Column[];
  readonly on: Condition | readonly string[];
  readonly matched: readonly Clause[];
  readonly notMatched: readonly Clause[];
  readonly notMatchedBySource: readonly Clause[];
}

type Change =
  | { readonly kind: "append"; readonly rows: readonly HistoryRow[] }
  | { readonly kind: "truncate"; readonly rows: readonly HistoryRow[] }
  | { readonly kind: "overwrite"; readonly rows: readonly HistoryRow[]; readonly where: Condition }
  | {
      readonly kind: "partitions";
      readonly rows: readonly HistoryRow[];
      readonly partitionBy: readonly string[];
    }
  | { readonly kind: "delete"; readonly where?: Condition }
  | { readonly kind: "update"; readonly where?: Condition; readonly set: readonly Assigned[] }
  | MergeStep;

export type Step = Change & { readonly how: Circumstances };

export interface HistoryPlan {
  readonly seed: number;
  readonly shape: TableShape;
  readonly steps: readonly Step[];
}

/** Returns the steps of a history: data, which does not depend on what the table has. */
export function stepsOf(chance: Chance, shape: TableShape): Step[] {
  const first = distinctRows(randomRows(chance, shape.columns, chance.below(7)), shape.keys);
  const steps: Step[] = [{ kind: "append", rows: first, how: circumstances(chance) }];
  const count = 5 + chance.below(11);
  for (let i = 0; i < count; i++) steps.push({ ...randomChange(chance, shape), how: circumstances(chance) });
  return steps;
}

function circumstances(chance: Chance): Circumstances {
  const kill: Kill = { call: chance.below(16), when: chance.pick(["before", "after"]) };
  return {
    numPartitions: chance.pick([1, 1, 2, 3]),
    ...(chance.below(4) === 0 ? { repartition: 1 + chance.below(3) } : {}),
    failsOnce: chance.below(6) === 0,
    ...(chance.below(6) === 0 ? { kill } : {}),
    isDirect: chance.below(2) === 0,
    usesFilters: chance.below(2) === 0,
  };
}

function randomChange(chance: Chance, shape: TableShape): Change {
  const own = new Expressions(chance, scopeOf(shape.columns, "t"));
  switch (chance.below(12)) {
    case 0:
    case 1:
      return { kind: "append", rows: newRows(chance, shape) };
    case 2:
      return { kind: "truncate", rows: newRows(chance, shape) };
    case 3:
      return {
        kind: "overwrite",
        rows: newRows(chance, shape),
        where: new Expressions(chance, scopeOf(shape.columns, "t"), true).condition(),
      };
    case 4:
      return {
        kind: "partitions",
        rows: newRows(chance, shape),
        partitionBy: partitionColumns(chance, shape),
      };
    case 5:
    case 6:
      return { kind: "delete", ...(chance.below(12) === 0 ? {} : { where: own.condition() }) };
    case 7:
    case 8:
      return {
        kind: "update",
        set: assigned(chance, shape.columns, own),
        ...(chance.below(6) === 0 ? {} : { where: own.condition() }),
      };
    default:
      return randomMerge(chance, shape);
  }
}

function newRows(chance: Chance, { columns, keys }: TableShape): HistoryRow[] {
  return distinctRows(randomRows(chance, columns, chance.below(6)), keys);
}

function partitionColumns(chance: Chance, { columns }: TableShape): readonly string[] {
  const first = chance.pick(columns).name;
  const second = chance.pick(columns).name;
  return first === second || chance.below(2) === 0 ? [first] : [first, second];
}

/** Returns new values of some columns. Keys change seldom, because few values are free. */
function assigned(chance: Chance, columns: readonly Column[], from: Expressions): Assigned[] {
  const wanted = columns.filter(({ nullable }) => chance.below(nullable ? 2 : 8) === 0);
  const chosen = wanted.length === 0 ? [chance.pick(columns)] : wanted;
  return chosen.map((column) => ({ column: column.name, value: from.value(column) }));
}

function randomMerge(chance: Chance, shape: TableShape): MergeStep {
  // Keys of the source may be null, unless its rows are inserted as they are.
  const hasNullKeys = chance.below(3) === 0;
  const columns = shape.columns.map((column) => ({ ...column, nullable: column.nullable || hasNullKeys }));
  const [table, source] = [scopeOf(shape.columns, "t"), scopeOf(columns, "s")];
  const both = new Expressions(chance, [...table, ...source]);
  const clauses = (count: number, from: Expressions, isStarAllowed: boolean): Clause[] =>
    Array.from({ length: count }, (_, i) => ({
      ...(i < count - 1 || chance.below(2) === 0 ? { when: from.condition(1) } : {}),
      ...(chance.below(3) === 0
        ? {}
        : { set: isStarAllowed && chance.below(3) === 0 ? "*" : assigned(chance, shape.columns, from) }),
    }));
  const matched = clauses(chance.below(4), both, !hasNullKeys);
  const notMatchedBySource = clauses(chance.below(5) - 2, new Expressions(chance, table), false);
  const count = chance.below(3);
  const needsOne = count + matched.length + notMatchedBySource.length === 0;
  return {
    kind: "merge",
    rows: sourceRows(chance, columns, shape.keys),
    columns,
    on: randomOn(chance, shape, source, both),
    matched,
    notMatchedBySource,
    notMatched: inserts(chance, needsOne ? 1 : count, shape, source, !hasNullKeys),
  };
}

/** Mostly with distinct keys: equal ones are an error, or insert a key twice. */
function sourceRows(chance: Chance, columns: readonly Column[], keys: readonly string[]): HistoryRow[] {
  const rows = randomRows(chance, columns, chance.below(6));
  return chance.below(4) === 0 ? rows : distinctRows(rows, keys.length === 0 ? ["k"] : keys);
}

function inserts(
  chance: Chance,
  count: number,
  { columns }: TableShape,
  source: readonly Scope[],
  isStarAllowed: boolean,
): Clause[] {
  const from = new Expressions(chance, source);
  const set = (): Clause["set"] => {
    if (isStarAllowed && chance.below(2) === 0) return "*";
    const wanted = columns.filter(({ nullable }) => !nullable || chance.below(3) > 0);
    return (wanted.length === 0 ? columns : wanted).map((column) => ({
      column: column.name,
      value: insertedValue(chance, column, source, from),
    }));
  };
  return Array.from({ length: count }, (_, i) => ({
    ...(i < count - 1 || chance.below(2) === 0 ? { when: from.condition(1) } : {}),
    ...optional("set", set()),
  }));
}

/** Mostly the column of the source with the same name, so that keys stay distinct. */
function insertedValue(chance: Chance, column: Column, source: readonly Scope[], from: Expressions): Term {
  const same = source.find(({ name }) => name === column.name);
  const fits = same !== undefined && (column.nullable || !same.nullable);
  return fits && chance.below(4) > 0 ? columnTerm(same) : from.value(column);
}

function randomOn(
  chance: Chance,
  shape: TableShape,
  source: readonly Scope[],
  both: Expressions,
): Condition | readonly string[] {
  const columns = shape.keys.length === 0 ? [chance.pick(shape.columns).name] : shape.keys;
  const form = chance.below(8);
  if (form < 3) return columns;
  if (form === 3) return both.condition();
  const names = form === 4 ? [chance.pick(shape.columns).name] : columns;
  const equal = names.map((name): Condition => {
    const own = shape.columns.find((column) => column.name === name) as Column;
    const left = columnTerm({ ...own, side: "t" });
    const right = columnTerm(source.find((column) => column.name === name) as Scope);
    const isNullSafe = chance.below(3) === 0;
    return {
      engine: { kind: "predicate", name: isNullSafe ? "<=>" : "=", children: [left.engine, right.engine] },
      sql: `(${left.sql} ${isNullSafe ? "IS NOT DISTINCT FROM" : "="} ${right.sql})`,
    };
  });
  return [...equal, ...(form < 7 ? [] : [both.condition(1)])].reduce((one, other) => ({
    engine: { kind: "predicate", name: "AND", children: [one.engine, other.engine] },
    sql: `(${one.sql} AND ${other.sql})`,
  }));
}
