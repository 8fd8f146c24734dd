import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  AlwaysFalse,
  AlwaysTrue,
  And,
  checkFilter,
  conjunctsOf,
  EqualNullSafe,
  EqualTo,
  type Filter,
  GreaterThan,
  In,
  IsNotNull,
  IsNull,
  LessThan,
  Not,
  Or,
  StringContains,
  StringEndsWith,
  StringStartsWith,
} from "../../../shared/contract/filters.ts";
import { checkPredicate } from "../../../shared/contract/write/check-predicate.ts";
import { filtersOf, predicateOf, predicatesOf } from "../../../shared/contract/write/convert-filters.ts";
import { filterText, predicatesText, predicateText } from "../../../shared/contract/write/predicate-text.ts";
import {
  ALWAYS_FALSE,
  ALWAYS_TRUE,
  isAlwaysTrue,
  literal,
  type Predicate,
  predicate,
  reference,
  scalar,
} from "../../../shared/contract/write/predicates.ts";
import { filters } from "./arbitrary-filters.ts";

const [p, id, dep] = [reference("p"), reference("id"), reference("dep")];
const one = literal(1);
const isOne = predicate("=", p, one);

describe("predicateText", () => {
  it.each<readonly [string, Predicate]>([
    ["p = 1", isOne],
    ["p <> 1", predicate("<>", p, one)],
    ["p < 1", predicate("<", p, one)],
    ["p <= 1", predicate("<=", p, one)],
    ["p > 1", predicate(">", p, one)],
    ["p >= -1.5", predicate(">=", p, literal(-1.5))],
    ["((p IS NOT NULL AND 1 IS NOT NULL AND p = 1) OR (p IS NULL AND 1 IS NULL))", predicate("<=>", p, one)],
    ["p = id", predicate("=", p, id)],
    ["(p = 1) AND (id > 3)", predicate("AND", isOne, predicate(">", id, literal(3)))],
    ["(p = 2) OR (id < 1)", predicate("OR", predicate("=", p, literal(2)), predicate("<", id, one))],
    ["NOT (p = 1)", predicate("NOT", isOne)],
    ["id IN (1, 2, 3)", predicate("IN", id, one, literal(2n), literal(3))],
    ["CASE WHEN id IS NULL THEN NULL ELSE FALSE END", predicate("IN", id)],
    ["p IS NULL", predicate("IS_NULL", p)],
    ["p IS NOT NULL", predicate("IS_NOT_NULL", p)],
    ["dep = 'it''s'", predicate("=", dep, literal("it's"))],
    ["dep = null", predicate("=", dep, literal(null))],
    ["dep = true", predicate("=", dep, literal(true))],
    ["dep = 0x0AFF", predicate("=", dep, literal(Uint8Array.of(10, 255)))],
    ["dep > 2026-11-28T00:00:00.000Z", predicate(">", dep, literal(new Date("2026-11-28T00:00:00Z")))],
    ["dep LIKE 'a\\_b%' ESCAPE '\\'", predicate("STARTS_WITH", dep, literal("a_b"))],
    ["dep LIKE '%1\\%' ESCAPE '\\'", predicate("ENDS_WITH", dep, literal("1%"))],
    ["dep LIKE '%x%' ESCAPE '\\'", predicate("CONTAINS", dep, literal("x"))],
    ["TRUE", ALWAYS_TRUE],
    ["FALSE", ALWAYS_FALSE],
    ["(id + 1) = 3", predicate("=", scalar("+", id, one), literal(3))],
    ["((id - 1) * 2) > -p", predicate(">", scalar("*", scalar("-", id, one), literal(2)), scalar("-", p))],
    ["(COALESCE(p, id)) = 1", predicate("=", scalar("COALESCE", p, id), one)],
    [
      "(CASE WHEN p = 1 THEN null ELSE p END) = 1",
      predicate("=", scalar("CASE_WHEN", isOne, literal(null), p), one),
    ],
    ["place.x = 1", predicate("=", reference(["place", "x"]), one)],
    ["`a.b`.`c``d` = 1", predicate("=", reference(["a.b", "c`d"]), one)],
  ])("A predicate is printed as Spark prints it: %s", (text, given) => {
    expect(predicateText(given)).toBe(text);
  });

  it("A list of predicates is printed in brackets", () => {
    expect(predicatesText([isOne, predicate("IS_NULL", id)])).toBe("[p = 1, id IS NULL]");
  });
});

describe("filterText", () => {
  it.each<readonly [string, Filter]>([
    ["EqualTo(p,1)", new EqualTo("p", 1)],
    ["EqualNullSafe(p,null)", new EqualNullSafe("p", null)],
    ["GreaterThan(place.x,1.5)", new GreaterThan(["place", "x"], 1.5)],
    ["In(id, [1,2,3])", new In("id", [1, 2n, 3])],
    ["IsNull(p)", new IsNull("p")],
    ["IsNotNull(p)", new IsNotNull("p")],
    ["Not(EqualTo(dep,a))", new Not(new EqualTo("dep", "a"))],
    ["And(EqualTo(p,2),LessThan(id,1))", new And(new EqualTo("p", 2), new LessThan("id", 1))],
    ["Or(EqualTo(p,2),LessThan(id,1))", new Or(new EqualTo("p", 2), new LessThan("id", 1))],
    ["StringStartsWith(dep,a)", new StringStartsWith("dep", "a")],
    ["StringEndsWith(dep,a)", new StringEndsWith("dep", "a")],
    ["StringContains(dep,a)", new StringContains("dep", "a")],
    ["AlwaysTrue()", new AlwaysTrue()],
    ["AlwaysFalse()", new AlwaysFalse()],
  ])("A filter is printed as Spark prints it: %s", (text, filter) => {
    expect(filterText(filter)).toBe(text);
  });
});

describe("predicatesOf", () => {
  it("AND at the top is split, also if it is nested, and any other AND is not", () => {
    const inner = predicate("AND", isOne, predicate("IS_NULL", dep));
    const kept = predicate("OR", inner, predicate("IS_NULL", id));
    expect(predicatesOf(predicate("AND", inner, kept))).toEqual([isOne, predicate("IS_NULL", dep), kept]);
    expect(predicatesOf(new And(new And(new EqualTo("p", 1), new IsNull("p")), new IsNull("id")))).toEqual([
      isOne,
      predicate("IS_NULL", p),
      predicate("IS_NULL", id),
    ]);
    expect(predicatesOf(new Or(new EqualTo("p", 1), new IsNull("p")))).toEqual([
      predicate("OR", isOne, predicate("IS_NULL", p)),
    ]);
  });

  it.each<readonly [Predicate, string]>([
    [predicate("NOT", predicate("NOT", isOne)), "[p = 1]"],
    [predicate("NOT", predicate(">", p, one)), "[p <= 1]"],
    [predicate("NOT", predicate(">=", p, one)), "[p < 1]"],
    [predicate("NOT", predicate("<", p, one)), "[p >= 1]"],
    [predicate("NOT", predicate("<=", p, one)), "[p > 1]"],
    [predicate("NOT", predicate("IS_NULL", p)), "[p IS NOT NULL]"],
    [predicate("NOT", predicate("IS_NOT_NULL", p)), "[p IS NULL]"],
    [predicate("<>", p, one), "[NOT (p = 1)]"],
    [predicate("NOT", predicate("<>", p, one)), "[p = 1]"],
    [predicate("NOT", predicate("OR", isOne, predicate("<", id, one))), "[NOT (p = 1), id >= 1]"],
    [predicate("NOT", predicate("AND", isOne, predicate("<", id, one))), "[(NOT (p = 1)) OR (id >= 1)]"],
    [predicate("AND", ALWAYS_TRUE, isOne), "[p = 1]"],
    [predicate("AND", isOne, ALWAYS_FALSE), "[FALSE]"],
    [predicate("OR", isOne, ALWAYS_TRUE), "[TRUE]"],
    [predicate("OR", ALWAYS_FALSE, isOne), "[p = 1]"],
    [predicate("OR", isOne, predicate("=", reference("p"), literal(1))), "[p = 1]"],
    [predicate("OR", isOne, predicate("=", p, literal(2))), "[(p = 1) OR (p = 2)]"],
    [predicate("NOT", ALWAYS_TRUE), "[FALSE]"],
    [predicate("IN", p, one), "[p = 1]"],
    [predicate("IN", p, one, literal(1), literal(2)), "[p IN (1, 2)]"],
    [predicate("IN", p, literal(null)), "[p IN (null)]"],
    [predicate("IN", p, id), "[p IN (id)]"],
    [predicate("IN", p), "[FALSE]"],
    [predicate("<=>", p, one), `[${predicateText(predicate("<=>", p, one))}]`],
  ])("A condition is simplified as by Spark's optimiser (case %#)", (given, text) => {
    expect(predicatesText(predicatesOf(given))).toBe(text);
  });

  it("A filter and a predicate may be plain JSON", () => {
    const filter = JSON.parse(JSON.stringify(new Not(new EqualTo("p", 1)))) as Filter;
    const same = JSON.parse(JSON.stringify(predicate("NOT", isOne))) as Predicate;
    expect(predicatesOf(filter)).toEqual([predicate("NOT", isOne)]);
    expect(predicatesOf(same)).toEqual([predicate("NOT", isOne)]);
  });

  it("What is neither a filter nor a predicate is refused", () => {
    for (const given of [undefined, null, "p = 1", [], { kind: "reference" }, { kind: "predicate" }])
      expect(() => predicatesOf(given as unknown as Filter), String(given)).toThrow(
        expect.objectContaining({ code: "FILTER_INVALID" }),
      );
  });
});

describe("isAlwaysTrue", () => {
  it("Only predicates that are all ALWAYS_TRUE concern the whole table, and no predicate is none", () => {
    expect(isAlwaysTrue([ALWAYS_TRUE])).toBe(true);
    expect(isAlwaysTrue(predicatesOf(new And(new AlwaysTrue(), new AlwaysTrue())))).toBe(true);
    expect(isAlwaysTrue([ALWAYS_TRUE, isOne])).toBe(false);
    expect(isAlwaysTrue(predicatesOf(new Not(new AlwaysFalse())))).toBe(true);
    expect(isAlwaysTrue([])).toBe(false);
  });
});

describe("checkPredicate", () => {
  it.each<readonly [string, unknown]>([
    ["there is no expression == here", { kind: "predicate", name: "==", children: [p, one] }],
    [
      "there is no expression is_null here (did you mean IS_NULL?)",
      { kind: "predicate", name: "is_null", children: [p] },
    ],
    ["there is no expression toString here", { kind: "predicate", name: "toString", children: [] }],
    [
      "there is no expression UPPER here",
      predicate("=", { kind: "scalar", name: "UPPER", children: [p] }, one),
    ],
    ["= takes 2 arguments, not 1", predicate("=", p)],
    ["NOT takes 1 argument, not 0", predicate("NOT")],
    ["ALWAYS_TRUE takes no arguments, not 1", predicate("ALWAYS_TRUE", p)],
    ["IN takes at least 1 arguments, not 0", predicate("IN")],
    ["- takes 1 or 2 arguments, not 3", predicate("=", scalar("-", p, p, p), one)],
    ["= needs an array of arguments", { kind: "predicate", name: "=" }],
    [
      'a predicate is predicate("=", reference("p"), literal(1)), not an object of another kind',
      predicate("NOT", p),
    ],
    [
      'a predicate is predicate("=", reference("p"), literal(1)), not an object of another kind',
      predicate("IS_NULL", scalar("CASE_WHEN", p, one, one)),
    ],
    ['an argument is reference("p") or literal(1), not an integer', predicate("=", p, 1 as never)],
    [
      'an argument is reference("p") or literal(1), not an object of another kind',
      predicate("=", p, {} as never),
    ],
    ["a reference needs an array of names", predicate("IS_NULL", reference([]))],
    ["a literal needs a value, or null", predicate("=", p, literal(undefined))],
  ])("A predicate is refused with the reason: %s", (problem, given) => {
    expect(() => checkPredicate(given)).toThrow(
      expect.objectContaining({ code: "FILTER_INVALID", message: expect.stringContaining(problem) }),
    );
  });

  it("A predicate may have a scalar expression, and a predicate among its values", () => {
    const nullIf = scalar("CASE_WHEN", isOne, literal(null), p);
    const given = predicate("=", predicate("=", nullIf, one), literal(true));
    expect(checkPredicate(given)).toBe(given);
  });
});

describe("filtersOf", () => {
  it.each<readonly [string, Predicate]>([
    ["a sum", predicate("=", scalar("+", p, one), one)],
    ["two columns", predicate("=", p, id)],
    ["a column in a list", predicate("IN", p, one, id)],
    ["a test of a computed value", predicate("IS_NULL", scalar("COALESCE", p, id))],
    ["a pattern that is null", predicate("CONTAINS", dep, literal(null))],
    ["an OR of which one part has no form", predicate("OR", isOne, predicate("=", p, id))],
    ["a NOT of a part that has no form", predicate("NOT", predicate("=", p, id))],
  ])("A predicate has no form as a filter if it has %s", (_, given) => {
    expect(filtersOf([given])).toBeUndefined();
    expect(filtersOf([isOne, given])).toBeUndefined();
  });

  it("A literal before the column changes places with it", () => {
    const mirrored = predicate(">", literal(3), p);
    expect(filtersOf([mirrored])).toEqual([new LessThan("p", 3)].map((filter) => ({ ...filter })));
    expect(filtersOf([predicate("IN", one, p)])).toBeUndefined();
  });

  it("<> is the negation of =", () => {
    expect(filtersOf([predicate("<>", p, one)])).toEqual([
      { kind: "Not", child: { ...new EqualTo("p", 1) } },
    ]);
  });

  it("Each filter comes back from the predicate that is made of it", () => {
    fc.assert(
      fc.property(filters(["p", "id"], fc.integer()), (filter) => {
        const [back] = filtersOf([predicateOf(filter)]) ?? [];
        expect(back).toEqual(JSON.parse(JSON.stringify(filter)));
      }),
    );
  });
});

describe("checkFilter", () => {
  it("A plain object with the properties of a filter is a filter", () => {
    const filter = { kind: "EqualTo", attribute: ["p"], value: 1 };
    expect(checkFilter(filter)).toBe(filter);
    fc.assert(
      fc.property(filters(["p", "id"], fc.integer()), (one) => {
        const plain: unknown = JSON.parse(JSON.stringify(one));
        expect(checkFilter(plain)).toBe(plain);
      }),
    );
  });

  it.each<readonly [string, unknown]>([
    ['a filter is new GreaterThan("id", 5), not an object of another kind', { kind: "Equals" }],
    ['a filter is new GreaterThan("id", 5), not an object of another kind', { kind: "toString" }],
    ['a filter is new GreaterThan("id", 5), not an integer', 5],
    ["EqualTo needs an attribute", { kind: "EqualTo", attribute: "p", value: 1 }],
    ["IsNull needs an attribute", { kind: "IsNull", attribute: [] }],
    ["IsNull needs an attribute", { kind: "IsNull", attribute: [1] }],
    ["EqualTo compares with undefined", { kind: "EqualTo", attribute: ["p"] }],
    ["In needs an array of values, not an integer", { kind: "In", attribute: ["p"], value: 1 }],
    ["In needs an array of values", { kind: "In", attribute: ["p"], value: [1, undefined] }],
    [
      "StringContains looks for a string, not for an integer",
      { kind: "StringContains", attribute: ["p"], value: 1 },
    ],
    ["not undefined", { kind: "Not" }],
    ["not an integer", { kind: "And", left: new IsNull("p"), right: 1 }],
    ["not an integer", new Or(new IsNull("p"), new Not(7 as unknown as Filter))],
  ])("A filter is refused with the reason: %s", (problem, given) => {
    expect(() => checkFilter(given)).toThrow(
      expect.objectContaining({ code: "FILTER_INVALID", message: expect.stringContaining(problem) }),
    );
  });

  it("The conjuncts of a filter are the parts of And at the top", () => {
    const [a, b, c] = [new IsNull("a"), new IsNull("b"), new Or(new IsNull("c"), new IsNull("d"))];
    expect(conjunctsOf(new And(a, new And(b, c)))).toEqual([a, b, c]);
  });
});
