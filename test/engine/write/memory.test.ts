import { getEventListeners } from "node:events";
import { expect, it } from "vitest";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import { DataSourceStreamReader, type Row } from "../../../shared/contract/stream-reader.ts";
import { write } from "../../../shared/engine/write/task.ts";
import { EngineWorld } from "../../support/engine.ts";
import { collectGarbage, Drain } from "../../support/memory.ts";

const TASKS = 300;

/** A pipeline with many partitions, whose objects are passed to `see` as they are read. */
function manyTasks(see: (partition: object) => void): Pipeline {
  class Reader extends DataSourceStreamReader<{ n: number }, { n: number; text: string }> {
    override initialOffset() {
      return { n: 0 };
    }
    override latestOffset() {
      return { n: TASKS };
    }
    override partitions() {
      return Array.from({ length: TASKS }, (_, n) => ({ n, text: "a partition".repeat(100) }));
    }
    override *read(partition: { n: number; text: string }): Generator<Row> {
      see(partition);
      yield { n: partition.n };
    }
  }
  class Numbers extends DataSource {
    override schema = () => "n int";
    override streamReader = () => new Reader();
  }
  return pipeline("many").readStream.format(Numbers).writeStream.format(Drain) as unknown as Pipeline;
}

it("A task leaves no listener at the signal of its run, and nothing keeps its partition in memory", async () => {
  const partitions: WeakRef<object>[] = [];
  const definition = manyTasks((partition) => partitions.push(new WeakRef(partition)));
  const { sessions, ports, plan } = await new EngineWorld().run(definition, "a");
  const planned = await plan();
  if (planned.kind !== "batch") throw new Error("there is no batch");
  const { signal } = new AbortController();
  const watch = { stall: { after: "5 minutes", fail: true } };
  for (const partition of planned.todo)
    await write(sessions, ports, { run: planned.run, partition, attemptNumber: 0 }, { signal, watch });
  expect(getEventListeners(signal, "abort")).toEqual([]);
  // A reference that was just made or read is kept until the end of its turn.
  await new Promise(setImmediate);
  collectGarbage();
  expect(partitions).toHaveLength(TASKS);
  expect(partitions.filter((each) => each.deref() !== undefined).length).toBeLessThan(5);
});
