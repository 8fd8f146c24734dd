import { describe, expect, it } from "vitest";
import { matcherOf } from "../../shared/arrow/predicates/row-matcher.ts";
import { recordBatchOf } from "../../shared/arrow/record-batches.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import {
  hasFormForTables,
  literal,
  predicate,
  reference,
  scalar,
} from "../../shared/contract/write/predicates.ts";

const SCHEMA = parseDdl("id int, big bigint, name string");
const ROWS = [
  { id: 1, big: 1n, name: "1" },
  { id: 2, big: 1n, name: null },
  { id: null, big: null, name: null },
];
const hash = (name: string) => scalar("HASH", reference(name));

function matches(...given: Parameters<typeof predicate>): (boolean | null)[] {
  const test = matcherOf(SCHEMA, [predicate(...given)]).on(recordBatchOf(SCHEMA, ROWS));
  return ROWS.map((_, i) => test(i));
}

describe("the hash of values", () => {
  it("Equal values have one hash, whatever the width of their column is", () => {
    expect(matches("=", hash("id"), hash("big"))).toEqual([true, false, true]);
    expect(matches("=", hash("id"), scalar("HASH", literal(1)))).toEqual([true, false, false]);
  });

  it("A hash is never null, and a null does not change that of other values", () => {
    expect(matches("IS_NULL", hash("name"))).toEqual([false, false, false]);
  });

  it("No table is told a condition with a hash", () => {
    const condition = predicate("=", hash("id"), literal(3));
    expect(hasFormForTables(condition)).toBe(false);
    expect(hasFormForTables(predicate("NOT", condition))).toBe(false);
    expect(hasFormForTables(predicate("=", reference("id"), literal(3)))).toBe(true);
  });
});
