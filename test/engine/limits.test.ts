import { describe, expect, it } from "vitest";
import { DataSource } from "../../shared/contract/data-source.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import type { JsonValue } from "../../shared/contract/json.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { DataSourceStreamReader, type Row } from "../../shared/contract/stream-reader.ts";
import { DataSourceStreamWriter } from "../../shared/contract/stream-writer.ts";
import { vacuum } from "../../shared/engine/vacuum.ts";
import { EngineWorld, type Run } from "../support/engine.ts";

/** What a test makes large. */
interface Sizes {
  columns: number;
  start: number;
  end: number;
  latest: number;
  partition: number;
  message: number;
  error: number;
}

const COLUMN = "customer_delivery_address_line_";
const text = (length: number) => "x".repeat(length);

/** A pipeline whose values have these sizes, and what its source and sink saw. */
function sized(sizes: Partial<Sizes>) {
  const { columns = 1, start = 1, end = 1, latest, partition = 1, message = 1, error } = sizes;
  const seen = { partitions: [] as number[], columns: 0, messages: [] as number[], planned: 0 };
  class Reader extends DataSourceStreamReader<{ n: number; text: string }, string> {
    override initialOffset() {
      return { n: 0, text: text(start) };
    }
    override latestOffset() {
      return { n: 1, text: text(end) };
    }
    override reportLatestOffset() {
      return latest === undefined ? null : { n: 9, text: text(latest) };
    }
    override partitions() {
      seen.planned++;
      return [text(partition), text(partition + 1)];
    }
    override *read(value: string): Generator<Row> {
      seen.partitions.push(value.length);
      yield Object.fromEntries(Array.from({ length: columns }, (_, i) => [`${COLUMN}${i}`, i]));
    }
  }
  class Source extends DataSource {
    override schema = () => Array.from({ length: columns }, (_, i) => `${COLUMN}${i} int`).join(", ");
    override streamReader = () => new Reader();
  }
  class Writer extends DataSourceStreamWriter {
    override async write(rows: AsyncIterable<Record<string, unknown>>): Promise<JsonValue> {
      for await (const row of rows) seen.columns = Object.keys(row).length;
      return text(message);
    }
    override commit(messages: readonly unknown[]): void {
      if (error !== undefined)
        throw MillraceError.from({ code: "MINE", message: text(error), hint: text(error), where: {} });
      seen.messages = messages.map((each) => String(each).length);
    }
    override abort(): void {}
  }
  class Sink extends DataSource {
    override streamWriter = () => new Writer();
  }
  const definition = pipeline("sized").readStream.format(Source).writeStream.format(Sink);
  return { seen, definition: definition as unknown as Pipeline };
}

async function begin(sizes: Partial<Sizes>) {
  const world = new EngineWorld();
  const { seen, definition } = sized(sizes);
  const open = (owner: string): Promise<Run> => world.run(definition, owner);
  return { world, seen, open, run: await open("a") };
}

async function writeAll(run: Run) {
  const planned = await run.plan({ ended: true });
  if (planned.kind !== "batch") throw new Error("there is no batch");
  for (const partition of planned.todo) await run.write(planned, partition);
  return planned;
}

describe("a schema of 5,000 columns", () => {
  it("A schema of 5,000 columns is not in the ledger, and its batch is committed", async () => {
    const { world, seen, run } = await begin({ columns: 5000 });
    expect(await run.batch()).toMatchObject({ batch: { state: "committed" } });
    expect(seen.columns).toBe(5000);
    const batch = await world.ledger.batch("sized", 0);
    expect(batch?.schema).toBeUndefined();
    expect(JSON.stringify(batch).length).toBeLessThan(2000);
  });

  it("A small schema is in the ledger, so that its commit does not need the partitions file", async () => {
    const { world, run } = await begin({});
    const planned = await writeAll(run);
    expect((await world.ledger.batch("sized", 0))?.schema).toBeTypeOf("string");
    await run.ports.store.delete([planned.run.partitionsKey]);
    expect(await run.finalize(planned)).toMatchObject({ batch: { state: "committed" } });
  });

  it("A batch whose only copy of its schema is gone before its commit is planned anew", async () => {
    const { run, open, seen } = await begin({ columns: 5000 });
    const planned = await writeAll(run);
    await run.ports.store.delete([planned.run.partitionsKey]);
    // A process that has read the file before would still know the schema.
    const other = await open("b");
    const problem = { code: "PARTITIONS_MISSING", where: { batchId: 0, attempt: 1 } };
    await expect(other.finalize(planned)).rejects.toMatchObject(problem);
    const again = await open("c");
    const anew = await writeAll(again);
    expect(anew).toMatchObject({ batch: { attempt: 2 }, warning: { code: "PARTITIONS_MISSING" } });
    expect(await again.finalize(anew)).toMatchObject({ batch: { state: "committed" } });
    expect(seen.planned).toBe(2);
  });

  it("Vacuum does not need the schema of a batch whose partitions file it has deleted", async () => {
    const { world, run, open } = await begin({ columns: 5000 });
    await run.batch();
    world.now += 10 * 86_400_000;
    const { sessions, ports } = await open("b");
    const request = { olderThan: 0, dryRun: false };
    // The folder's files are of the real time, so only the second call could miss a file.
    const key = (await world.ledger.batch("sized", 0))?.partitionsKey ?? "";
    await ports.store.delete([key]);
    expect(await vacuum(sessions, ports, request)).toMatchObject({ staged: { files: 0 } });
  });

  it("An attempt after an abort keeps its partitions file if the schema of 5,000 columns is the same", async () => {
    const { run, open, world } = await begin({ columns: 5000, error: 1 });
    expect(await run.batch()).toMatchObject({ batch: { state: "aborted" } });
    const key = (await world.ledger.batch("sized", 0))?.partitionsKey;
    const again = await (await open("b")).plan({ ended: true });
    expect(again).toMatchObject({ batch: { attempt: 2, partitionsKey: key } });
  });
});

describe("large values", () => {
  it.each([300_000, 5_000_000])("A partition of %i bytes is read as it was planned", async (partition) => {
    const { run, seen } = await begin({ partition });
    expect(await run.batch()).toMatchObject({ batch: { state: "committed" } });
    expect(seen.partitions).toEqual([partition, partition + 1]);
  });

  it("A message of 5 MB reaches the commit", async () => {
    const { run, seen } = await begin({ message: 5_000_000 });
    expect(await run.batch()).toMatchObject({ batch: { state: "committed" } });
    expect(seen.messages).toEqual([5_000_000, 5_000_000]);
  });

  it("An error of 1 MB is cut in the ledger, and says so", async () => {
    const { run, world } = await begin({ error: 1_000_000 });
    const { failure } = (await run.batch()) ?? {};
    expect(failure?.message).toHaveLength(1_000_000);
    const { error } = (await world.ledger.batch("sized", 0)) ?? {};
    expect(JSON.stringify(error).length).toBeLessThan(14_000);
    expect(error?.message).toMatch(/^x{8000,}… \(cut: it has 1000000 characters\)$/);
    expect(error?.hint).toMatch(/^x{4000,}… \(cut: it has 1000000 characters\)$/);
  });
});

describe("an offset", () => {
  it.each([
    ["initialOffset()", { start: 1_100_000 }],
    ["latestOffset()", { end: 1_100_000 }],
    ["reportLatestOffset()", { latest: 1_100_000 }],
  ])(
    "An offset of %s that the ledger cannot store is refused before anything is planned",
    async (method, sizes) => {
      const { run, world, seen } = await begin(sizes);
      await expect(run.plan()).rejects.toMatchObject({
        code: "OFFSET_TOO_LARGE",
        message: expect.stringMatching(
          `${method.replace("()", "\\(\\)")} gave an offset of 11000\\d\\d bytes of JSON; the ledger can store 1048576`,
        ) as string,
        where: { pipeline: "sized" },
      });
      expect(seen.planned).toBe(0);
      const head = await world.ledger.head("sized");
      expect(head).toMatchObject({ nextBatchId: 0 });
      expect([head?.offset, head?.openBatchId, head?.lease]).toEqual([undefined, undefined, undefined]);
    },
  );

  it("Three offsets of 1,000,000 bytes are stored in the embedded ledger", async () => {
    const { run, world } = await begin({ start: 1_000_000, end: 1_000_000, latest: 1_000_000 });
    expect(await run.batch()).toMatchObject({ batch: { state: "committed" } });
    expect(await world.ledger.head("sized")).toMatchObject({ offset: { n: 1, text: text(1_000_000) } });
  });
});
