import type { RecordBatch } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { ArrowTable } from "../../shared/connectors/arrow-table/index.ts";
import { readTable } from "../../shared/connectors/arrow-table/read.ts";
import type { CommittedBatch } from "../../shared/contract/batch-identity.ts";
import { DataSourceArrowWriter } from "../../shared/contract/batch-writer.ts";
import { isCommitted } from "../../shared/contract/committed-batch.ts";
import type { BatchContext, TaskContext } from "../../shared/contract/context.ts";
import { DataSource } from "../../shared/contract/data-source.ts";
import type { NamedRow } from "../../shared/contract/stream-reader.ts";
import { DataSourceStreamWriter } from "../../shared/contract/stream-writer.ts";
import { CheckError, checkSink } from "../../shared/testing/index.ts";

type Key = string;
type Message = { readonly key: Key };

/** A target in memory: staged rows by key, and visible rows by batch. */
class Target {
  readonly staged = new Map<Key, readonly NamedRow[]>();
  readonly batches = new Map<string, readonly NamedRow[]>();
  readonly readBack = () => [...this.batches.values()].flat();
}

/** A correct sink of rows. Each test breaks one thing in it. */
class Good extends DataSourceStreamWriter<Message> {
  readonly target: Target;
  constructor(target: Target) {
    super();
    this.target = target;
  }
  keyOf({ incarnation, batchId, attempt, partitionId, attemptNumber }: TaskContext): Key {
    return JSON.stringify([incarnation, batchId, attempt, partitionId, attemptNumber]);
  }
  override async write(rows: AsyncIterable<NamedRow>, task: TaskContext) {
    const key = this.keyOf(task);
    this.target.staged.set(key, await Array.fromAsync(rows));
    return { key };
  }
  batchKey(batchId: number, { incarnation, planId }: BatchContext): string {
    return JSON.stringify([incarnation, batchId, planId]);
  }
  override commit(messages: readonly (Message | null)[], batchId: number, batch: BatchContext) {
    const rows = messages.flatMap((message) => this.target.staged.get(message?.key ?? "") ?? []);
    this.target.batches.set(this.batchKey(batchId, batch), rows);
  }
  override abort(messages: readonly (Message | null)[], _batchId: number, _batch: BatchContext) {
    for (const message of messages) this.target.staged.delete(message?.key ?? "");
  }
}

/** A sink of record batches that is correct, except when it must overwrite. */
class GoodBatches extends DataSourceArrowWriter<Message> {
  readonly #good: Good;
  constructor(target: Target) {
    super();
    this.#good = new Good(target);
  }
  override async write(batches: AsyncIterable<RecordBatch>, task: TaskContext) {
    const key = this.#good.keyOf(task);
    const rows: NamedRow[] = [];
    for await (const batch of batches) rows.push(...rowsOf(batch));
    this.#good.target.staged.set(key, rows);
    return { key };
  }
  override commit(messages: readonly (Message | null)[], batch: BatchContext) {
    this.#good.commit(messages, batch.batchId, batch);
  }
  override abort() {}
}

async function problemsOf(make: (target: Target) => Good, withReadBack = true) {
  const target = new Target();
  const { readBack } = target;
  const error = await checkSink(() => make(target), withReadBack ? { readBack } : {}).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CheckError)) throw error ?? new Error("nothing was found");
  return error.problems;
}
const codesOf = async (make: (target: Target) => Good) => (await problemsOf(make)).map(({ code }) => code);

describe("checkSink", () => {
  it("checkSink finds no problem in a good sink and lists its trials", async () => {
    const target = new Target();
    const report = await checkSink(() => new Good(target), { readBack: target.readBack });
    expect(report.checked).toContain("commit() again, with equal messages");
    expect(report.notChecked).toEqual([expect.stringContaining("hasCommitted()")]);
    expect(target.readBack()).toHaveLength(24);
  });

  it("checkSink names a sink that adds the rows again when a commit comes twice", async () => {
    class Appends extends Good {
      override commit(messages: readonly (Message | null)[]) {
        const rows = messages.flatMap((message) => this.target.staged.get(message?.key ?? "") ?? []);
        this.target.batches.set(String(this.target.batches.size), rows);
      }
    }
    const [problem] = await problemsOf((target) => new Appends(target));
    expect(problem).toMatchObject({
      code: "SINK_NOT_IDEMPOTENT",
      message: "after commit() again, with equal messages, 12 rows are seen instead of 6",
      hint: expect.stringContaining("isCommitted(batch, newest)"),
    });
  });

  it("checkSink names a sink that does not read the batch's identity, even without a readBack", async () => {
    class Blind extends Good {
      override commit(messages: readonly (Message | null)[]) {
        for (const message of messages)
          this.target.batches.set(
            `${this.target.batches.size}`,
            this.target.staged.get(message?.key ?? "") ?? [],
          );
      }
    }
    expect(await problemsOf((target) => new Blind(target), false)).toMatchObject([
      { code: "SINK_NOT_IDEMPOTENT", message: expect.stringContaining("asks neither for the batch id") },
    ]);
  });

  it("checkSink does not pass a sink whose rows it cannot see, and asks for readBack", async () => {
    const [problem] = await problemsOf((target) => new Good(target), false);
    expect(problem).toMatchObject({ code: "SINK_NOT_VERIFIED", hint: expect.stringContaining("readBack") });
  });

  it("checkSink names rows that are visible before the commit, unless the sink works that way", async () => {
    class Eager extends Good {
      override async write(rows: AsyncIterable<NamedRow>, task: TaskContext) {
        const message = await super.write(rows, task);
        const { incarnation, batchId, planId, partitionId } = task;
        this.target.batches.set(
          [incarnation, batchId, planId, partitionId].join(),
          this.target.staged.get(message.key) ?? [],
        );
        return message;
      }
      override commit() {}
    }
    expect(await problemsOf((target) => new Eager(target))).toMatchObject([
      { code: "VISIBLE_BEFORE_COMMIT", hint: expect.stringContaining("showsRowsBeforeCommit") },
    ]);
    const target = new Target();
    const { readBack } = target;
    await checkSink(() => new Eager(target), { readBack, showsRowsBeforeCommit: true });
  });

  it("checkSink names file names that two attempts share, and pipelines whose restart is not told apart", async () => {
    class SharedNames extends Good {
      override keyOf({ batchId, partitionId }: TaskContext) {
        return `${batchId}-${partitionId}`;
      }
      abortTask(message: Message) {
        this.target.staged.delete(message.key);
      }
    }
    class ByBatchId extends Good {
      override batchKey(batchId: number) {
        return String(batchId);
      }
    }
    expect(await codesOf((target) => new SharedNames(target))).toContain("TASK_NOT_ISOLATED");
    expect(await codesOf((target) => new ByBatchId(target))).toEqual(["PLAN_IGNORED", "INCARNATION_IGNORED"]);
  });

  it("checkSink names a sink that drops another batch under a used id, and passes one that refuses it", async () => {
    class ById extends Good {
      override batchKey(batchId: number, { incarnation }: BatchContext) {
        return JSON.stringify([incarnation, batchId]);
      }
      override commit(messages: readonly (Message | null)[], batchId: number, batch: BatchContext) {
        if (!this.target.batches.has(this.batchKey(batchId, batch))) super.commit(messages, batchId, batch);
      }
    }
    class Refuses extends Good {
      static newest: CommittedBatch | undefined;
      override commit(messages: readonly (Message | null)[], batchId: number, batch: BatchContext) {
        if (isCommitted(batch, Refuses.newest)) return;
        super.commit(messages, batchId, batch);
        Refuses.newest = { ...batch };
      }
    }
    const [problem] = await problemsOf((target) => new ById(target));
    expect(problem).toMatchObject({
      code: "PLAN_IGNORED",
      message: "after commit() of another batch under a used id, 12 rows are seen instead of 18",
    });
    const target = new Target();
    const report = await checkSink(() => new Refuses(target), { readBack: target.readBack });
    expect(report.checked).toContain("commit() of another batch under a used id");
    expect(target.readBack()).toHaveLength(12);
  });

  it("checkSink names messages that are no JSON, an abort that harms or fails, and a wrong lookup", async () => {
    class Instance extends Good {
      override async write(rows: AsyncIterable<NamedRow>, task: TaskContext) {
        return { ...(await super.write(rows, task)), at: new Date(0) };
      }
    }
    class Razes extends Good {
      override abort() {
        this.target.batches.clear();
      }
    }
    class Once extends Good {
      override abort(messages: readonly (Message | null)[]) {
        if (!this.target.staged.delete(messages[0]?.key ?? "")) throw new Error("no such file");
      }
    }
    class Says extends Good {
      hasCommitted() {
        return true;
      }
    }
    expect(await codesOf((target) => new Instance(target))).toEqual(["MESSAGE_NOT_JSON"]);
    expect(await codesOf((target) => new Razes(target))).toContain("ABORT_INCOMPLETE");
    expect(await problemsOf((target) => new Once(target))).toMatchObject([
      { code: "ABORT_INCOMPLETE", message: "abort() again threw Error: no such file" },
    ]);
    expect(await codesOf((target) => new Says(target))).toEqual(["COMMIT_LOOKUP_WRONG"]);
  });

  it("checkSink names only the insert of a sink that inserts in write(), and rows that are doubled", async () => {
    class Inserts extends Good {
      override async write(rows: AsyncIterable<NamedRow>) {
        const key = String(this.target.batches.size);
        this.target.batches.set(key, await Array.fromAsync(rows));
        return { key };
      }
      override commit() {}
      override abort() {}
    }
    expect(await codesOf((target) => new Inserts(target))).toEqual(["VISIBLE_BEFORE_COMMIT"]);
    const target = new Target();
    const { readBack } = target;
    await expect(
      checkSink(() => new Inserts(target), { readBack, showsRowsBeforeCommit: true }),
    ).rejects.toMatchObject({
      problems: [
        {
          code: "TASK_NOT_ISOLATED",
          message: expect.stringContaining("wrote its rows twice"),
          hint: expect.stringContaining("write by key (upsert), or insert in commit()"),
        },
      ],
    });
  });

  it("checkSink names a write() that reads no rows or only some, and stops there", async () => {
    class Unread extends Good {
      override async write(_rows: AsyncIterable<NamedRow>, task: TaskContext) {
        return { key: this.keyOf(task) };
      }
    }
    class First extends Good {
      override async write(rows: AsyncIterable<NamedRow>, task: TaskContext) {
        for await (const row of rows) {
          this.target.staged.set(this.keyOf(task), [row]);
          break;
        }
        return { key: this.keyOf(task) };
      }
    }
    expect(await problemsOf((target) => new Unread(target))).toMatchObject([
      { code: "ROWS_NOT_CONSUMED", message: "write() read 0 of 3 rows" },
    ]);
    expect(await problemsOf((target) => new First(target))).toMatchObject([
      { code: "ROWS_NOT_CONSUMED", message: "write() read 1 of 3 rows" },
    ]);
  });

  it("checkSink names a commit that fails when it is repeated, such as one that renames", async () => {
    class Renames extends Good {
      override commit(messages: readonly (Message | null)[], batchId: number, batch: BatchContext) {
        for (const message of messages)
          if (!this.target.staged.has(message?.key ?? "")) throw new Error("ENOENT: no such file, rename");
        super.commit(messages, batchId, batch);
        for (const message of messages) this.target.staged.delete(message?.key ?? "");
      }
    }
    expect(await problemsOf((target) => new Renames(target))).toMatchObject([
      {
        code: "SINK_NOT_IDEMPOTENT",
        message: "commit() again, with equal messages threw Error: ENOENT: no such file, rename",
      },
    ]);
  });

  it("checkSink names a readBack that fails, and keeps its earlier findings", async () => {
    const readBack = () => {
      throw new Error("there is no such table");
    };
    await expect(checkSink(() => new Good(new Target()), { readBack })).rejects.toMatchObject({
      problems: [{ code: "THREW", message: expect.stringContaining("there is no such table") }],
    });
  });

  it("checkSink says that a sink of batches refuses to overwrite, whatever it throws", async () => {
    const target = new Target();
    class Sink extends DataSource {
      override writer(_schema: unknown, overwrite: boolean) {
        if (overwrite) throw new Error("this table is only added to");
        return new GoodBatches(target);
      }
    }
    const { notChecked } = await checkSink(Sink, { readBack: target.readBack });
    expect(notChecked).toContain("overwrite: the sink refuses overwrite: this table is only added to");
  });

  it("checkSink names a sink of batches whose overwrite keeps the rows that were there", async () => {
    const target = new Target();
    class Sink extends DataSource {
      override writer() {
        return new GoodBatches(target);
      }
    }
    const { readBack } = target;
    await expect(checkSink(Sink, { readBack })).rejects.toMatchObject({
      problems: [{ code: "OVERWRITE_INCOMPLETE" }],
    });
  });

  it("checkSink finds no problem in the Arrow table, as a stream and as a batch", async () => {
    const report = await checkSink(ArrowTable, {
      schema:
        "id bigint NOT NULL, at timestamp, amount decimal(10,2), tags array<string>, place struct<lat double, lon double>",
      async *readBack({ store }) {
        for await (const batch of readTable(store.at("table"))) yield* rowsOf(batch);
      },
    });
    expect(report.notChecked).toEqual(["overwrite by filter: the table does not support it"]);
    expect(report.checked).toContain("commit() that overwrites, again");
  });
});
