import { describe, expect, it } from "vitest";
import { Memory } from "../../shared/connectors/memory/index.ts";
import { DataSource } from "../../shared/contract/data-source.ts";
import { pipeline } from "../../shared/contract/pipeline.ts";
import { type CheckError, checkSteps } from "../../shared/testing/index.ts";

class Items extends DataSource {
  override schema() {
    return "id bigint NOT NULL, name string";
  }
}
const read = pipeline("p").readStream.format(Items).schema("id bigint NOT NULL, name string");
const codesOf = async (source: Parameters<typeof checkSteps>[0], options = {}) =>
  (
    await checkSteps(source, options).then(
      () => ({ problems: [] }),
      (error: unknown) => error as CheckError,
    )
  ).problems.map(({ code }) => code);

describe("checkSteps", () => {
  it("checkSteps finds no problem in steps that make the same rows again, and lists its trials", async () => {
    const good = read
      .filter(({ id }) => id % 2n === 0n)
      .flatMap(async function* (row) {
        yield row;
        yield { ...row, name: null };
      })
      .mapBatches((batch) => batch);
    const report = await checkSteps(good.writeStream.format(Memory).options({ table: "t" }));
    expect(report.checked).toEqual([
      ...["make the rows", "run the steps"],
      ...["run the steps a second time", "run the steps on single rows"],
    ]);
  });

  it.each([
    ["the clock", () => ({ id: BigInt(Date.now()), name: null })],
    ["chance", () => ({ id: BigInt(Math.trunc(Math.random() * 1e15)), name: null })],
    [
      "a counter",
      (() => {
        let n = 0n;
        return () => ({ id: n++, name: null });
      })(),
    ],
  ])("checkSteps names a step that follows %s", async (_, fn) => {
    expect(await codesOf(read.map(fn))).toContain("STEP_NOT_REPEATABLE");
  });

  it("checkSteps names a step that depends on where record batches are cut", async () => {
    expect(await codesOf(read.mapBatches((batch) => batch.slice(1)))).toEqual(["STEP_DEPENDS_ON_BATCHES"]);
  });

  it("checkSteps names a step that changes its record batch", async () => {
    const changing = read.mapBatches((batch) => {
      const values: unknown = batch.data.children[0]?.values;
      (values as BigInt64Array).fill(7n);
      return batch;
    });
    expect(await codesOf(changing)).toEqual(["STEP_CHANGES_INPUT"]);
  });

  it("checkSteps tries the rows that it is given, and names what steps throw", async () => {
    const parsing = read.map(({ id, name }) => ({ id, name: JSON.parse(name ?? "null") as string }));
    expect(await codesOf(parsing)).toEqual(["STEP_FAILED"]);
    expect(await codesOf(parsing, { rows: [{ id: 1, name: '"x"' }] })).toEqual([]);
    expect(await codesOf(read.select("nam" as never))).toEqual(["STEP_INVALID"]);
  });

  it("checkSteps checks the source of a merge, and refuses a pipeline without steps", async () => {
    const source = pipeline("p")
      .read.format(Items)
      .map((row) => ({ ...row, id: Date.now() }));
    const merge = pipeline("p")
      .table(Memory, { table: "t" })
      // biome-ignore lint/suspicious/noThenProperty: clauses have this word of SQL
      .merge(source as never, { on: ["id"], whenMatched: [{ then: "delete" }] });
    expect(await codesOf(merge)).toContain("STEP_NOT_REPEATABLE");
    await expect(checkSteps(read)).rejects.toMatchObject({ code: "CHECK_INVALID" });
    await expect(checkSteps(5 as never)).rejects.toMatchObject({ code: "CHECK_INVALID" });
  });
});
