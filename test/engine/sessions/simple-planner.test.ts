import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import {
  type Row,
  SimpleDataSourceStreamReader,
  type SimpleRead,
} from "../../../shared/contract/stream-reader.ts";
import { DataSourceStreamWriter } from "../../../shared/contract/stream-writer.ts";
import { vacuum } from "../../../shared/engine/vacuum.ts";
import { EngineWorld } from "../../support/engine.ts";

type Position = { n: number };

/**
 * Returns a pipeline from a simple source of whole numbers, four per read, to a sink that keeps
 * committed rows.
 */
function simple(overrides: Partial<SimpleDataSourceStreamReader<Position>> = {}) {
  const calls: string[] = [];
  const committed: string[][] = [];
  /**
   * A test can change these settings. `word` is in each row, so that it shows when the row was
   * read.
   */
  const script = { available: 8, word: "first", commitFails: false };
  const rowsOf = function* ({ n }: Position, end: Position): Generator<Row> {
    for (let id = n; id < end.n; id++) yield { text: `${script.word} ${id}` };
  };
  class Reader extends SimpleDataSourceStreamReader<Position> {
    override initialOffset() {
      calls.push("initialOffset");
      return { n: 0 };
    }
    override read(start: Position) {
      calls.push(`read ${start.n}`);
      const offset = { n: Math.min(start.n + 4, script.available) };
      return { rows: rowsOf(start, offset), offset };
    }
    override readBetweenOffsets(start: Position, end: Position) {
      calls.push(`readBetweenOffsets ${start.n} ${end.n}`);
      return rowsOf(start, end);
    }
    override commit(end: Position) {
      calls.push(`commit ${end.n}`);
    }
  }
  class Source extends DataSource {
    override schema() {
      return "text string";
    }
    override simpleStreamReader() {
      return Object.assign(new Reader(), overrides);
    }
  }
  class Writer extends DataSourceStreamWriter<string[]> {
    override async write(rows: AsyncIterable<Row>) {
      const texts: string[] = [];
      for await (const row of rows) texts.push(String((row as { text: unknown }).text));
      return texts;
    }
    override commit(messages: readonly (string[] | null)[]) {
      if (script.commitFails) throw new Error("the table is locked");
      committed.push(messages.flatMap((texts) => texts ?? []));
    }
    override abort() {
      calls.push("abort");
    }
  }
  class Sink extends DataSource {
    override streamWriter() {
      return new Writer();
    }
  }
  const definition = pipeline("numbers").readStream.format(Source).writeStream.format(Sink);
  return { calls, committed, script, definition: definition as unknown as Pipeline };
}

const texts = (word: string, from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `${word} ${from + i}`);

const keysIn = async (world: EngineWorld) => {
  const keys: string[] = [];
  for await (const { key } of world.ports().store.list("batches/")) keys.push(key);
  return keys;
};

describe("a simple reader", () => {
  it("A simple reader is read once per batch, in planning, and told of each committed end", async () => {
    const { calls, committed, definition } = simple();
    const run = await new EngineWorld().run(definition, "a");
    for (let i = 0; i < 3; i++) await run.batch();
    expect(committed).toEqual([texts("first", 0, 4), texts("first", 4, 8)]);
    expect(calls).toEqual(["initialOffset", "read 0", "commit 4", "read 4", "commit 8", "read 8"]);
  });

  it("A simple reader has one task per batch, whose partition is the range", async () => {
    const { definition } = simple();
    const run = await new EngineWorld().run(definition, "a");
    const planned = await run.plan();
    expect(planned).toMatchObject({ todo: [0], batch: { tasks: 1, start: { n: 0 }, end: { n: 4 } } });
    expect(await run.write(planned, 0)).toMatchObject({ rows: 4 });
  });

  it("A simple reader is not asked again by a replay, which writes the rows that were read", async () => {
    const { calls, committed, script, definition } = simple();
    const world = new EngineWorld();
    script.commitFails = true;
    const failed = await (await world.run(definition, "a")).batch();
    expect(failed?.batch.state).toBe("aborted");
    script.commitFails = false;
    script.word = "second";
    world.now += 120_000;
    const ended = await (await world.run(definition, "b")).batch();
    expect(ended?.batch).toMatchObject({ batchId: 0, attempt: 2, state: "committed" });
    expect(committed).toEqual([texts("first", 0, 4)]);
    expect(calls).toEqual(["initialOffset", "read 0", "abort", "commit 4"]);
  });

  it("A simple reader has its rows stored before the batch is recorded, so that a kill loses none", async () => {
    const { calls, committed, script, definition } = simple();
    const world = new EngineWorld();
    await (await world.run(definition, "a")).plan();
    script.word = "second";
    world.now += 120_000;
    await (await world.run(definition, "b")).batch();
    expect(committed).toEqual([texts("first", 0, 4)]);
    expect(calls).toEqual(["initialOffset", "read 0", "commit 4"]);
  });

  it("A simple reader is asked for the range again if the store has lost its rows", async () => {
    const { calls, committed, script, definition } = simple();
    const world = new EngineWorld();
    const run = await world.run(definition, "a");
    const planned = await run.plan();
    const kept = (await keysIn(world)).filter((key) => key.endsWith(".arrow"));
    expect(kept).toHaveLength(1);
    await run.ports.store.delete(kept);
    script.word = "second";
    await run.write(planned, 0);
    await run.finalize(planned);
    expect(committed).toEqual([texts("second", 0, 4)]);
    expect(calls).toEqual(["initialOffset", "read 0", "readBetweenOffsets 0 4", "commit 4"]);
  });

  it.each([
    ["emptied", () => new Uint8Array()],
    ["cut off", (bytes: Uint8Array) => bytes.subarray(0, -20)],
    ["replaced by garbage", (bytes: Uint8Array) => bytes.map(() => 7)],
  ])(
    "A simple reader is asked for the range again if its rows file was %s, with a warning",
    async (_what, change) => {
      const { calls, committed, script, definition } = simple();
      const world = new EngineWorld();
      const run = await world.run(definition, "a");
      await run.plan();
      const [key = ""] = (await keysIn(world)).filter((name) => name.endsWith(".arrow"));
      const bytes = (await run.ports.store.get(key)) ?? new Uint8Array();
      await run.ports.store.delete([key]);
      await run.ports.store.put(key, change(bytes));
      script.word = "second";
      world.now += 120_000;
      const next = await world.run(definition, "b");
      const planned = await next.plan();
      expect(planned).toMatchObject({
        loss: {
          code: "STAGED_FILE_MISSING",
          message: expect.stringMatching(
            `the rows file ${key} is damaged: .*: the source is asked`,
          ) as string,
          where: { path: `${run.ports.store.location}/${key}` },
        },
      });
      await next.write(planned, 0);
      await next.finalize(planned);
      expect(committed).toEqual([texts("second", 0, 4)]);
      expect(calls).toContain("readBetweenOffsets 0 4");
    },
  );

  it("A simple reader is asked for the range again if the file of its partitions is lost", async () => {
    const { calls, committed, script, definition } = simple();
    const world = new EngineWorld();
    const run = await world.run(definition, "a");
    await run.plan();
    await run.ports.store.delete(await keysIn(world));
    script.word = "second";
    world.now += 120_000;
    const next = await world.run(definition, "b");
    const planned = await next.plan();
    expect(planned).toMatchObject({
      todo: [0],
      batch: { batchId: 0, start: { n: 0 }, end: { n: 4 } },
      warning: { code: "PARTITIONS_MISSING" },
    });
    await next.write(planned, 0);
    await next.finalize(planned);
    expect(committed).toEqual([texts("second", 0, 4)]);
    expect(calls).toEqual(["initialOffset", "read 0", "readBetweenOffsets 0 4", "commit 4"]);
  });

  it("Vacuum keeps the rows of a simple reader while the batch is open, and removes them after it", async () => {
    const { definition } = simple();
    const world = new EngineWorld();
    const run = await world.run(definition, "a");
    await run.plan();
    // The lease expires and another run takes over, so the first plan belongs to an earlier epoch.
    world.now += 120_000;
    const planned = await (await world.run(definition, "b")).plan();
    // The files have the time of the machine, so the clock of the test moves beyond it.
    world.now = Date.UTC(2100, 0, 1);
    const all = { olderThan: 0, dryRun: false };
    expect((await vacuum(run.sessions, run.ports, all)).planned.files).toBe(0);
    expect(await keysIn(world)).toHaveLength(2);
    await run.write(planned, 0);
    await (await world.run(definition, "b")).finalize(planned);
    expect((await vacuum(run.sessions, run.ports, all)).planned.files).toBe(2);
    expect(await keysIn(world)).toEqual([]);
  });

  it("A simple reader stores no rows if it has no new data", async () => {
    const { script, definition } = simple();
    script.available = 0;
    const world = new EngineWorld();
    expect((await (await world.run(definition, "a")).plan()).kind).toBe("idle");
    expect(await keysIn(world)).toEqual([]);
  });

  it("A simple reader may move on without rows", async () => {
    const { committed, definition } = simple({ read: ({ n }) => ({ rows: [], offset: { n: n + 1 } }) });
    const world = new EngineWorld();
    await (await world.run(definition, "a")).batch();
    expect(committed).toEqual([[]]);
    expect(await world.ledger.head("numbers")).toMatchObject({ offset: { n: 1 } });
  });

  it("A simple reader may return its rows lazily and as record batches", async () => {
    const schema = parseDdl("text string");
    const { committed, definition } = simple({
      read: () => ({
        rows: (async function* () {
          yield ["a"];
          yield recordBatchOf(schema, [["b"], ["c"]]);
        })(),
        offset: { n: 3 },
      }),
    });
    await (await new EngineWorld().run(definition, "a")).batch();
    expect(committed).toEqual([["a", "b", "c"]]);
  });
});

describe("the result of a simple reader", () => {
  const start = { n: 0 };
  const schema = parseDdl("text string");
  const failing: Iterable<Row> = {
    // biome-ignore lint/correctness/useYield: it fails before its first row.
    *[Symbol.iterator]() {
      throw new TypeError("no such file");
    },
  };
  it.each<readonly [string, unknown, object]>([
    [
      "rows whose end is their start",
      { rows: [["a"]], offset: start },
      {
        code: "SIMPLE_STREAM_READER_OFFSET_DID_NOT_ADVANCE",
        message: 'read(start) gave rows, but as their end the start itself: {"n":0}',
      },
    ],
    [
      "no rows and offset",
      [["a"]],
      {
        code: "READ_NOT_ITERABLE",
        message: "read(start) must give { rows, offset }, but gave an array of 1",
        hint: expect.stringContaining("return { rows, offset }") as string,
      },
    ],
    [
      "an end of another name",
      { rows: [["a"]], end: { n: 1 } },
      {
        code: "READ_NOT_ITERABLE",
        message: "read(start) must give { rows, offset }, but gave an object of rows, end, without offset",
      },
    ],
    [
      "neither",
      {},
      { message: "read(start) must give { rows, offset }, but gave an object, without rows and offset" },
    ],
    [
      "an offset before its start",
      { rows: [], offset: { n: -1 } },
      { code: "OFFSET_WENT_BACK", message: /^read\(start\) gave {"n":-1}, which is before/ },
    ],
    ["rows that are none", { rows: 5, offset: { n: 1 } }, { code: "READ_NOT_ITERABLE" }],
    ["an offset that is none", { rows: [], offset: 1 }, { code: "OFFSET_NOT_JSON" }],
    [
      "a row that does not fit",
      { rows: [["a"], [5]], offset: { n: 2 } },
      { code: "ROW_MISMATCH", where: { pipeline: "numbers", row: 2, field: "text" } },
    ],
    [
      "rows that fail",
      { rows: failing, offset: { n: 2 } },
      { code: "SOURCE_FAILED", message: "read() failed: TypeError", where: { pipeline: "numbers" } },
    ],
  ])(
    "A read of a simple reader is refused if it returns %s, and no batch is planned",
    async (_, read, error) => {
      const { definition } = simple({ read: () => read as SimpleRead<Position> });
      const world = new EngineWorld();
      await expect((await world.run(definition, "a")).plan()).rejects.toMatchObject(error);
      expect(await world.ledger.head("numbers")).not.toHaveProperty("openBatchId");
    },
  );

  it("A read of a simple reader may return a record batch without rows that ends at its start", async () => {
    const read = () => ({ rows: [recordBatchOf(schema, [])], offset: start });
    const { definition } = simple({ read });
    expect((await (await new EngineWorld().run(definition, "a")).plan()).kind).toBe("idle");
  });

  it("A read of a simple reader that fails is an error without the thrown message", async () => {
    const { definition } = simple({
      read: () => {
        throw new RangeError("row 5 is secret");
      },
    });
    await expect((await new EngineWorld().run(definition, "a")).plan()).rejects.toMatchObject({
      code: "SOURCE_FAILED",
      message: "read() failed: RangeError",
    });
  });
});

describe("a data source with neither reader", () => {
  it("A data source with neither reader is refused, and the error names both methods", async () => {
    class Nothing extends DataSource {
      override schema() {
        return "text string";
      }
    }
    const definition = pipeline("numbers").readStream.format(Nothing).writeStream.format(Nothing);
    const run = await new EngineWorld().run(definition as unknown as Pipeline, "a");
    await expect(run.plan()).rejects.toMatchObject({
      code: "NOT_SUPPORTED",
      message: 'data source "Nothing" has no streamReader(schema)',
      hint: expect.stringContaining("simpleStreamReader(schema)") as string,
    });
  });
});
