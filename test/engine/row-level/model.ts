// biome-ignore-all lint/suspicious/noThenProperty: clauses have this word of SQL
import type { MergeClauses } from "../../../shared/contract/row-command.ts";
import {
  type Expression,
  literal,
  type Predicate,
  predicate,
  reference,
  scalar,
  source,
} from "../../../shared/contract/write/predicates.ts";
import { generator, pick } from "../../faults/chance.ts";

/** Random choices of which the seed is known. */
export class Chance {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = generator(seed);
  }

  /** Returns a whole number from 0 up to `count`, exclusive. */
  below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  pick<T>(from: readonly T[]): T {
    return pick(from, this.#random);
  }
}

/** A row of the tables that random commands change. */
export type ModelRow = { readonly id: number; readonly k: number | null; readonly v: number | null };

/** Columns of the tables, and of the sources of merges. */
export const TABLE_DDL = "id int not null, k int, v int";

type Truth = boolean | null;

/** A condition for the engine, and the same for the model: written twice on purpose. */
export interface Condition {
  readonly predicate: Predicate;
  holds(row: ModelRow, other: ModelRow): Truth;
}

const less = (a: number | null, b: number | null): Truth => (a === null || b === null ? null : a < b);
const same = (a: number | null, b: number | null): Truth => (a === null || b === null ? null : a === b);

/** Returns a random condition on a row; on both rows of a match, if `hasSource`. */
export function randomCondition(chance: Chance, hasSource: boolean): Condition {
  const x = chance.below(5);
  const list: readonly Condition[] = [
    { predicate: predicate("<", reference("v"), literal(x)), holds: ({ v }) => less(v, x) },
    { predicate: predicate("=", reference("k"), literal(x)), holds: ({ k }) => same(k, x) },
    { predicate: predicate("IS_NULL", reference("k")), holds: ({ k }) => k === null },
    {
      predicate: predicate("NOT", predicate("=", reference("k"), literal(x))),
      holds: ({ k }) => (k === null ? null : k !== x),
    },
    {
      predicate: predicate(
        "OR",
        predicate("<", reference("v"), literal(x)),
        predicate("=", reference("k"), reference("v")),
      ),
      holds: ({ k, v }) => {
        const parts = [less(v, x), same(k, v)];
        return parts.includes(true) ? true : parts.includes(null) ? null : false;
      },
    },
    { predicate: predicate("<=>", reference("k"), literal(null)), holds: ({ k }) => k === null },
    {
      predicate: predicate("IN", reference("id"), literal(x), literal(x + 2)),
      holds: ({ id }) => id === x || id === x + 2,
    },
  ];
  const both: readonly Condition[] = [
    { predicate: predicate("<", reference("v"), source("v")), holds: ({ v }, other) => less(v, other.v) },
    { predicate: predicate("=", source("k"), literal(x)), holds: (_, other) => same(other.k, x) },
  ];
  return chance.pick(hasSource ? [...list, ...both] : list);
}

/** Moves a condition on the table's row to the source's row. */
export function ofSource({ predicate: one, holds }: Condition): Condition {
  const moved = <E extends Expression>(expression: E): E => {
    if (expression.kind === "literal") return expression;
    if (expression.kind === "reference") return { ...expression, side: "source" };
    return { ...expression, children: expression.children.map(moved) };
  };
  return { predicate: moved(one), holds: (_, other) => holds(other, other) };
}

/** New values for the engine, and for the model. */
export interface Values {
  readonly set: Readonly<Record<string, unknown>>;
  of(row: ModelRow, other: ModelRow): Partial<ModelRow>;
}

/** Returns random values for `k` and `v`. */
export function randomValues(chance: Chance, hasSource: boolean): Values {
  const x = chance.below(5);
  const list: readonly Values[] = [
    { set: { v: x }, of: () => ({ v: x }) },
    { set: { v: null, k: x }, of: () => ({ v: null, k: x }) },
    {
      set: { v: scalar("+", reference("v"), literal(1)) },
      of: ({ v }) => ({ v: v === null ? null : v + 1 }),
    },
    {
      set: { k: scalar("COALESCE", reference("k"), reference("v"), literal(x)) },
      of: ({ k, v }) => ({ k: k ?? v ?? x }),
    },
    { set: { k: reference("v"), v: reference("k") }, of: ({ k, v }) => ({ k: v, v: k }) },
  ];
  const both: readonly Values[] = [
    { set: { v: source("v") }, of: (_, other) => ({ v: other.v }) },
    {
      set: {
        k: scalar("CASE_WHEN", predicate("<", reference("v"), source("v")), source("k"), literal(null)),
      },
      of: ({ v }, other) => ({ k: less(v, other.v) === true ? other.k : null }),
    },
  ];
  return chance.pick(hasSource ? [...both, ...list] : list);
}

interface Clause {
  readonly when: Condition | undefined;
  readonly values: Values | undefined;
}

/** A random merge, and what it means. */
export interface ModelMerge {
  readonly clauses: MergeClauses;
  readonly on: Condition;
  readonly matched: readonly Clause[];
  readonly notMatched: readonly (Clause & { readonly of: (other: ModelRow) => ModelRow })[];
  readonly notMatchedBySource: readonly Clause[];
}

export function randomMerge(chance: Chance): ModelMerge {
  const on = randomOn(chance);
  const clauses = (count: number, hasSource: boolean): Clause[] =>
    Array.from({ length: count }, (_, i) => ({
      when: i < count - 1 || chance.below(2) === 0 ? randomCondition(chance, hasSource) : undefined,
      values: chance.below(3) === 0 ? undefined : randomValues(chance, hasSource),
    }));
  const matched = clauses(chance.below(3), true);
  const notMatchedBySource = clauses(chance.below(2), false);
  const needsInsert = matched.length + notMatchedBySource.length === 0;
  const inserts = Array.from({ length: needsInsert ? 1 : chance.below(2) }, () => ({
    when: chance.below(2) === 0 ? ofSource(randomCondition(chance, false)) : undefined,
    values: undefined,
    of: (other: ModelRow): ModelRow => ({ ...other, k: null }),
  }));
  const act = ({ when, values }: Clause) => ({
    ...(when === undefined ? {} : { when: when.predicate }),
    ...(values === undefined ? DELETE : { ...UPDATE, set: values.set }),
  });
  return {
    on,
    matched,
    notMatchedBySource,
    notMatched: inserts,
    clauses: {
      on: on.predicate,
      whenMatched: matched.map(act),
      whenNotMatchedBySource: notMatchedBySource.map(act),
      whenNotMatched: inserts.map(({ when }) => ({
        ...(when === undefined ? {} : { when: when.predicate }),
        ...INSERT,
        set: { id: source("id"), v: source("v") },
      })),
    } as MergeClauses,
  };
}

const DELETE = { then: "delete" } as const;
const UPDATE = { then: "update" } as const;
const INSERT = { then: "insert" } as const;

function randomOn(chance: Chance): Condition {
  const byId: Condition = {
    predicate: predicate("=", reference("id"), source("id")),
    holds: ({ id }, other) => id === other.id,
  };
  const list: readonly Condition[] = [
    byId,
    byId,
    { predicate: predicate("=", source("k"), reference("k")), holds: ({ k }, other) => same(k, other.k) },
    { predicate: predicate("<=>", reference("k"), source("k")), holds: ({ k }, other) => k === other.k },
    {
      predicate: predicate("AND", byId.predicate, predicate("<", reference("v"), source("v"))),
      holds: ({ id, v }, other) => (id === other.id ? less(v, other.v) : false),
    },
    { predicate: predicate("<", reference("id"), source("id")), holds: ({ id }, other) => id < other.id },
    {
      predicate: predicate("AND", byId.predicate, predicate("=", reference("k"), literal(1))),
      holds: ({ id, k }, other) => id === other.id && k === 1,
    },
  ];
  return chance.pick(list);
}

/** What a merge leaves, and how many rows it changed. */
export interface Merged {
  readonly rows: readonly ModelRow[];
  readonly updated: number;
  readonly deleted: number;
  readonly inserted: number;
}

/** Returns what a merge leaves, or `violation` if several rows match one row. */
export function merged(
  rows: readonly ModelRow[],
  others: readonly ModelRow[],
  merge: ModelMerge,
): Merged | "violation" {
  return new Merging(rows, others, merge).result();
}

class Merging {
  readonly #rows: readonly ModelRow[];
  readonly #others: readonly ModelRow[];
  readonly #merge: ModelMerge;
  readonly #left: ModelRow[] = [];
  #updated = 0;
  #deleted = 0;

  constructor(rows: readonly ModelRow[], others: readonly ModelRow[], merge: ModelMerge) {
    this.#rows = rows;
    this.#others = others;
    this.#merge = merge;
  }

  result(): Merged | "violation" {
    const { on, matched, notMatchedBySource, notMatched } = this.#merge;
    const [only, ...more] = matched;
    const isDelete = more.length === 0 && only?.when === undefined && only?.values === undefined;
    const matches = new Set<ModelRow>();
    for (const row of this.#rows) {
      const partners = this.#others.filter((other) => on.holds(row, other) === true);
      if (partners.length > 1 && !isDelete) return "violation";
      for (const partner of partners) matches.add(partner);
      const [partner] = partners;
      this.#act(row, partner ?? row, partner === undefined ? notMatchedBySource : matched);
      // A delete counts a row for each of its partners.
      if (only !== undefined && partner !== undefined) this.#deleted += partners.length - 1;
    }
    const inserted = this.#others
      .filter((other) => !matches.has(other))
      .flatMap((other) => {
        const fits = ({ when }: Clause) => when === undefined || when.holds(other, other) === true;
        return notMatched.find(fits)?.of(other) ?? [];
      });
    const rows = [...this.#left, ...inserted];
    return { rows, updated: this.#updated, deleted: this.#deleted, inserted: inserted.length };
  }

  #act(row: ModelRow, other: ModelRow, clauses: readonly Clause[]): void {
    const clause = clauses.find(({ when }) => when === undefined || when.holds(row, other) === true);
    if (clause === undefined) this.#left.push(row);
    else if (clause.values === undefined) this.#deleted++;
    else {
      this.#updated++;
      this.#left.push({ ...row, ...clause.values.of(row, other) });
    }
  }
}
