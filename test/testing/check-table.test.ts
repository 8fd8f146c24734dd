import { describe, expect, it } from "vitest";
import { matcherOf } from "../../shared/arrow/predicates/row-matcher.ts";
import type { BatchContext, TaskContext } from "../../shared/contract/context.ts";
import { DataSource, type DataSourceClass } from "../../shared/contract/data-source.ts";
import { toSchema } from "../../shared/contract/ddl/to-schema.ts";
import type { NamedRow } from "../../shared/contract/stream-reader.ts";
import { BatchWrite, StreamingWrite } from "../../shared/contract/write/batch-write.ts";
import { DataWriter } from "../../shared/contract/write/data-writer.ts";
import { ALWAYS_TRUE, type Predicate } from "../../shared/contract/write/predicates.ts";
import type { SupportsWrite, TableCapability } from "../../shared/contract/write/table.ts";
import { V1Write, Write } from "../../shared/contract/write/write.ts";
import type { LogicalWriteInfo } from "../../shared/contract/write/write-info.ts";
import { CheckError, checkSink } from "../../shared/testing/index.ts";

/** A target in memory: staged rows by task, and visible rows with the plans that they came with. */
class Target {
  readonly staged = new Map<number, readonly NamedRow[]>();
  readonly plans = new Set<string>();
  rows: NamedRow[] = [];
  readonly readBack = (): NamedRow[] => this.rows;
}

/** What one test breaks in the table. */
interface Mistakes {
  capabilities?: readonly TableCapability[];
  builderWithout?: readonly string[];
  /** Called with a name for each step of the chain, in which a test does what it should not. */
  on?(step: string, target: Target, argument?: unknown): void;
  keepsRowsInWrite?: true;
  randomFolder?: true;
  factory?: object;
  ignoresPlan?: true;
  isCoordinated?: false;
  sharesStaging?: true;
  deletesAll?: true;
  findDamaged?(target: Target): readonly { partition: number; key: string }[];
}

const SCHEMA = toSchema("id bigint NOT NULL, name string");

/** A writer that stages rows under its task id. */
class Writer extends DataWriter<NamedRow, number> {
  readonly #target: Target;
  readonly #key: number;
  readonly #mistakes: Mistakes;
  readonly #rows: NamedRow[] = [];

  constructor(target: Target, key: number, mistakes: Mistakes) {
    super();
    this.#target = target;
    this.#key = key;
    this.#mistakes = mistakes;
  }
  override write(row: NamedRow): void {
    this.#rows.push(row);
  }
  override commit(): number {
    const before = this.#mistakes.sharesStaging ? (this.#target.staged.get(this.#key) ?? []) : [];
    this.#target.staged.set(this.#key, [...before, ...this.#rows]);
    return this.#key;
  }
  override abort(): void {
    this.#target.staged.delete(this.#key);
  }
}

type Tasks = readonly (number | null)[];

/** A correct write of a batch, and of an epoch, but for the mistakes. */
class Batch extends BatchWrite<number> {
  readonly #target: Target;
  readonly #mistakes: Mistakes;
  readonly #replaced: readonly Predicate[] | undefined;
  /** Differs in each chain. A table that depends on it is wrong. */
  readonly #folder: number;
  readonly #kept: number[] = [];

  constructor(target: Target, mistakes: Mistakes, replaced: readonly Predicate[] | undefined) {
    super();
    this.#target = target;
    this.#mistakes = mistakes;
    this.#replaced = replaced;
    this.#folder = target.staged.size * 1000;
  }
  override createBatchWriterFactory() {
    const [target, mistakes, folder] = [this.#target, this.#mistakes, this.#folder];
    mistakes.on?.("factory", target);
    const keep = (key: number) => this.#kept.push(key);
    return {
      ...mistakes.factory,
      createWriter(partitionId: number, taskId: number, task: TaskContext) {
        mistakes.on?.("createWriter", target, task);
        const own = mistakes.sharesStaging ? partitionId : taskId;
        keep(own);
        return new Writer(target, mistakes.randomFolder ? folder + partitionId : own, mistakes);
      },
    };
  }
  override useCommitCoordinator(): boolean {
    return this.#mistakes.isCoordinated ?? true;
  }
  override commit(tasks: Tasks, _summary: unknown, { planId, incarnation, batchId }: BatchContext): void {
    const target = this.#target;
    const key = JSON.stringify(this.#mistakes.ignoresPlan ? [incarnation, batchId] : [planId]);
    if (target.plans.has(key)) return;
    target.plans.add(key);
    if (this.#replaced !== undefined) target.rows = target.rows.filter((row) => !this.#isReplaced(row));
    const named = this.#mistakes.keepsRowsInWrite ? this.#kept : tasks;
    const keys = this.#mistakes.randomFolder ? [this.#folder, this.#folder + 1] : named;
    for (const task of keys) target.rows.push(...(target.staged.get(task ?? -1) ?? []));
  }
  #isReplaced(row: NamedRow): boolean {
    if (this.#mistakes.deletesAll) return true;
    return matcherOf(SCHEMA, this.#replaced ?? []).holds(row) === true;
  }
  override abort(tasks: Tasks): void {
    this.#mistakes.on?.("abort", this.#target);
    for (const task of tasks) this.#target.staged.delete(task ?? -1);
  }
}

class Epoch extends StreamingWrite<number> {
  readonly #batch: Batch;

  constructor(batch: Batch) {
    super();
    this.#batch = batch;
  }
  override createStreamingWriterFactory() {
    const factory = this.#batch.createBatchWriterFactory();
    return {
      createWriter: (partition: number, task: number, _epochId: number, context: TaskContext) =>
        factory.createWriter(partition, task, context),
    };
  }
  override commit(_epochId: number, tasks: Tasks, batch: BatchContext): void {
    this.#batch.commit(tasks, undefined, batch);
  }
  override abort(_epochId: number, tasks: Tasks): void {
    this.#batch.abort(tasks);
  }
}

class MemoryWrite extends Write {
  readonly #batch: Batch;

  constructor(batch: Batch) {
    super();
    this.#batch = batch;
  }
  override toBatch(): Batch {
    return this.#batch;
  }
  override toStreaming(): Epoch {
    return new Epoch(this.#batch);
  }
}

const ALL: readonly TableCapability[] = [
  ...(["BATCH_WRITE", "STREAMING_WRITE", "TRUNCATE", "OVERWRITE_BY_FILTER"] as const),
];

function builderOf(target: Target, mistakes: Mistakes, replaced?: readonly Predicate[]): object {
  const told = (predicates: readonly Predicate[]) => {
    mistakes.on?.("overwrite", target);
    return builderOf(target, mistakes, predicates);
  };
  const builder = {
    truncate: () => told([ALWAYS_TRUE]),
    overwrite: told,
    build: () => new MemoryWrite(new Batch(target, mistakes, replaced)),
  };
  const { builderWithout = [] } = mistakes;
  return Object.fromEntries(Object.entries(builder).filter(([name]) => !builderWithout.includes(name)));
}

function tableClass(target: Target, mistakes: Mistakes): DataSourceClass<object> {
  return class InMemory extends DataSource<object> {
    override table(): SupportsWrite {
      return {
        name: "in-memory",
        capabilities: new Set(mistakes.capabilities ?? ALL),
        newWriteBuilder: () => builderOf(target, mistakes) as never,
        ...(mistakes.findDamaged === undefined ? {} : { findDamaged: () => mistakes.findDamaged?.(target) }),
      };
    }
  };
}

async function problemsOf(mistakes: Mistakes): Promise<CheckError["problems"]> {
  const target = new Target();
  const { readBack } = target;
  const thrown: unknown = await checkSink(tableClass(target, mistakes), { readBack }).catch((error) => error);
  if (!(thrown instanceof CheckError))
    throw thrown instanceof Error ? thrown : new Error("nothing was found");
  return thrown.problems;
}

const codesOf = async (mistakes: Mistakes) => (await problemsOf(mistakes)).map(({ code }) => code);

describe("checkSink of a table", () => {
  it("checkSink finds no problem in a good table, as a stream and as a batch", async () => {
    const target = new Target();
    const { readBack } = target;
    const report = await checkSink(tableClass(target, {}), { readBack });
    expect(report.checked).toContain("commit() that overwrites by filter, again");
    expect(report.checked.filter((step) => step === "several attempts of one task at once")).toHaveLength(2);
    expect(report.notChecked.filter((step) => !step.startsWith("hasCommitted"))).toEqual([]);
  });

  it("checkSink finds no problem in a good table that needs no coordination", async () => {
    const target = new Target();
    const { readBack } = target;
    await checkSink(tableClass(target, { isCoordinated: false }), { readBack });
  });

  it("checkSink finds a write that keeps something in memory between the steps", async () => {
    const problems = await problemsOf({ keepsRowsInWrite: true });
    expect(problems[0]).toMatchObject({
      code: "COMMIT_INCOMPLETE",
      message: "after commit(), 0 rows are seen instead of 6",
      hint: expect.stringContaining("what a BatchWrite keeps in memory"),
    });
  });

  it("checkSink finds a factory whose functions see another value in each chain", async () => {
    expect(await codesOf({ randomFolder: true })).toContain("COMMIT_INCOMPLETE");
  });

  it.each([{ connection: new Map() }, { size: 1n }, { open: () => undefined }])(
    "checkSink finds the factory field %o, which is no JSON",
    async (factory) => {
      expect(await codesOf({ factory })).toEqual(["FACTORY_NOT_JSON"]);
    },
  );

  it("checkSink finds a commit that recognises a batch by its id and not by its plan", async () => {
    expect(await codesOf({ ignoresPlan: true })).toContain("PLAN_IGNORED");
  });

  it("checkSink finds a commit that adds its rows again", async () => {
    const on: Mistakes["on"] = (step, target) => {
      if (step === "factory") target.plans.clear();
    };
    expect(await codesOf({ on })).toContain("SINK_NOT_IDEMPOTENT");
  });

  it("checkSink finds rows that readers see when createWriter was called", async () => {
    const on: Mistakes["on"] = (step, target) => {
      if (step === "createWriter") target.rows = [...target.rows, {}];
    };
    expect(await codesOf({ on })).toEqual(["VISIBLE_BEFORE_COMMIT"]);
  });

  it("checkSink finds a builder that deletes rows when it is told to overwrite", async () => {
    const on: Mistakes["on"] = (step, target) => {
      if (step === "overwrite") target.rows = [];
    };
    expect(await codesOf({ on })).toContain("VISIBLE_BEFORE_COMMIT");
  });

  it("checkSink finds an attempt that deletes what another attempt of its task staged", async () => {
    expect(await codesOf({ sharesStaging: true })).toContain("TASK_NOT_ISOLATED");
  });

  it("checkSink finds an attempt whose rows are committed although its message does not count", async () => {
    expect(await codesOf({ sharesStaging: true, isCoordinated: false })).toContain("TASK_NOT_ISOLATED");
  });

  it("checkSink finds an abort that deletes rows of other batches", async () => {
    const on: Mistakes["on"] = (step, target) => {
      if (step === "abort") target.rows = [];
    };
    expect(await codesOf({ on })).toContain("ABORT_INCOMPLETE");
  });

  it("checkSink finds an overwrite by filter that deletes other rows", async () => {
    expect(await codesOf({ deletesAll: true })).toEqual(["OVERWRITE_INCOMPLETE"]);
  });

  it.each([
    [["truncate", "overwrite"], ALL, "in-memory promises TRUNCATE, but its builder has no truncate()"],
    [["overwrite"], ALL, "in-memory promises OVERWRITE_BY_FILTER, but its builder has no overwrite()"],
    [
      [],
      [...ALL, "OVERWRITE_DYNAMIC"],
      "in-memory promises OVERWRITE_DYNAMIC, but its builder has no overwriteDynamicPartitions()",
    ],
    [
      ["overwrite"],
      ["BATCH_WRITE"],
      "the builder of in-memory has truncate(), but the table has no capability TRUNCATE",
    ],
    [
      ["truncate"],
      ["BATCH_WRITE"],
      "the builder of in-memory has overwrite(), but the table has no capability OVERWRITE_BY_FILTER",
    ],
  ] as const)(
    "checkSink finds a builder without %j of a table with %j",
    async (builderWithout, capabilities, message) => {
      const problems = await problemsOf({ builderWithout, capabilities });
      expect(problems.filter(({ code }) => code === "CAPABILITY_MISMATCH")).toMatchObject([{ message }]);
    },
  );

  it.each([
    ["finds damage where there is none", "STAGED_CHECK_WRONG", () => [{ partition: 0, key: "a" }]],
    [
      "deletes what is staged",
      "COMMIT_INCOMPLETE",
      (target: Target) => {
        target.staged.clear();
        return [];
      },
    ],
  ] as const)("checkSink finds a findDamaged that %s", async (_what, code, findDamaged) => {
    expect((await codesOf({ findDamaged }))[0]).toBe(code);
  });

  it("checkSink finds an insert in one call that adds its rows again", async () => {
    const target = new Target();
    class Insert extends V1Write {
      readonly #planId: string;
      constructor({ queryId }: LogicalWriteInfo) {
        super();
        this.#planId = queryId;
      }
      override toInsertableRelation() {
        return {
          insert: async (rows: AsyncIterable<NamedRow>) => {
            const given = await Array.fromAsync(rows);
            if (isIdempotent && target.plans.has(this.#planId)) return;
            target.plans.add(this.#planId);
            target.rows.push(...given);
          },
        };
      }
    }
    class Inserting extends DataSource<object> {
      override table(): SupportsWrite {
        return {
          name: "inserting",
          capabilities: new Set(["V1_BATCH_WRITE"] as const),
          newWriteBuilder: (info) => ({ build: () => new Insert(info) }),
        };
      }
    }
    const { readBack } = target;
    let isIdempotent = false;
    await expect(checkSink(Inserting, { readBack })).rejects.toMatchObject({
      problems: expect.arrayContaining([expect.objectContaining({ code: "SINK_NOT_IDEMPOTENT" })]),
    });
    isIdempotent = true;
    await checkSink(Inserting, { readBack });
  });
});
