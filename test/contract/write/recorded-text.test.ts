import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { filtersOf, predicatesOf } from "../../../shared/contract/write/convert-filters.ts";
import { filterText, predicateText } from "../../../shared/contract/write/predicate-text.ts";
import { ALWAYS_TRUE } from "../../../shared/contract/write/predicates.ts";
import type { Tree } from "../../oracle/write/op.ts";
import { predicateOf } from "../../oracle/write/predicates.ts";
import type { Recording } from "../../oracle/write/trace.ts";
import { ROOT } from "../../support/root.ts";

const FOLDER = join(ROOT, "../shared/write-oracle");

const isThere = existsSync(FOLDER);
if (!isThere) {
  console.warn("Spark's recordings are not here: no ../shared/write-oracle, so no text is compared");
}

/** The condition of a statement, and the texts that Spark's table or builder was given. */
interface Given {
  readonly condition: Tree | null;
  readonly form: "predicates" | "filters";
  readonly texts: readonly string[];
}

interface Statement {
  readonly condition?: Tree | null;
  readonly where?: Tree | null;
  readonly op?: Statement;
}

/** Returns what builders and tables were given. A scan gets what the optimiser made of it. */
function givenIn(path: string): readonly Given[] {
  const { trace } = JSON.parse(readFileSync(path, "utf8")) as Recording;
  let condition: Tree | null = null;
  return trace.flatMap(({ call, args }): Given[] => {
    if (call === "== driver: run") {
      const op = args["op"] as unknown as Statement;
      const statement = op.op ?? op;
      condition = statement.condition ?? statement.where ?? null;
    }
    if (!/^(?:WriteBuilder|Table)\./.test(call)) return [];
    return (["predicates", "filters"] as const).flatMap((form) =>
      Array.isArray(args[form]) ? [{ condition, form, texts: args[form] as readonly string[] }] : [],
    );
  });
}

describe.runIf(isThere)("the recordings of Spark in ../shared/write-oracle", () => {
  const given = globSync(`${FOLDER}/*.json`)
    .sort()
    .map((path) => [basename(path, ".json"), givenIn(path)] as const)
    .filter(([, each]) => each.length > 0);

  it.each(given)("%s: conditions are split and printed as Spark does", (_, each) => {
    for (const { condition, form, texts } of each) {
      const predicates = predicatesOf(condition === null ? ALWAYS_TRUE : predicateOf(condition));
      const own =
        form === "predicates" ? predicates.map(predicateText) : filtersOf(predicates)?.map(filterText);
      expect(own, JSON.stringify(condition)).toEqual(texts);
    }
  });

  it("Some recordings have predicates, and some have filters", () => {
    const forms = given.flatMap(([, each]) => each.map(({ form }) => form));
    expect(new Set(forms)).toEqual(new Set(["predicates", "filters"]));
  });
});
