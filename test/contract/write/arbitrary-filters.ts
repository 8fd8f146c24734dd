import fc from "fast-check";
import {
  AlwaysFalse,
  AlwaysTrue,
  And,
  EqualNullSafe,
  EqualTo,
  type Filter,
  GreaterThan,
  GreaterThanOrEqual,
  In,
  IsNotNull,
  IsNull,
  LessThan,
  LessThanOrEqual,
  Not,
  Or,
} from "../../../shared/contract/filters.ts";

const COMPARISONS = [EqualTo, EqualNullSafe, GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual];

/** Returns filters of any shape on columns whose values are like `values`. */
export function filters<T>(columns: readonly string[], values: fc.Arbitrary<T>): fc.Arbitrary<Filter> {
  const column = fc.constantFrom(...columns);
  const value = fc.option(values, { freq: 6 });
  const leaf: fc.Arbitrary<Filter> = fc.oneof(
    fc.tuple(fc.constantFrom(...COMPARISONS), column, value).map(([Kind, name, one]) => new Kind(name, one)),
    fc.tuple(column, fc.array(value, { maxLength: 3 })).map(([name, list]) => new In(name, list)),
    column.map((name) => new IsNull(name)),
    column.map((name) => new IsNotNull(name)),
    fc.constantFrom(new AlwaysTrue(), new AlwaysFalse()),
  );
  const { filter } = fc.letrec<{ filter: Filter }>((tie) => ({
    filter: fc.oneof(
      { maxDepth: 3, depthSize: "small" },
      { weight: 3, arbitrary: leaf },
      { weight: 1, arbitrary: tie("filter").map((child) => new Not(child)) },
      { weight: 1, arbitrary: fc.tuple(tie("filter"), tie("filter")).map(([a, b]) => new And(a, b)) },
      { weight: 1, arbitrary: fc.tuple(tie("filter"), tie("filter")).map(([a, b]) => new Or(a, b)) },
    ),
  }));
  return filter;
}
