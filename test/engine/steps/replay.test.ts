import { describe, expect, it } from "vitest";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import { readPlanHeader } from "../../../shared/engine/partitions-file.ts";
import { progressOf } from "../../../shared/engine/progress.ts";
import { write } from "../../../shared/engine/write/task.ts";
import { EngineWorld, type Run } from "../../support/engine.ts";
import { itemStream, items, SCHEMA, SimpleItems, toMemory } from "./source.ts";

/** Writes the open tasks of a batch, and returns the rows that the sink got. */
async function written(run: Run, planned: Awaited<ReturnType<Run["plan"]>>): Promise<object[]> {
  if (planned.kind !== "batch") throw new Error("there is no batch");
  const rows: object[] = [];
  for (const partition of planned.todo)
    await write(
      run.sessions,
      run.ports,
      { run: planned.run, partition, attemptNumber: 0 },
      { signal: new AbortController().signal, onBatch: (batch) => rows.push(...rowsOf(batch)) },
    );
  return rows;
}

const typed = () => itemStream().schema(SCHEMA);

describe("a batch with steps that is run again", () => {
  it("A plan has the schema of the source beside that of the rows, and none without steps", async () => {
    const header = async (source: object) => {
      const world = new EngineWorld();
      const run = await world.run(toMemory(source as never), "a");
      const planned = await run.plan();
      if (planned.kind !== "batch") throw new Error("there is no batch");
      const { schema, sourceSchema } = await readPlanHeader(run.ports.store, planned.batch.partitionsKey);
      return [schema, sourceSchema].map((one) => one?.fields.map(({ name }) => name).join());
    };
    expect(await header(typed().select("price", "id"))).toEqual(["price,id", "id,name,price"]);
    expect(await header(typed())).toEqual(["id,name,price", undefined]);
  });

  it("A killed run's batch is read with the schema with which it was planned", async () => {
    const world = new EngineWorld();
    const source = (schema: string) => items({ schema }).map(({ id }) => ({ id }) as never, "id bigint");
    const definition = toMemory(source(SCHEMA));
    await (await world.run(definition, "a")).plan();
    const changed = { ...definition, source: source("id string, other int").configured };
    const next = await world.run(
      Object.assign(Object.create(Object.getPrototypeOf(definition)), changed),
      "b",
    );
    const rows = await written(next, await next.plan({ ended: true }));
    expect(rows).toEqual([0, 1, 2, 3].map((id) => ({ id })));
  });

  it("A batch whose steps make other columns now is aborted, and its next attempt has these", async () => {
    const world = new EngineWorld();
    const definition = toMemory(typed().select("id"));
    const planning = await world.run(definition, "a");
    await planning.plan();
    const changed = Object.assign(Object.create(Object.getPrototypeOf(definition)), definition, {
      source: typed().select("id", "name").configured,
    });
    const next = await world.run(changed, "b");
    const resumed = await next.plan({ ended: true });
    await expect(written(next, resumed)).rejects.toMatchObject({ code: "STEPS_CHANGED" });
    await next.finalize(resumed).catch(() => undefined);
    const again = await next.plan();
    expect(await written(next, again)).toContainEqual({ id: 3, name: "row 3" });
    expect((await next.finalize(again)).batch).toMatchObject({ state: "committed", attempt: 2 });
  });

  it.each([
    ["gets steps", undefined, ["name"]],
    ["loses its steps", ["name"], undefined],
  ])(
    "A batch of a simple reader that %s is written from the stored rows in its next attempt",
    async (_, before, after) => {
      const world = new EngineWorld();
      const source = (columns: readonly string[] | undefined) => {
        const read = pipeline("items").readStream.format(SimpleItems);
        return columns === undefined ? read : read.select(...columns);
      };
      const definition = toMemory(source(before));
      const first = await world.run(definition, "a");
      const planned = await first.plan();
      const { asked } = SimpleItems;
      const changed = Object.assign(Object.create(Object.getPrototypeOf(definition)), definition, {
        source: source(after).configured,
      });
      const next = await world.run(changed, "b");
      const resumed = await next.plan({ ended: true });
      await expect(written(next, resumed)).rejects.toMatchObject({ code: "STEPS_CHANGED" });
      await next.finalize(resumed).catch(() => undefined);
      const again = await next.plan();
      const rows = await written(next, again);
      expect(rows).toEqual(
        [0, 1].map((id) =>
          after === undefined ? { id, name: `row ${id}`, price: `${id}.50` } : { name: `row ${id}` },
        ),
      );
      expect(SimpleItems.asked).toBe(asked);
      expect((await next.finalize(again)).batch.state).toBe("committed");
      expect(planned.kind).toBe("batch");
    },
  );

  it("The progress of a batch tells the rows that were read from those that the sink got", async () => {
    for (const source of [typed(), typed().repartition(2, "id")]) {
      const world = new EngineWorld();
      const run = await world.run(toMemory(source.filter(({ id }) => id > 2n)), "a");
      let planned = await run.plan();
      await written(run, planned);
      if (planned.kind === "batch" && planned.run.stage !== undefined) {
        planned = await run.planStage(planned);
        await written(run, planned);
      }
      const { batch } = await run.finalize(planned);
      expect(batch.progress).toMatchObject({ rows: 1, rowsRead: 4 });
      expect(progressOf(batch)).toMatchObject({ numInputRows: 4, sink: { numOutputRows: 1 } });
    }
  });
});
