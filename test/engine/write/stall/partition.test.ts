import { describe, expect, it } from "vitest";
import { DataSourceReader } from "../../../../shared/contract/batch-reader.ts";
import { DataSource } from "../../../../shared/contract/data-source.ts";
import { GreaterThan } from "../../../../shared/contract/filters.ts";
import { type Pipeline, pipeline } from "../../../../shared/contract/pipeline.ts";
import type { NamedRow, Row } from "../../../../shared/contract/stream-reader.ts";
import { DataSourceStreamWriter } from "../../../../shared/contract/stream-writer.ts";
import type { StalledTask } from "../../../../shared/engine/ports/run-events.ts";
import { write } from "../../../../shared/engine/write/task.ts";
import { stallPolicyOf } from "../../../../shared/engine/write/watch.ts";
import { Clock } from "../../../support/clock.ts";
import { EngineWorld } from "../../../support/engine.ts";
import { inMemory, MINUTE, rowsEach, Scene } from "./scene.ts";

describe("a stalled source", () => {
  it("A stalled source is reported once, with its place, partition, offsets and number of rows", async () => {
    const scene: Scene = new Scene({
      async *rows() {
        for (const n of [0, 1, 2]) yield { n };
        await scene.sleep(60 * MINUTE);
        yield { n: 3 };
      },
    });
    const { ended } = await scene.begin();
    await scene.clock.pass(5 * MINUTE);
    expect(scene.stalled).toEqual([]);
    await scene.clock.pass(50 * MINUTE);
    expect(scene.stalled).toEqual([
      {
        where: { pipeline: "numbers", batchId: 0, partition: 0, attempt: 1, attemptNumber: 0 },
        waitsFor: "source",
        milliseconds: 5 * MINUTE,
        rows: 3,
        bytes: 0,
        value: { from: 0, to: 9 },
        start: { n: 0 },
        end: { n: 9 },
        fails: false,
        message:
          'the source has given nothing for 300 s, after 3 rows of the partition {"from":0,"to":9}, offsets {"n":0} to {"n":9}',
      },
    ]);
    await scene.clock.pass(10 * MINUTE);
    expect(await ended).toMatchObject({ rows: 4, won: true });
    expect(scene.signals[0]?.aborted).toBe(false);
  });

  it("A stalled source is reported again only after it has returned a row", async () => {
    const scene: Scene = new Scene({ rows: (task) => rowsEach(() => scene, 3, 12 * MINUTE)(task) });
    const { ended } = await scene.begin();
    await scene.clock.pass(36 * MINUTE);
    await ended;
    expect(scene.stalled.map(({ rows, waitsFor }) => [rows, waitsFor])).toEqual([
      [0, "source"],
      [1, "source"],
      [2, "source"],
    ]);
  });

  it("A report of a stall shortens a long partition and long offsets", async () => {
    const scene: Scene = new Scene({
      partition: { files: Array.from({ length: 1000 }, (_, i) => `file ${i}`) },
      rows: (task) => rowsEach(() => scene, 1, 60 * MINUTE)(task),
    });
    await scene.begin();
    await scene.clock.pass(6 * MINUTE);
    const { value, message } = scene.stalled[0] ?? {};
    expect(value).toMatch(/^\{"files":\["file 0",.*…$/);
    expect(value).toHaveLength(1024);
    expect(message).toContain(`the partition ${String(value)}, offsets`);
  });
});

describe("a stalled sink", () => {
  it("A stalled sink is told apart from a stalled source", async () => {
    const scene: Scene = new Scene({
      rows: (task) => rowsEach(() => scene, 2, 0)(task),
      async takeBatches(batches) {
        for await (const _ of batches) await scene.sleep(8 * MINUTE);
      },
    });
    const { ended } = await scene.begin();
    await scene.clock.pass(8 * MINUTE);
    await ended;
    expect(scene.stalled).toMatchObject([{ waitsFor: "sink", rows: 2, bytes: 16, milliseconds: 5 * MINUTE }]);
  });

  it("A stalled sink is noticed also before its first row and after its last one", async () => {
    const scene: Scene = new Scene({
      rows: (task) => rowsEach(() => scene, 2, 0)(task),
      async take(rows) {
        await scene.sleep(6 * MINUTE);
        await Array.fromAsync(rows);
        await scene.sleep(6 * MINUTE);
      },
    });
    const { ended } = await scene.begin();
    await scene.clock.pass(13 * MINUTE);
    await ended;
    expect(scene.stalled.map(({ waitsFor, rows }) => [waitsFor, rows])).toEqual([
      ["sink", 0],
      ["sink", 2],
    ]);
  });
});

describe("a slow partition", () => {
  it("A slow partition has not stalled while rows come one by one, though no record batch is full", async () => {
    const scene: Scene = new Scene({ rows: (task) => rowsEach(() => scene, 10, 4 * MINUTE)(task) });
    const { ended } = await scene.begin();
    await scene.clock.pass(40 * MINUTE);
    expect((await ended).rows).toBe(10);
    expect(scene.stalled).toEqual([]);
  });

  it("A slow partition has not stalled while the sink takes rows one by one", async () => {
    const scene: Scene = new Scene({
      rows: (task) => rowsEach(() => scene, 10, 0)(task),
      async take(rows) {
        for await (const _ of rows) await scene.sleep(4 * MINUTE);
      },
    });
    const { ended } = await scene.begin();
    await scene.clock.pass(41 * MINUTE);
    expect((await ended).rows).toBe(10);
    expect(scene.stalled).toEqual([]);
  });

  it("A slow partition has not stalled while a filter drops all rows of the source", async () => {
    const clock = new Clock();
    class Reader extends DataSourceReader {
      override partitions(): null[] {
        return [null];
      }
      override async *read(): AsyncGenerator<Row> {
        for (let n = 0; n < 10; n++) {
          await clock.runtime.sleep(4 * MINUTE);
          yield { n };
        }
      }
    }
    class Source extends DataSource {
      override schema(): string {
        return "n bigint NOT NULL";
      }
      override reader(): Reader {
        return new Reader();
      }
    }
    class Writer extends DataSourceStreamWriter<null> {
      override async write(rows: AsyncIterable<NamedRow>): Promise<null> {
        await Array.fromAsync(rows);
        return null;
      }
      override commit(): void {}
      override abort(): void {}
    }
    class Sink extends DataSource {
      override writer(): Writer {
        return new Writer();
      }
    }
    const definition = pipeline("numbers")
      .read.format(Source)
      .filter(new GreaterThan(["n"], 100))
      .write.format(Sink)
      .mode("append") as unknown as Pipeline;
    const run = await new EngineWorld().run(definition, "a", inMemory(clock));
    const planned = await run.plan();
    if (planned.kind !== "batch") throw new Error("there is no batch");
    const stalled: StalledTask[] = [];
    const ended = write(
      run.sessions,
      run.ports,
      { run: planned.run, partition: 0, attemptNumber: 0 },
      {
        signal: new AbortController().signal,
        watch: { stall: stallPolicyOf(definition), onStalled: (each) => stalled.push(each) },
      },
    );
    await clock.pass(41 * MINUTE);
    expect(await ended).toMatchObject({ rows: 0 });
    expect(stalled).toEqual([]);
  });
});
