import { describe, expect, it } from "vitest";
import { DataSource } from "../../shared/contract/data-source.ts";
import { And, EqualTo, GreaterThan, IsNull } from "../../shared/contract/filters.ts";
import { pipeline } from "../../shared/contract/pipeline.ts";
import { nameOfStep } from "../../shared/contract/row-steps.ts";

class Shelf extends DataSource {}
const batch = pipeline("p").read.format(Shelf);
const stream = pipeline("p").readStream.format(Shelf);

describe("steps of a source", () => {
  it("Steps are kept in their order, and a source without any has none", () => {
    const clean = (row: object) => row as never;
    const { steps = [] } = stream
      .filter(new IsNull("a"))
      .map(clean)
      .flatMap(() => [], "a int")
      .filter(() => true)
      .select("a")
      .withColumns({ b: () => 1 }, "b int")
      .mapBatches((one) => one).configured;
    expect(steps.map(nameOfStep)).toEqual([
      ...["1 filter", "2 map(clean)", "3 flatMap", "4 filter", "5 select", "6 withColumns", "7 mapBatches"],
    ]);
    expect(stream.options({ a: 1 }).configured).not.toHaveProperty("steps");
  });

  it("Filters of a batch before any step are for the source, and later ones are steps", () => {
    const [one, two, three] = [new EqualTo("a", 1), new GreaterThan("b", 2), new IsNull("c")];
    const { filters, steps } = batch
      .filter(new And(one, two))
      .filter((row) => row["a"] === 1)
      .filter(three).configured;
    expect(filters).toEqual([one, two]);
    expect(steps).toMatchObject([{ kind: "filter" }, { kind: "where", filters: [three] }]);
    expect(stream.filter(one).configured).not.toHaveProperty("filters");
    expect(batch.filter().configured).not.toHaveProperty("steps");
  });

  it.each([
    [() => batch.map("id" as never), ".map() needs a function, but got a string of 2 characters"],
    [() => stream.flatMap(undefined as never), ".flatMap() needs a function, but got undefined"],
    [() => stream.mapBatches({} as never), ".mapBatches() needs a function, but got an object"],
    [() => stream.select(), ".select() has no columns"],
    [() => stream.select("a", ""), ".select() needs names of columns, but got a string of 0 characters"],
    [() => stream.select("a", "b", "a"), '.select() names the column "a" twice'],
    [() => stream.withColumns({}), ".withColumns() needs an object with a function for each column"],
    [
      () => stream.withColumns({ a: 1 as never }),
      '.withColumns() needs a function for "a", but got an integer',
    ],
    [() => stream.select("a").schema("a int"), ".schema() comes after .select()"],
    [
      () => batch.repartition("a").map((row) => row),
      ".map() comes after .repartition() or .sortWithinPartitions()",
    ],
  ])("The step of case %# is refused where it is written", (write, message) => {
    expect(write).toThrow(expect.objectContaining({ code: "STEP_INVALID", message }));
  });

  it("A filter may come after rows are exchanged, because it makes no difference", () => {
    const { steps, arrangement } = stream.repartition("a").filter(() => true).configured;
    expect(steps).toHaveLength(1);
    expect(arrangement).toBeDefined();
  });
});
