import type { RecordBatch } from "apache-arrow";
import { describe, expect, it, onTestFinished } from "vitest";
import { DataSourceReader } from "../../../../shared/contract/batch-reader.ts";
import type { BatchContext, TaskContext } from "../../../../shared/contract/context.ts";
import { DataSource } from "../../../../shared/contract/data-source.ts";
import { GreaterThan } from "../../../../shared/contract/filters.ts";
import { type Pipeline, pipeline, type StallPolicy } from "../../../../shared/contract/pipeline.ts";
import {
  DataSourceStreamReader,
  type NamedRow,
  type Row,
} from "../../../../shared/contract/stream-reader.ts";
import {
  DataSourceStreamArrowWriter,
  DataSourceStreamWriter,
} from "../../../../shared/contract/stream-writer.ts";
import type { BatchRun, Ledger, RunningTask } from "../../../../shared/engine/ports/ledger.ts";
import type { StalledTask } from "../../../../shared/engine/ports/run-events.ts";
import type { Ports } from "../../../../shared/engine/ports/runtime.ts";
import { type TaskResult, write } from "../../../../shared/engine/write/task.ts";
import { stallPolicyOf } from "../../../../shared/engine/write/watch.ts";
import { MemoryStore, memoryObjects } from "../../../../shared/platform/memory/memory-store.ts";
import { Clock } from "../../../support/clock.ts";
import { EngineWorld, type Run } from "../../../support/engine.ts";

const MINUTE = 60_000;

/** Disks need turns of the event loop that a test cannot count. */
function inMemory({ runtime }: Clock): Pick<Ports, "runtime" | "store"> {
  return { runtime, store: new MemoryStore(memoryObjects(() => runtime.now())) };
}

/** What a task's source and sink do, step by step, in a test. */
interface Part {
  /** Rows of the partition; each may wait for the clock. */
  rows(task: TaskContext): AsyncIterable<Row>;
  /** Takes the rows; may wait for the clock. */
  take?(rows: AsyncIterable<NamedRow>, task: TaskContext): Promise<void>;
  /** The same for record batches. */
  takeBatches?(batches: AsyncIterable<RecordBatch>, task: TaskContext): Promise<void>;
  /** The partition, as the source plans it. */
  readonly partition?: object;
}

/** A stream of one batch and one partition, offsets 0 to 9. */
class Scene {
  readonly clock = new Clock();
  readonly stalled: StalledTask[] = [];
  readonly running: RunningTask[] = [];
  readonly dropped: unknown[] = [];
  readonly signals: AbortSignal[] = [];
  readonly world = new EngineWorld();
  /** Tells the task that was begun last to stop. */
  stop: () => void = () => undefined;
  readonly #part: Part;
  #batch: BatchRun | undefined;
  #run: Run | undefined;

  constructor(part: Part) {
    this.#part = part;
  }

  get pipeline(): Pipeline {
    const part = this.#part;
    const { dropped, signals } = this;
    class Reader extends DataSourceStreamReader<{ n: number }, object> {
      override initialOffset(): { n: number } {
        return { n: 0 };
      }
      override latestOffset(): { n: number } {
        return { n: 9 };
      }
      override partitions(): object[] {
        return [part.partition ?? { from: 0, to: 9 }];
      }
      override read(_: object, task: TaskContext): AsyncIterable<Row> {
        signals.push(task.signal);
        return part.rows(task);
      }
    }
    class Rows extends DataSourceStreamWriter<string> {
      override async write(rows: AsyncIterable<NamedRow>, task: TaskContext): Promise<string> {
        if (part.take === undefined) await Array.fromAsync(rows);
        else await part.take(rows, task);
        return "staged";
      }
      override commit(): void {}
      override abort(): void {}
      abortTask(message: unknown): void {
        dropped.push(message);
      }
    }
    class Batches extends DataSourceStreamArrowWriter<string> {
      override async write(batches: AsyncIterable<RecordBatch>, task: TaskContext): Promise<string> {
        await part.takeBatches?.(batches, task);
        return "staged";
      }
      override commit(_messages: readonly (string | null)[], _batchId: number, _batch: BatchContext): void {}
      override abort(): void {}
    }
    class Source extends DataSource {
      override schema(): string {
        return "n bigint NOT NULL";
      }
      override streamReader(): Reader {
        return new Reader();
      }
    }
    class Sink extends DataSource {
      override streamWriter(): Rows | Batches {
        return part.takeBatches === undefined ? new Rows() : new Batches();
      }
    }
    return pipeline("numbers").readStream.format(Source).writeStream.format(Sink) as unknown as Pipeline;
  }

  /** Begins an attempt of the task. */
  async begin(
    stall: Partial<StallPolicy> = {},
    attemptNumber = 0,
    ledger: Ledger = this.world.ledger,
  ): Promise<{ readonly ended: Promise<TaskResult> }> {
    this.#run ??= await this.world.run(this.pipeline, "a", { ...inMemory(this.clock), ledger });
    const { sessions, ports } = this.#run;
    if (this.#batch === undefined) {
      const planned = await this.#run.plan();
      if (planned.kind !== "batch") throw new Error("there is no batch");
      this.#batch = planned.run;
    }
    const stopping = new AbortController();
    this.stop = () => stopping.abort();
    onTestFinished(this.stop);
    const ended = write(
      sessions,
      ports,
      { run: this.#batch, partition: 0, attemptNumber },
      {
        signal: stopping.signal,
        watch: {
          stall: stallPolicyOf(sessions.pipeline, stall),
          onRunning: (running) => this.running.push(running),
          onStalled: (stalled) => this.stalled.push(stalled),
        },
      },
    );
    ended.catch(() => undefined);
    return { ended };
  }

  /** What the ledger has of tasks that run. */
  async told(): Promise<readonly RunningTask[]> {
    if (this.#batch === undefined) return [];
    return await this.world.ledger.progress(this.#batch);
  }

  readonly sleep = (milliseconds: number) => this.clock.runtime.sleep(milliseconds);
}

/** A part that gives `count` rows, and waits before each of them. */
function rowsEach(scene: () => Scene, count: number, milliseconds: number): Part["rows"] {
  return async function* () {
    for (let n = 0; n < count; n++) {
      await scene().sleep(milliseconds);
      yield { n };
    }
  };
}

describe("a partition whose source gives nothing", () => {
  it("is reported once, with its place, its partition, the batch's offsets and the rows so far", async () => {
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

  it("is reported again only after it has given a row", async () => {
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

  it("has its partition and offsets cut where they are long", async () => {
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

describe("a partition whose sink takes nothing", () => {
  it("is told apart from one whose source gives nothing", async () => {
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

  it("is noticed also before its first row, and after its last one", async () => {
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

describe("a partition that is only slow", () => {
  it("has not stalled while rows come one by one, though no record batch is full", async () => {
    const scene: Scene = new Scene({ rows: (task) => rowsEach(() => scene, 10, 4 * MINUTE)(task) });
    const { ended } = await scene.begin();
    await scene.clock.pass(40 * MINUTE);
    expect((await ended).rows).toBe(10);
    expect(scene.stalled).toEqual([]);
  });

  it("has not stalled while the sink takes rows one by one", async () => {
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

  it("has not stalled while a filter leaves out all that the source gives", async () => {
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

describe("a task that is to fail where it stalls", () => {
  const FAIL = { after: "2 minutes", fail: true };

  it("fails with what stalled and where, and may be tried again", async () => {
    const scene: Scene = new Scene({
      async *rows({ attemptNumber }) {
        for (let n = 0; n < 3; n++) yield { n };
        if (attemptNumber === 0) await new Promise(() => undefined);
      },
    });
    const first = await scene.begin(FAIL);
    await scene.clock.pass(3 * MINUTE);
    await expect(first.ended).rejects.toMatchObject({
      code: "PARTITION_STALLED",
      message:
        'the source has given nothing for 120 s, after 3 rows of the partition {"from":0,"to":9}, offsets {"n":0} to {"n":9}',
      where: { pipeline: "numbers", batchId: 0, partition: 0, attempt: 1, attemptNumber: 0 },
      retryable: true,
    });
    expect(scene.signals[0]?.aborted).toBe(true);
    expect(scene.stalled).toMatchObject([{ waitsFor: "source", fails: true }]);
    const second = await scene.begin(FAIL, 1);
    await scene.clock.pass(1000);
    expect(await second.ended).toMatchObject({ rows: 3, won: true });
  });

  it("leaves a sink behind that does not heed its signal, and drops what it stages in the end", async () => {
    const scene: Scene = new Scene({
      rows: (task) => rowsEach(() => scene, 3, 0)(task),
      async take(rows, { attemptNumber }) {
        await Array.fromAsync(rows);
        if (attemptNumber === 0) await scene.sleep(60 * MINUTE);
      },
    });
    const first = await scene.begin(FAIL);
    await scene.clock.pass(2 * MINUTE + 4000);
    const second = scene.begin(FAIL, 1);
    await scene.clock.pass(2000);
    await expect(first.ended).rejects.toMatchObject({
      code: "PARTITION_STALLED",
      message: expect.stringContaining("the sink has taken nothing for 120 s, after 3 rows") as string,
      hint: expect.stringContaining("Look whether the sink answers") as string,
    });
    expect(await (await second).ended).toMatchObject({ won: true });
    expect(scene.dropped).toEqual([]);
    await scene.clock.pass(60 * MINUTE);
    expect(scene.dropped).toEqual(["staged"]);
  });

  it("lets a sink end that heeds its signal", async () => {
    const scene: Scene = new Scene({
      rows: (task) => rowsEach(() => scene, 3, 0)(task),
      async take(rows, { signal }) {
        await Array.fromAsync(rows);
        await new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(new Error("stopped"))),
        );
      },
    });
    const { ended } = await scene.begin(FAIL);
    await scene.clock.pass(2 * MINUTE + 1000);
    await expect(ended).rejects.toMatchObject({ code: "PARTITION_STALLED" });
  });
});

describe("a task that runs for long", () => {
  it("tells the ledger each ten seconds how far it is and when rows moved last", async () => {
    const scene: Scene = new Scene({ rows: (task) => rowsEach(() => scene, 5, 5000)(task) });
    const startedAt = scene.clock.now;
    const { ended } = await scene.begin();
    await scene.clock.pass(9900);
    expect(await scene.told()).toEqual([]);
    await scene.clock.pass(100);
    expect(await scene.told()).toEqual([
      {
        partition: 0,
        attemptNumber: 0,
        startedAt,
        rows: expect.any(Number) as number,
        bytes: 0,
        waitsFor: "source",
        progressedAt: expect.any(Number) as number,
        reportedAt: startedAt + 10_000,
      },
    ]);
    await scene.clock.pass(10_000);
    const [running] = await scene.told();
    expect(running).toMatchObject({ reportedAt: startedAt + 20_000 });
    expect(running?.rows).toBeGreaterThanOrEqual(3);
    expect(running?.progressedAt).toBeGreaterThanOrEqual(startedAt + 15_000);
    expect(scene.running).toHaveLength(2);
    await scene.clock.pass(6000);
    expect((await ended).rows).toBe(5);
  });

  it("goes on where the ledger cannot be told", async () => {
    const scene: Scene = new Scene({ rows: (task) => rowsEach(() => scene, 3, 10_000)(task) });
    const ledger = new Proxy(scene.world.ledger, {
      get(target, name) {
        if (name === "reportProgress")
          return async () => {
            throw new Error("throttled");
          };
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const { ended } = await scene.begin({}, 0, ledger);
    await scene.clock.pass(31_000);
    expect(await ended).toMatchObject({ rows: 3, won: true });
    expect(scene.running.length).toBeGreaterThan(1);
  });

  it("tells nothing once it was told to stop, though its sink does not heed it", async () => {
    const scene: Scene = new Scene({
      rows: (task) => rowsEach(() => scene, 3, 0)(task),
      take: () => new Promise(() => undefined),
    });
    await scene.begin();
    await scene.clock.pass(MINUTE);
    const before = scene.running.length;
    expect(before).toBe(6);
    scene.stop();
    await scene.clock.pass(10 * MINUTE);
    expect(scene.running).toHaveLength(before);
    expect(scene.stalled).toEqual([]);
  });

  it("tells nothing once it has ended, and nothing at all where it is short", async () => {
    const scene: Scene = new Scene({ rows: (task) => rowsEach(() => scene, 3, 1000)(task) });
    const { ended } = await scene.begin();
    await scene.clock.pass(4000);
    await ended;
    await scene.clock.pass(10 * MINUTE);
    expect(await scene.told()).toEqual([]);
    expect(scene.running).toEqual([]);
    expect(scene.stalled).toEqual([]);
  });
});

describe("what counts as a stall", () => {
  it("is as the run asks, else as the pipeline says, else five minutes, which are only reported", () => {
    expect(stallPolicyOf({})).toEqual({ after: "5 minutes", fail: false });
    const stall = { after: "10 minutes", fail: true };
    expect(stallPolicyOf({ stall })).toEqual(stall);
    expect(stallPolicyOf({ stall }, { after: "1s" })).toEqual({ after: "1s", fail: true });
    expect(stallPolicyOf({}, { fail: true })).toEqual({ after: "5 minutes", fail: true });
  });
});
