import type { Filter } from "../../shared/contract/filters.ts";
import {
  type Expression,
  literal,
  type Predicate,
  type PredicateName,
  predicate,
  reference,
  scalar,
  source,
} from "../../shared/contract/write/predicates.ts";
import type { Chance } from "../engine/row-level/model.ts";
import { type Column, type ColumnType, randomPresent, sqlOf, type Value } from "./tables.ts";

/** A condition for the engine, and the same one in SQL: written twice on purpose. */
export interface Condition {
  readonly engine: Predicate;
  readonly sql: string;
  /** The same as a filter, if it has that form. */
  readonly filter?: Filter;
}

/** A value for the engine, and the same one in SQL. */
export interface Term {
  readonly engine: Expression;
  readonly sql: string;
  readonly nullable: boolean;
}

/** A column that an expression may use: of the table `t`, or of the source `s` of a merge. */
export interface Scope extends Column {
  readonly side: "t" | "s";
}

export function scopeOf(columns: readonly Column[], side: "t" | "s"): readonly Scope[] {
  return columns.map((column) => ({ ...column, side }));
}

export function columnTerm({ name, side, nullable }: Scope): Term {
  const engine = side === "t" ? reference(name) : source(name);
  return { engine, sql: `${side}.${name}`, nullable };
}

function literalTerm(value: Value, type: ColumnType): Term {
  return { engine: literal(value), sql: sqlOf(value, type), nullable: value === null };
}

const COMPARISONS: readonly (readonly [PredicateName, string, string | undefined])[] = [
  ["=", "=", "EqualTo"],
  ["<", "<", "LessThan"],
  ["<=", "<=", "LessThanOrEqual"],
  [">", ">", "GreaterThan"],
  [">=", ">=", "GreaterThanOrEqual"],
  ["<=>", "IS NOT DISTINCT FROM", "EqualNullSafe"],
  ["<>", "<>", undefined],
];
const TEXT_TESTS: readonly (readonly [PredicateName, string, string])[] = [
  ["STARTS_WITH", "starts_with", "StringStartsWith"],
  ["ENDS_WITH", "ends_with", "StringEndsWith"],
  ["CONTAINS", "contains", "StringContains"],
];

/** Builds random conditions and values over columns. */
export class Expressions {
  readonly #chance: Chance;
  readonly #scope: readonly Scope[];
  /** True if each test compares a column with literals, as filters do. */
  readonly #isSimple: boolean;

  constructor(chance: Chance, scope: readonly Scope[], isSimple = false) {
    this.#chance = chance;
    this.#scope = scope;
    this.#isSimple = isSimple;
  }

  condition(depth = 2): Condition {
    const form = depth === 0 ? 9 : this.#chance.below(10);
    if (form < 2) return this.#both("AND", "And", depth);
    if (form < 4) return this.#both("OR", "Or", depth);
    if (form < 6) {
      const child = this.condition(depth - 1);
      return {
        engine: predicate("NOT", child.engine),
        sql: `(NOT ${child.sql})`,
        ...(child.filter === undefined ? {} : { filter: { kind: "Not", child: child.filter } }),
      };
    }
    return this.#test();
  }

  #both(name: "AND" | "OR", kind: "And" | "Or", depth: number): Condition {
    const left = this.condition(depth - 1);
    const right = this.condition(depth - 1);
    const isFilter = left.filter !== undefined && right.filter !== undefined;
    return {
      engine: predicate(name, left.engine, right.engine),
      sql: `(${left.sql} ${name} ${right.sql})`,
      ...(isFilter ? { filter: { kind, left: left.filter, right: right.filter } as Filter } : {}),
    };
  }

  #test(): Condition {
    const column = this.#chance.pick(this.#scope);
    const form = this.#chance.below(10);
    if (form < 2) return this.#nullTest(column);
    if (form < 4) return this.#in(column);
    if (column.type === "string" && form < 6) return this.#textTest(column);
    const others = this.#scope.filter((other) => isComparable(column.type, other.type));
    if (!this.#isSimple && form < 7)
      return comparison(this.#chance, column, columnTerm(this.#chance.pick(others)));
    return comparison(this.#chance, column, this.#literalFor(column));
  }

  #literalFor({ type }: Column): Term {
    return literalTerm(this.#chance.below(8) === 0 ? null : randomPresent(this.#chance, type), type);
  }

  #nullTest(column: Scope): Condition {
    const { engine, sql } = columnTerm(column);
    const isNull = this.#chance.below(2) === 0;
    return {
      engine: predicate(isNull ? "IS_NULL" : "IS_NOT_NULL", engine),
      sql: `(${sql} IS ${isNull ? "" : "NOT "}NULL)`,
      ...ofTable(column, { kind: isNull ? "IsNull" : "IsNotNull", attribute: [column.name] } as Filter),
    };
  }

  #in(column: Scope): Condition {
    const { engine, sql } = columnTerm(column);
    const values = Array.from({ length: 1 + this.#chance.below(3) }, () =>
      this.#chance.below(6) === 0 ? null : randomPresent(this.#chance, column.type),
    );
    const terms = values.map((value) => literalTerm(value, column.type));
    return {
      engine: predicate("IN", engine, ...terms.map((term) => term.engine)),
      sql: `(${sql} IN (${terms.map((term) => term.sql).join(", ")}))`,
      ...ofTable(column, { kind: "In", attribute: [column.name], value: values } as Filter),
    };
  }

  #textTest(column: Scope): Condition {
    const [name, sqlName, kind] = this.#chance.pick(TEXT_TESTS);
    const value = this.#chance.pick(["", "a", "ä", "%", "'s", "b"]);
    const { engine, sql } = columnTerm(column);
    return {
      engine: predicate(name, engine, literal(value)),
      sql: `${sqlName}(${sql}, ${sqlOf(value, "string")})`,
      ...ofTable(column, { kind, attribute: [column.name], value } as Filter),
    };
  }

  /** Returns a value that a column can hold. */
  value(target: Column, depth = 1): Term {
    for (;;) {
      const term = this.#value(target.type, depth);
      if (target.nullable || !term.nullable) return term;
      // Of literals alone the engine would not know the type.
      if (term.engine.kind !== "literal" && this.#chance.below(2) === 0)
        return coalesce(term, this.#present(target.type));
    }
  }

  #present(type: ColumnType): Term {
    return literalTerm(randomPresent(this.#chance, type), type);
  }

  #value(type: ColumnType, depth: number): Term {
    const columns = this.#scope.filter((column) => column.type === type).map(columnTerm);
    const form = depth === 0 ? this.#chance.below(4) : this.#chance.below(9);
    if (form === 0) return literalTerm(null, type);
    if (form <= 1 || columns.length === 0) return this.#present(type);
    const column = this.#chance.pick(columns);
    if (form <= 3) return column;
    if (form === 4) return coalesce(column, this.#value(type, 0));
    if (form <= 6 && (type === "int" || type === "double")) return this.#computed(column, type);
    const when = this.condition(1);
    const [then, otherwise] = [column, this.#value(type, 0)];
    return {
      engine: scalar("CASE_WHEN", when.engine, then.engine, otherwise.engine),
      sql: `(CASE WHEN ${when.sql} THEN ${then.sql} ELSE ${otherwise.sql} END)`,
      nullable: then.nullable || otherwise.nullable,
    };
  }

  #computed(column: Term, type: "int" | "double"): Term {
    const [name, by] = this.#chance.pick<readonly ["+" | "-" | "*", number]>([
      ["+", 1],
      ["-", 2],
      ["*", 2],
    ]);
    const amount = literalTerm(by, type);
    return {
      engine: scalar(name, column.engine, amount.engine),
      sql: `(${column.sql} ${name} ${amount.sql})`,
      nullable: column.nullable,
    };
  }
}

function coalesce(one: Term, other: Term): Term {
  return {
    engine: scalar("COALESCE", one.engine, other.engine),
    sql: `COALESCE(${one.sql}, ${other.sql})`,
    nullable: one.nullable && other.nullable,
  };
}

function comparison(chance: Chance, column: Scope, other: Term): Condition {
  const [name, sqlName, kind] = chance.pick(COMPARISONS);
  const { engine, sql } = columnTerm(column);
  const value = other.engine.kind === "literal" ? other.engine.value : undefined;
  const isFilter = kind !== undefined && other.engine.kind === "literal";
  return {
    engine: predicate(name, engine, other.engine),
    sql: `(${sql} ${sqlName} ${other.sql})`,
    ...(isFilter ? ofTable(column, { kind, attribute: [column.name], value } as Filter) : {}),
  };
}

function ofTable({ side }: Scope, filter: Filter): { filter?: Filter } {
  return side === "t" ? { filter } : {};
}

const NUMBERS: ReadonlySet<ColumnType> = new Set(["int", "bigint", "double"]);

function isComparable(one: ColumnType, other: ColumnType): boolean {
  return one === other || (NUMBERS.has(one) && NUMBERS.has(other));
}
