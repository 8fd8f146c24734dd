import { describe, expect, it } from "vitest";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import type { Pipeline } from "../../../shared/contract/pipeline.ts";
import type { BadRow } from "../../../shared/engine/steps/origin.ts";
import { write } from "../../../shared/engine/write/task.ts";
import { EngineWorld } from "../../support/engine.ts";
import { itemStream, rowAt, SCHEMA, toMemory } from "./source.ts";

/** Writes all partitions of a batch, passes bad rows over, and returns those and the good ones. */
async function passOver(pipeline: Pipeline) {
  const world = new EngineWorld();
  const run = await world.run(pipeline, "a");
  const planned = await run.plan();
  if (planned.kind !== "batch") throw new Error("there is no batch");
  const bad: (BadRow & { readonly partition: number })[] = [];
  const good: object[] = [];
  for (const partition of planned.todo) {
    await write(
      run.sessions,
      run.ports,
      { run: planned.run, partition, attemptNumber: 0 },
      {
        signal: new AbortController().signal,
        onBadRow: (row) => bad.push({ ...row, partition }),
        onBatch: (batch) => good.push(...rowsOf(batch)),
      },
    );
  }
  return { bad, good };
}

/** Returns the row of the source of which a bad row was made. */
const sourceRow = ({ found }: BadRow) =>
  found === undefined ? undefined : [...rowsOf(found.batch.slice(found.index, found.index + 1))][0];

describe("rows that are bad", () => {
  it("The rows around one for which a step fails go on, and it is known with its number in the source", async () => {
    const source = itemStream({ count: 12 })
      .schema(SCHEMA)
      .filter(({ id }) => id !== 6n)
      .map((row) => {
        if (row.id === 1n || row.id === 8n) throw new RangeError("one of them");
        return row.id === 9n ? { ...row, id: "x" as never } : row;
      })
      .flatMap(function* (row) {
        yield row;
        yield { ...row, name: row.id === 3n ? (5 as never) : "again" };
      })
      .select("id", "name");
    const { bad, good } = await passOver(toMemory(source));
    expect(good).toEqual(
      [0, 2, 4, 5, 7, 10, 11].flatMap((id) => [
        { id, name: `row ${id}` },
        { id, name: "again" },
      ]),
    );
    expect(
      bad.map(({ partition, number, error }) => [partition, number, error.code, error.where.step]),
    ).toEqual([
      [0, 2, "STEP_FAILED", "2 map"],
      [0, 4, "ROW_MISMATCH", "3 flatMap"],
      [1, 3, "STEP_FAILED", "2 map"],
      [1, 4, "ROW_MISMATCH", "2 map"],
    ]);
    expect(bad.map(sourceRow)).toEqual([1, 3, 8, 9].map(rowAt));
    expect(bad.every(({ stepsBefore }) => stepsBefore === 0)).toBe(true);
  });

  it("The rows around one that does not fit the source's schema go on, and keep their numbers", async () => {
    const rows = Array.from({ length: 40 }, (_, id) => rowAt(id)).map((row, id) =>
      id % 5 === 3 ? { ...row, price: "N/A" } : row,
    );
    const source = itemStream({ rows }).withColumns({
      name: (row) => (row["id"] === 24n ? 1 : "ok"),
    });
    const { bad, good } = await passOver(toMemory(source));
    expect(good).toHaveLength(31);
    expect(bad.map(({ partition, number }) => [partition, number])).toEqual([
      ...[4, 9, 14, 19].map((number) => [0, number]),
      ...[4, 9, 14, 19, 5].map((number) => [1, number]),
    ]);
    expect(bad[0]?.yielded).toEqual({ ...rowAt(3), price: "N/A" });
    expect(bad.at(-1)?.error.where).toMatchObject({ row: 5, step: "1 withColumns" });
  });

  it("Rows after a step of whole batches are those that the step returned", async () => {
    const source = itemStream({ count: 8 })
      .schema(SCHEMA)
      .mapBatches((batch) => batch.slice(1, batch.numRows))
      .map((row) => {
        if (row.id === 2n) throw new Error("bad");
        return row;
      });
    const { bad, good } = await passOver(toMemory(source));
    expect(good).toHaveLength(5);
    expect(bad).toMatchObject([{ number: 2, stepsBefore: 1 }]);
    expect(bad.map(sourceRow)).toEqual([rowAt(2)]);
  });

  it("An error of the taker fails the task, and the row is taken once", async () => {
    const world = new EngineWorld();
    const failing = itemStream().map(() => {
      throw new Error("bad");
    });
    const run = await world.run(toMemory(failing), "a");
    const planned = await run.plan();
    if (planned.kind !== "batch") throw new Error("there is no batch");
    let taken = 0;
    const writing = write(
      run.sessions,
      run.ports,
      { run: planned.run, partition: 0, attemptNumber: 0 },
      {
        signal: new AbortController().signal,
        onBadRow: () => {
          if (++taken === 2) throw new Error("too many");
        },
      },
    );
    await expect(writing).rejects.toMatchObject({ cause: { message: "too many" } });
    expect(taken).toBe(2);
  });
});
