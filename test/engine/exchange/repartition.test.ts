import { beforeEach, describe, expect, it } from "vitest";
import { Memory, MemoryStream, memoryTable } from "../../../shared/connectors/memory/index.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import { desc } from "../../../shared/contract/write/distribution.ts";
import { runPipeline } from "../../../shared/testing/run-pipeline.ts";

let id = 0;
let stream: MemoryStream;
let table: string;

beforeEach(() => {
  const name = `exchange-${++id}`;
  stream = new MemoryStream(name, "id bigint, p string");
  table = `table-${name}`;
  stream.addData(Array.from({ length: 40 }, (_, i) => ({ id: BigInt(i), p: `p${i % 7}` })));
});

const source = (numPartitions = 4) =>
  pipeline(`exchange-${id}`).readStream.format(Memory).options({ stream: stream.name, numPartitions });

/** Returns the rows of each task: the batch has them in the order of the partitions. */
const ids = () =>
  memoryTable(table)
    .rows()
    .map((row) => Number(row["id"]));

describe("An exchange of rows", () => {
  it("Brings rows with equal values to one task", async () => {
    const run = await runPipeline(source().repartition(3, "p").writeStream.format(Memory).options({ table }));

    expect(run.batches[0]?.partitions).toBe(3);
    expect(ids().toSorted((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    const sizes = run.batches[0]?.messages.map(String);
    expect(sizes).toHaveLength(3);
  });

  it("Puts the tasks in order if it splits by range, and sorts each of them", async () => {
    await runPipeline(
      source()
        .repartitionByRange(4, desc("id"))
        .sortWithinPartitions(desc("id"))
        .writeStream.format(Memory)
        .options({ table }),
    );

    expect(ids()).toEqual(Array.from({ length: 40 }, (_, i) => 39 - i));
  });

  it("Sorts the rows of each task without an exchange", async () => {
    await runPipeline(
      source(2).sortWithinPartitions(desc("id")).writeStream.format(Memory).options({ table }),
    );

    expect(ids()).toEqual([
      ...Array.from({ length: 20 }, (_, i) => 19 - i),
      ...Array.from({ length: 20 }, (_, i) => 39 - i),
    ]);
  });

  it("Deals rows out evenly", async () => {
    const run = await runPipeline(source(1).repartition(4).writeStream.format(Memory).options({ table }));

    expect(run.batches[0]?.partitions).toBe(4);
    expect(ids()).toHaveLength(40);
  });

  it("Deletes the exchanged files when the batch has ended", async () => {
    const run = await runPipeline(source().repartition(3, "p").writeStream.format(Memory).options({ table }));

    const keys = (await Array.fromAsync(run.store.list("batches/"))).map(({ key }) => key);
    expect(keys.filter((key) => key.includes("exchanged-"))).toEqual([]);
    expect(keys.some((key) => key.includes("partitions-"))).toBe(true);
  });

  it("Refuses a column that the rows lack before anything is read", async () => {
    const run = runPipeline(source().repartition(3, "nope").writeStream.format(Memory).options({ table }));

    await expect(run).rejects.toMatchObject({ code: "DISTRIBUTION_INVALID" });
    expect(memoryTable(table).batches()).toEqual([]);
  });
});
