import type { RecordBatch, Schema } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { DataSourceReader } from "../../../shared/contract/batch-reader.ts";
import {
  DataSourceArrowWriter,
  DataSourceWriter,
  type SaveMode,
  type SupportsExists,
  type Writer,
} from "../../../shared/contract/batch-writer.ts";
import type { BatchContext, TaskContext } from "../../../shared/contract/context.ts";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { EqualTo, type Filter, GreaterThan, LessThan } from "../../../shared/contract/filters.ts";
import {
  checkTrigger,
  type Pipeline,
  pipeline,
  type Trigger,
  triggerOf,
} from "../../../shared/contract/pipeline.ts";
import type { NamedRow, Row } from "../../../shared/contract/stream-reader.ts";
import {
  DataSourceStreamArrowWriter,
  DataSourceStreamWriter,
} from "../../../shared/contract/stream-writer.ts";
import type { Ledger } from "../../../shared/engine/ports/ledger.ts";
import { openSessions } from "../../../shared/engine/sessions/open-sessions.ts";
import { type Call, EngineWorld, type Run } from "../../support/engine.ts";

type Slice = { from: number; to: number };
type Message = { partition: number; rows: NamedRow[] };

/** What a test may change of the source and the sink while they run. */
interface Script {
  readonly calls: Call[];
  slices: readonly Slice[];
  /** Called at each call; what it throws, the call throws. */
  fault: (call: string, args: unknown) => void;
  /** Filters that the source takes over, by what they are; and then heeds or not. */
  keeps: (filter: Filter) => boolean;
  heeds: boolean;
  row: (id: number) => Row;
  form: "arrow" | "rows" | "stream arrow" | "stream rows";
  isThere: boolean | undefined;
  mode: SaveMode;
  schema: string;
  givenSchema: string | undefined;
  filters: readonly Filter[];
}

/** A source of whole numbers, in two partitions, and a table that is held in memory, as a sink whose commits recognise their batch. */
class Desk {
  readonly world: EngineWorld = new EngineWorld();
  readonly script: Script;
  readonly table: { incarnation: string; batchId: number; rows: NamedRow[] }[] = [];

  constructor(overrides: Partial<Script> = {}) {
    this.script = {
      calls: [],
      slices: [
        { from: 0, to: 2 },
        { from: 2, to: 4 },
      ],
      fault: () => undefined,
      keeps: () => false,
      heeds: true,
      row: (id) => ({ id }),
      form: "arrow",
      isThere: false,
      mode: "append",
      schema: "id bigint",
      givenSchema: undefined,
      filters: [],
      ...overrides,
    };
  }

  get ids(): unknown[] {
    return this.table.flatMap(({ rows }) => rows.map((row) => row["id"]));
  }

  get names(): string[] {
    return this.script.calls.map(({ call }) => call);
  }

  args(name: string): unknown[] {
    return this.script.calls.filter(({ call }) => call === name).map(({ args }) => args);
  }

  called(call: string, args: unknown = null): void {
    this.script.calls.push({ call, args });
    this.script.fault(call, args);
  }

  get pipeline(): Pipeline {
    const { filters, givenSchema, mode } = this.script;
    const reading = pipeline("numbers").read.format(sourceOf(this));
    const known = givenSchema === undefined ? reading : reading.schema(givenSchema);
    return plain(
      known
        .filter(...filters)
        .write.format(sinkOf(this))
        .mode(mode),
    );
  }

  async run(owner: string, overrides: Parameters<EngineWorld["run"]>[2] = {}): Promise<Run> {
    return await this.world.run(this.pipeline, owner, overrides);
  }
}

const plain = (definition: unknown): Pipeline => definition as Pipeline;

function sourceOf(desk: Desk) {
  const { script } = desk;
  class Reader extends DataSourceReader<Slice> {
    #kept: readonly Filter[] = [];

    override pushFilters(filters: readonly Filter[]) {
      desk.called("pushFilters", filters);
      this.#kept = filters.filter(script.keeps);
      return filters.filter((filter) => !this.#kept.includes(filter));
    }
    override partitions() {
      desk.called("partitions", this.#kept);
      return script.slices;
    }
    override *read(slice: Slice): Generator<Row> {
      desk.called("read", slice);
      const heeded = script.heeds ? this.#kept : [];
      const least = heeded.map((filter) => (filter.kind === "GreaterThan" ? Number(filter.value) : -1));
      for (let id = slice.from; id < slice.to; id++)
        if (least.every((bound) => id > bound)) yield script.row(id);
    }
  }
  class Numbers extends DataSource {
    override schema() {
      desk.called("schema");
      return script.schema;
    }
    override reader() {
      return new Reader();
    }
  }
  return Numbers;
}

function sinkOf(desk: Desk) {
  class Table extends DataSource {
    override writer(_: Schema, overwrite: boolean) {
      return writerOf(desk, overwrite);
    }
  }
  return Table;
}

function writerOf(desk: Desk, overwrite: boolean): Writer<Message> {
  const { script, table } = desk;
  desk.called("writer", { overwrite });
  const written = (rows: NamedRow[], { partitionId }: TaskContext): Message => {
    desk.called("write", { partition: partitionId, ids: idsOf(rows) });
    return { partition: partitionId, rows };
  };
  const writeBatches = async (source: AsyncIterable<RecordBatch>, task: TaskContext) =>
    written(
      (await Array.fromAsync(source)).flatMap((batch) => [...rowsOf(batch)]),
      task,
    );
  const writeRows = async (source: AsyncIterable<NamedRow>, task: TaskContext) =>
    written(await Array.fromAsync(source), task);
  type End = (messages: readonly (Message | null)[], batch: BatchContext) => void;
  const commit: End = (messages, { incarnation, batchId, attempt }) => {
    desk.called("commit", { messages: messages.map(brief), batchId, attempt });
    if (table.some((known) => known.incarnation === incarnation && known.batchId === batchId)) return;
    if (overwrite) table.length = 0;
    table.push({ incarnation, batchId, rows: messages.flatMap((message) => message?.rows ?? []) });
    desk.called("commit: return");
  };
  const abort: End = (messages, { batchId, attempt }) => {
    desk.called("abort", { messages: messages.map(brief), batchId, attempt });
  };
  const ofStream =
    (end: End) => (messages: readonly (Message | null)[], batchId: number, batch: BatchContext) =>
      end(messages, { ...batch, batchId });
  const forms = {
    arrow: class extends DataSourceArrowWriter<Message> {
      override write = writeBatches;
      override commit = commit;
      override abort = abort;
    },
    rows: class extends DataSourceWriter<Message> {
      override write = writeRows;
      override commit = commit;
      override abort = abort;
    },
    "stream arrow": class extends DataSourceStreamArrowWriter<Message> {
      override write = writeBatches;
      override commit = ofStream(commit);
      override abort = ofStream(abort);
    },
    "stream rows": class extends DataSourceStreamWriter<Message> {
      override write = writeRows;
      override commit = ofStream(commit);
      override abort = ofStream(abort);
    },
  };
  const writer: Writer<Message> & Partial<SupportsExists> = new forms[script.form]();
  if (script.isThere === undefined) return writer;
  writer.exists = ({ pipeline: name }) => {
    desk.called("exists", name);
    return script.isThere === true || table.length > 0;
  };
  return writer;
}

const idsOf = (rows: readonly NamedRow[]) => rows.map((row) => row["id"]);
const brief = (message: Message | null) => (message === null ? null : idsOf(message.rows));

describe("a batch pipeline", () => {
  it("has one batch a run, of what is there, and makes the contract's calls in Spark's order", async () => {
    const desk = new Desk();
    const ended = await (await desk.run("a")).batch();
    expect(ended?.batch).toMatchObject({ state: "committed", batchId: 0, attempt: 1, progress: { rows: 4 } });
    expect(desk.names).toEqual([
      ...["schema", "partitions"],
      ...["writer", "read", "write", "writer", "read", "write"],
      ...["writer", "commit", "commit: return"],
    ]);
    const messages = [
      [0, 1],
      [2, 3],
    ];
    expect(desk.args("commit")).toEqual([{ messages, batchId: 0, attempt: 1 }]);
    expect(desk.ids).toEqual([0, 1, 2, 3]);
  });

  it("appends once a run, under ids that go up by one", async () => {
    const desk = new Desk();
    for (let i = 0; i < 2; i++) await (await desk.run("a")).batch();
    expect(desk.ids).toEqual([0, 1, 2, 3, 0, 1, 2, 3]);
    expect(desk.table.map(({ batchId }) => batchId)).toEqual([0, 1]);
    expect(desk.args("writer")).not.toContainEqual({ overwrite: true });
  });

  it("tells its writer that it takes the place of what is there, wherever one is made", async () => {
    const desk = new Desk({ mode: "overwrite" });
    await (await desk.run("a")).batch();
    desk.script.slices = [{ from: 7, to: 9 }];
    await (await desk.run("a")).batch();
    expect(desk.ids).toEqual([7, 8]);
    expect(desk.args("writer")).not.toContainEqual({ overwrite: false });
  });

  it.each(["arrow", "rows", "stream arrow", "stream rows"] as const)(
    "is written by a writer of the form %s",
    async (form) => {
      const desk = new Desk({ form });
      desk.script.fault = (call, args) => {
        if (call === "write" && (args as { partition: number }).partition === 1) throw new Error("disk full");
      };
      expect((await (await desk.run("a")).batch())?.batch.state).toBe("aborted");
      desk.script.fault = () => undefined;
      expect((await (await desk.run("a")).batch())?.batch.state).toBe("committed");
      expect(desk.args("abort")).toEqual([{ messages: [[0, 1], null], batchId: 0, attempt: 1 }]);
      expect(desk.args("commit")).toMatchObject([{ batchId: 0, attempt: 2 }]);
      expect(desk.ids).toEqual([0, 1, 2, 3]);
    },
  );

  it("without partitions shows its sink one task without rows", async () => {
    const desk = new Desk({ slices: [] });
    const ended = await (await desk.run("a")).batch();
    expect(ended?.batch).toMatchObject({ state: "committed", tasks: 1 });
    expect(desk.args("commit")).toEqual([{ messages: [[]], batchId: 0, attempt: 1 }]);
    expect(desk.names).not.toContain("read");
  });

  it("reads one partition, null, of a reader that does not say", async () => {
    const asked: unknown[] = [];
    class Reader extends DataSourceReader {
      override read(partition: unknown) {
        asked.push(partition);
        return [[1], [2]];
      }
    }
    class One extends DataSource {
      override schema = () => "id bigint";
      override reader = () => new Reader();
    }
    const desk = new Desk();
    const definition = pipeline("numbers").read.format(One).write.format(sinkOf(desk)).mode("append");
    await (await desk.world.run(plain(definition), "a")).batch();
    expect(asked).toEqual([null]);
    expect(desk.ids).toEqual([1, 2]);
  });
});

describe("a run that finds a batch open", () => {
  it("replays it under its id, with the partitions that were recorded, and has no other", async () => {
    const desk = new Desk();
    desk.script.fault = (call, args) => {
      if (call === "write" && (args as { partition: number }).partition === 1) throw new Error("disk full");
    };
    await (await desk.run("a")).batch();
    expect(desk.args("abort")).toEqual([{ messages: [[0, 1], null], batchId: 0, attempt: 1 }]);

    desk.script.fault = () => undefined;
    desk.script.slices = [{ from: 100, to: 101 }];
    desk.script.calls.length = 0;
    const replayed = await (await desk.run("a")).batch();
    expect(replayed?.batch).toMatchObject({ batchId: 0, attempt: 2, state: "committed" });
    expect(desk.names).not.toContain("partitions");
    expect(desk.ids).toEqual([0, 1, 2, 3]);
    expect(await desk.world.ledger.head("numbers")).toMatchObject({ nextBatchId: 1 });
  });

  it("does not ask again whether the target is there: it was not when the batch began", async () => {
    for (const mode of ["errorifexists", "ignore"] as const) {
      const desk = new Desk({ mode });
      desk.script.fault = (call) => {
        if (call === "write") throw new Error("disk full");
      };
      await (await desk.run("a")).batch();
      desk.script.fault = () => undefined;
      desk.script.isThere = true;
      expect((await (await desk.run("a")).batch())?.batch).toMatchObject({ batchId: 0, state: "committed" });
      expect(desk.names.filter((name) => name === "exists")).toHaveLength(1);
    }
  });

  it.each(["append", "overwrite", "errorifexists", "ignore"] as const)(
    "has each row once, and one batch, wherever the run before was killed: %s",
    async (mode) => {
      let survived = false;
      for (let step = 0; !survived; step++) {
        for (const when of ["before", "after"] as const) {
          const desk = new Desk({ mode });
          const killed = await desk.run("a", { ledger: killing(desk.world.ledger, step, when) });
          survived = await killed.batch().then(
            () => true,
            () => false,
          );
          const head = await desk.world.ledger.head("numbers");
          const isOver =
            head?.lastCommittedBatchId !== undefined &&
            head.unacknowledged === undefined &&
            head.openBatchId === undefined;
          if (isOver) continue;
          desk.script.calls.length = 0;
          await resume(desk);
          const place = `killed ${when} call ${step} of the ledger`;
          expect(desk.ids, place).toEqual([0, 1, 2, 3]);
          expect(desk.table, place).toHaveLength(1);
          const batches = await desk.world.ledger.batches("numbers", { limit: 10 });
          expect(batches, place).toMatchObject([{ batchId: 0, state: "committed" }]);
        }
        expect(step).toBeLessThan(30);
      }
    },
  );

  it("has each row once where the run before was killed in the sink's own commit, before it landed or after", async () => {
    for (const at of ["commit", "commit: return"]) {
      const desk = new Desk();
      const ledger = dying(desk.world.ledger);
      desk.script.fault = (call) => {
        if (call !== at) return;
        ledger.isDead = true;
        throw new Error("killed");
      };
      const killed = await desk.run("a", { ledger: ledger.ledger });
      await expect(killed.batch()).rejects.toThrow();
      desk.script.fault = () => undefined;
      await resume(desk);
      expect(desk.ids).toEqual([0, 1, 2, 3]);
      expect(await desk.world.ledger.batches("numbers", { limit: 10 })).toMatchObject([
        { state: "committed" },
      ]);
    }
  });
});

/** What the next run does, whose predecessor has provably ended. */
async function resume(desk: Desk): Promise<void> {
  const next = await desk.run("b");
  const planned = await next.plan({ ended: true });
  if (planned.kind !== "batch") return;
  for (const partition of planned.todo) await next.write(planned, partition);
  const { batch } = await next.finalize(planned);
  if (batch.state === "aborted") await resume(desk);
}

/** A ledger of a process that is dead from some moment on. */
function dying(ledger: Ledger): { readonly ledger: Ledger; isDead: boolean } {
  const state = {
    isDead: false,
    ledger: new Proxy(ledger, {
      get(target, property) {
        const value: unknown = Reflect.get(target, property);
        if (typeof value !== "function") return value;
        return async (...args: unknown[]): Promise<unknown> => {
          if (state.isDead) throw new Error("killed");
          return (value as (...a: unknown[]) => unknown).apply(target, args);
        };
      },
    }),
  };
  return state;
}

/** A ledger of a process that is killed before or after its call number `step`, from 0. */
function killing(ledger: Ledger, step: number, when: "before" | "after"): Ledger {
  const dead = dying(ledger);
  let calls = 0;
  return new Proxy(dead.ledger, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property);
      if (typeof value !== "function") return value;
      return async (...args: unknown[]): Promise<unknown> => {
        const isLast = calls++ === step;
        if (isLast && when === "before") dead.isDead = true;
        const result: unknown = await (value as (...a: unknown[]) => unknown).apply(target, args);
        if (isLast) {
          dead.isDead = true;
          throw new Error("killed");
        }
        return result;
      };
    },
  });
}

describe("filters", () => {
  const above = new GreaterThan("id", 1);
  const below = new LessThan("id", 3);

  it("are pushed once to the reader that plans, before its partitions, and once to that of each task, before it reads", async () => {
    const desk = new Desk({ filters: [above, below], keeps: (filter) => filter === above });
    await (await desk.run("a")).batch();
    expect(desk.names.filter((name) => !/writer|write|commit/.test(name))).toEqual([
      ...["schema", "pushFilters", "partitions"],
      ...["pushFilters", "read", "pushFilters", "read"],
    ]);
    expect(desk.args("pushFilters")).toEqual([
      [above, below],
      [above, below],
      [above, below],
    ]);
    expect(desk.args("partitions")).toEqual([[above]]);
    expect(desk.ids).toEqual([2]);
  });

  it("that the source takes over are not checked", async () => {
    const desk = new Desk({ filters: [above, below], keeps: (filter) => filter === above, heeds: false });
    await (await desk.run("a")).batch();
    expect(desk.ids).toEqual([0, 1, 2]);
  });

  it("that the source leaves are done here, where what is unknown does not pass", async () => {
    const desk = new Desk({
      filters: [above],
      slices: [{ from: 0, to: 5 }],
      row: (id) => ({ id: id === 3 ? null : id }),
    });
    await (await desk.run("a")).batch();
    expect(desk.ids).toEqual([2, 4]);
    expect((await desk.world.ledger.batch("numbers", 0))?.progress).toMatchObject({ rows: 2 });
  });

  it("are not pushed where there are none", async () => {
    const desk = new Desk();
    await (await desk.run("a")).batch();
    expect(desk.names).not.toContain("pushFilters");
  });

  it("of a replay are those of the pipeline, on the partitions that were recorded", async () => {
    const desk = new Desk({ filters: [above] });
    desk.script.fault = (call) => {
      if (call === "write") throw new Error("disk full");
    };
    await (await desk.run("a")).batch();
    desk.script.fault = () => undefined;
    desk.script.calls.length = 0;
    await (await desk.run("a")).batch();
    expect(desk.names.filter((name) => !/schema|writer|write|commit/.test(name))).toEqual([
      ...["pushFilters", "read", "pushFilters", "read"],
    ]);
    expect(desk.ids).toEqual([2, 3]);
  });

  it("that cannot be are refused before the source is asked for anything, and leave the pipeline free", async () => {
    const desk = new Desk({ filters: [new EqualTo("ids", 1)] });
    await expect((await desk.run("a")).batch()).rejects.toMatchObject({
      code: "FILTER_INVALID",
      message: 'EqualTo names the column "ids", which is not there (did you mean id?)',
      where: { pipeline: "numbers" },
    });
    expect(desk.names).toEqual(["schema"]);
    expect(await desk.world.ledger.head("numbers")).not.toHaveProperty("lease");
  });

  it("whose push throws are an error of the source; in a task, one that is tried again", async () => {
    const desk = new Desk({ filters: [above] });
    let left = 0;
    desk.script.fault = (call) => {
      if (call === "pushFilters" && left-- === 0) throw new Error("no answer");
    };
    const run = await desk.run("a");
    const failed = { code: "SOURCE_FAILED", message: "pushFilters() failed: Error" };
    await expect(run.plan()).rejects.toMatchObject({ ...failed, retryable: false });
    left = 1;
    const planned = await run.plan();
    await expect(run.write(planned, 0)).rejects.toMatchObject({ ...failed, retryable: true });
  });
});

describe("a save mode", () => {
  it("errorifexists writes where nothing is, and fails where something is, before anything is read", async () => {
    const desk = new Desk({ mode: "errorifexists" });
    await (await desk.run("a")).batch();
    expect(desk.ids).toEqual([0, 1, 2, 3]);
    desk.script.calls.length = 0;
    await expect((await desk.run("a")).batch()).rejects.toMatchObject({
      code: "TARGET_EXISTS",
      message: 'the target of "Table" is there already',
      where: { pipeline: "numbers" },
    });
    expect(desk.names).toEqual(["schema", "writer", "exists"]);
    expect(await desk.world.ledger.head("numbers")).not.toHaveProperty("lease");
    expect(await desk.world.ledger.batches("numbers", { limit: 9 })).toHaveLength(1);
  });

  it("ignore writes where nothing is, and does nothing where something is", async () => {
    const desk = new Desk({ mode: "ignore" });
    await (await desk.run("a")).batch();
    desk.script.calls.length = 0;
    const next = await desk.run("a");
    expect((await next.plan()).kind).toBe("idle");
    expect(desk.names).toEqual(["schema", "writer", "exists"]);
    expect(desk.ids).toEqual([0, 1, 2, 3]);
  });

  it.each(["errorifexists", "ignore"] as const)(
    "%s needs a sink that can tell whether its target is there",
    async (mode) => {
      const desk = new Desk({ mode, isThere: undefined });
      await expect((await desk.run("a")).batch()).rejects.toMatchObject({
        code: "SAVE_MODE_NOT_SUPPORTED",
        message: `the data source "Table" cannot be written in the mode "${mode}"`,
        hint: expect.stringContaining("append"),
      });
      expect(desk.names).not.toContain("partitions");
    },
  );

  it.each(["append", "overwrite"] as const)("%s asks no sink whether its target is there", async (mode) => {
    const desk = new Desk({ mode, isThere: true });
    await (await desk.run("a")).batch();
    expect(desk.names).not.toContain("exists");
  });

  it("is an error of the sink where it cannot be asked", async () => {
    const desk = new Desk({ mode: "ignore" });
    desk.script.fault = (call) => {
      if (call === "exists") throw new Error("no answer");
    };
    await expect((await desk.run("a")).batch()).rejects.toMatchObject({
      code: "SINK_FAILED",
      message: "exists() failed: Error",
    });
  });

  it("is one of four, in any case, with Spark's other names for the default", () => {
    const definition = pipeline("numbers").read.format(Bare).write.format(Bare);
    expect(definition.saveMode).toBe("errorifexists");
    const modeOf = (mode: string) => definition.mode(mode as SaveMode).saveMode;
    expect(["APPEND", "Overwrite", "error", "default", "ErrorIfExists", "Ignore"].map(modeOf)).toEqual([
      ...["append", "overwrite", "errorifexists", "errorifexists", "errorifexists", "ignore"],
    ]);
    expect(() => modeOf("upsert")).toThrow(expect.objectContaining({ code: "SAVE_MODE_INVALID" }));
  });
});

class Bare extends DataSource {
  override schema() {
    return "id bigint";
  }
}

describe("a schema", () => {
  it("that the pipeline gives takes the place of the data source's own, which is not asked", async () => {
    const desk = new Desk({ givenSchema: "id int NOT NULL, name string", row: (id) => [id, `n${id}`] });
    await (await desk.run("a")).batch();
    expect(desk.names).not.toContain("schema");
    expect(desk.table[0]?.rows[0]).toEqual({ id: 0, name: "n0" });
  });

  it("that cannot be read is refused where the run begins", async () => {
    const desk = new Desk({ givenSchema: "id number" });
    await expect(desk.run("a")).rejects.toMatchObject({ code: "SCHEMA_INVALID" });
  });
});

describe("a data source that is for something else", () => {
  it("is refused with the method that it lacks", async () => {
    const desk = new Desk();
    const unread = plain(pipeline("numbers").read.format(Bare).write.format(sinkOf(desk)).mode("append"));
    await expect((await desk.world.run(unread, "a")).batch()).rejects.toMatchObject({
      code: "NOT_SUPPORTED",
      message: 'data source "Bare" has no reader(schema)',
    });
    const unwritten = plain(
      pipeline("numbers").read.format(sourceOf(desk)).write.format(Bare).mode("append"),
    );
    const { sessions } = await desk.world.run(unwritten, "a");
    await expect(sessions.sink.writer(await sessions.source.schema())).rejects.toMatchObject({
      code: "NOT_SUPPORTED",
      message: 'data source "Bare" has no writer(schema, overwrite)',
    });
  });

  it("is not asked for a simple stream reader in place of a batch's", async () => {
    class Streamed extends Bare {
      override simpleStreamReader(): never {
        throw new Error("it is a batch");
      }
    }
    const definition = plain(pipeline("numbers").read.format(Streamed).write.format(Bare).mode("append"));
    const run = await new EngineWorld().run(definition, "a");
    await expect(run.batch()).rejects.toMatchObject({ code: "NOT_SUPPORTED" });
  });
});

describe("the trigger of a batch", () => {
  it("is once, whether it is asked for or not, and no other", () => {
    const batch = pipeline("numbers").read.format(Bare).write.format(Bare);
    expect([triggerOf(batch, undefined), triggerOf(batch, { once: true })]).toEqual([
      { once: true },
      { once: true },
    ]);
    for (const trigger of [{ availableNow: true }, { processingTime: "1 second" }] as Trigger[]) {
      expect(() => triggerOf(batch, checkTrigger(trigger))).toThrow(
        expect.objectContaining({
          code: "TRIGGER_INVALID",
          message: `pipeline "numbers" is a batch: it has no ${Object.keys(trigger).join()}`,
        }),
      );
    }
  });
});

describe("options that cannot be checked", () => {
  it("are an error without the message of what was thrown, which may quote them", async () => {
    const validate = (value: unknown): never => {
      throw new Error(`cannot open ${JSON.stringify(value)}`);
    };
    class Shelf extends Bare {
      static readonly optionsSchema = { "~standard": { version: 1 as const, vendor: "own", validate } };
    }
    const definition = pipeline("numbers").read.format(Bare).write.format(Shelf);
    const opening = openSessions(plain(definition), new EngineWorld().ports());
    await expect(opening).rejects.toMatchObject({
      code: "OPTIONS_INVALID",
      message: 'checking the options of "Shelf" failed: Error',
      where: { pipeline: "numbers" },
    });
  });
});
