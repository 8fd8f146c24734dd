import { describe, expect, it } from "vitest";
import { GreaterThan, LessThan } from "../../../shared/contract/filters.ts";
import { runPipeline } from "../../../shared/testing/index.ts";
import { itemStream, items, SCHEMA, toMemory } from "./source.ts";

const rowsOf = async (source: { readonly configured: object }) => (await runPipeline(toMemory(source))).rows;

describe("steps", () => {
  it.each([
    ["batch", items],
    ["stream", itemStream],
  ])("A %s applies its steps in the order in which they are written", async (_, read) => {
    const rows = await rowsOf(
      read()
        .schema(SCHEMA)
        .filter((row) => row.id > 0n)
        .map(({ id, name }) => ({ id: id * 10n, label: `${name}!` }), "id bigint NOT NULL, label string")
        .filter(new LessThan("id", 30))
        .select("label", "id"),
    );
    expect(rows).toEqual([
      { label: "row 1!", id: 10 },
      { label: "row 2!", id: 20 },
    ]);
  });
});
