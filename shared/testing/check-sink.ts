import type { RecordBatch, Schema } from "apache-arrow";
import { recordBatchOf } from "../arrow/record-batches.ts";
import { rowsOf } from "../arrow/rows.ts";
import { takesRows, type Writer, writesBatches } from "../contract/batch-writer.ts";
import type { BatchContext, TaskContext } from "../contract/context.ts";
import type { SchemaLike } from "../contract/data-source.ts";
import { toSchema } from "../contract/ddl/to-schema.ts";
import { MillraceError } from "../contract/errors.ts";
import { findNonJson, type JsonValue } from "../contract/json.ts";
import type { Awaitable, NamedRow } from "../contract/stream-reader.ts";
import type { SupportsCommitLookup, SupportsTaskAbort } from "../contract/stream-writer.ts";
import { type CheckReport, Findings, type Problem } from "./report.ts";
import { sampleRows } from "./samples.ts";
import { Surroundings, type SurroundingsOptions } from "./surroundings.ts";
import { type SinkTarget, type WriterMaker, writersOf } from "./target.ts";
import { throughJson } from "./through-json.ts";

/** What is in the sink's target, for `readBack`. */
export interface ReadBackContext {
  /** The pipeline's store, which a sink may write to. */
  readonly store: BatchContext["store"];
}

/** What the check needs besides the sink. */
export interface CheckSinkOptions extends SurroundingsOptions {
  /** Of a data source class: as a pipeline would set them. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Of the rows that are written. Default: `id bigint NOT NULL, name string`. */
  readonly schema?: SchemaLike;
  /** How many rows whoever reads the target sees now, or the rows. Without it nothing can be said of rows that are lost or doubled. */
  readBack?(context: ReadBackContext): Awaitable<number | Iterable<unknown> | AsyncIterable<unknown>>;
  /** True for a sink that shows rows as soon as they are written, and is safe because they are idempotent, such as requests with an idempotency key. */
  readonly showsRowsBeforeCommit?: boolean;
}

const DEFAULT_SCHEMA = "id bigint NOT NULL, name string";
const ROWS = 3;

/**
 * Tries a sink for the known traps: shows nothing before the commit, commits twice, commits late, aborts half way, runs a task twice, begins again under
 * another incarnation. It writes a few rows to the real target. Resolves where no trap was found. Error: `CHECK_FAILED`, a `CheckError` that names each
 * trap with the way out.
 */
export async function checkSink(target: SinkTarget, options: CheckSinkOptions = {}): Promise<CheckReport> {
  const surroundings = new Surroundings(options);
  const findings = new Findings("the sink");
  let makers: readonly WriterMaker[] = [];
  let schema: Schema | undefined;
  const isMade = await findings.check("make the sink", async () => {
    schema = toSchema(options.schema ?? DEFAULT_SCHEMA);
    makers = await writersOf(target, options, schema, surroundings);
  });
  if (!isMade || schema === undefined) return findings.report();
  const rows: FirstRows = new Map();
  for (const maker of makers) await new SinkCheck(maker, schema, options, surroundings, findings, rows).run();
  return findings.report();
}

/** First rows of the partitions so far: a replay of one has the same rows, and no others have them. */
type FirstRows = Map<string, number>;
type Message = JsonValue;
type Messages = readonly Message[];

/** One batch attempt. */
interface Attempt {
  readonly incarnation: string;
  readonly batchId: number;
  readonly attempt: number;
}

class SinkCheck {
  readonly #maker: WriterMaker;
  readonly #schema: Schema;
  readonly #options: CheckSinkOptions;
  readonly #surroundings: Surroundings;
  readonly #findings: Findings;
  readonly #rows: FirstRows;
  /** Whether the sink has looked at which batch it is. */
  #knowsBatch = false;
  /** Rows that ought to be seen. */
  #expected = 0;

  constructor(
    maker: WriterMaker,
    schema: Schema,
    options: CheckSinkOptions,
    surroundings: Surroundings,
    findings: Findings,
    rows: FirstRows,
  ) {
    this.#rows = rows;
    this.#maker = maker;
    this.#schema = schema;
    this.#options = options;
    this.#surroundings = surroundings;
    this.#findings = findings;
  }

  async run(): Promise<void> {
    const incarnation = this.#surroundings.runtime.newId();
    const isRead = await this.#findings.check("readBack() before anything is written", async () => {
      this.#expected = (await this.#count()) ?? 0;
    });
    if (!isRead) return;
    const first = { incarnation, batchId: 0, attempt: 1 };
    const second = { incarnation, batchId: 1, attempt: 1 };
    const messages = await this.#stage(first, "write() of a batch of two partitions");
    if (messages === undefined) return;
    // What follows from it would only confuse.
    if (!(await this.#see("VISIBLE_BEFORE_COMMIT", "before commit()", VISIBLE_HINT))) return;
    if (!(await this.#commit(first, messages, "commit()"))) return;
    this.#expected += 2 * ROWS;
    await this.#see(
      "COMMIT_INCOMPLETE",
      "after commit()",
      "commit(messages) must make visible what all tasks staged, all of it at once.",
    );
    await this.#commitAgain(first, messages);
    await this.#lookUp(first, true);
    await this.#abortHalfWay(second);
    await this.#runTaskTwice({ ...second, attempt: 2 });
    await this.#commitAgain(first, messages, "commit() of an earlier batch, late");
    await this.#writeNothing({ incarnation, batchId: 2, attempt: 1 });
    await this.#beginAgain();
    await this.#overwrite();
  }

  /** Two partitions; nothing, where that fails. */
  async #stage(attempt: Attempt, what: string, overwrite = false): Promise<Messages | undefined> {
    let messages: Messages | undefined;
    await this.#findings.check(what, async () => {
      messages = [await this.#write(attempt, 0, 0, overwrite), await this.#write(attempt, 1, 0, overwrite)];
    });
    return messages;
  }

  async #write(
    attempt: Attempt,
    partitionId: number,
    attemptNumber = 0,
    overwrite = false,
  ): Promise<Message> {
    const task = this.#task(attempt, partitionId, attemptNumber);
    return await this.#writeRows(this.#rowsOf(attempt, partitionId), task, overwrite);
  }

  #rowsOf({ incarnation, batchId }: Attempt, partitionId: number): readonly NamedRow[] {
    const key = JSON.stringify([incarnation, batchId, partitionId]);
    const first = this.#rows.get(key) ?? 1 + this.#rows.size * ROWS;
    this.#rows.set(key, first);
    return sampleRows(this.#schema, first, ROWS);
  }

  async #writeRows(rows: readonly NamedRow[], task: TaskContext, overwrite = false): Promise<Message> {
    const writer = await this.#maker.make(this.#schema, overwrite);
    let read = 0;
    const batches = this.#batches(rows);
    const counted = async function* <T>(items: AsyncIterable<T>, count: (item: T) => number) {
      for await (const item of items) {
        read += count(item);
        yield item;
      }
    };
    const message = takesRows(writer)
      ? await writer.write(
          counted(rowsIn(batches), () => 1),
          task,
        )
      : await writer.write(
          counted(batches, ({ numRows }) => numRows),
          task,
        );
    if (read < rows.length)
      throw new MillraceError("ROWS_NOT_CONSUMED", `write() read ${read} of ${rows.length} rows`, {
        hint: "Read all that write() is given, to its end: for await (const row of rows) { … }. What it leaves is lost once the batch is committed.",
      });
    return this.#checkedMessage(message);
  }

  async *#batches(rows: readonly NamedRow[]): AsyncGenerator<RecordBatch> {
    // Two, so that a writer that takes the first only is seen.
    for (const part of [rows.slice(0, 1), rows.slice(1)])
      if (part.length > 0) yield recordBatchOf(this.#schema, part);
  }

  #checkedMessage(message: unknown): Message {
    const problem = message === undefined ? undefined : findNonJson(message, "message");
    if (problem !== undefined)
      throw new MillraceError(
        "MESSAGE_NOT_JSON",
        `write() must give a JSON value as its message, but gave ${problem}`,
        {
          hint: "Give plain JSON: the message is stored, and commit() reads it on another machine.",
        },
      );
    return throughJson((message ?? null) as JsonValue);
  }

  async #commit(
    attempt: Attempt,
    messages: Messages,
    what: string,
    { overwrite = false, named }: { overwrite?: boolean; named?: Pick<Problem, "code" | "hint"> } = {},
  ): Promise<boolean> {
    const commit = async () => {
      const writer = await this.#maker.make(this.#schema, overwrite);
      // The id is an argument of a stream's commit: one that does not declare it cannot go by it.
      this.#knowsBatch ||= !writesBatches(writer) && writer.commit.length !== 1;
      const context = this.#watched(this.#batch(attempt, true));
      await (writesBatches(writer)
        ? writer.commit(throughJson(messages), context)
        : writer.commit(throughJson(messages), attempt.batchId, context));
    };
    return await this.#findings.check(what, commit, named);
  }

  /** Notes whether the sink asks which batch it is. */
  #watched(batch: BatchContext): BatchContext {
    return new Proxy(batch, {
      get: (target, key, receiver) => {
        if (key === "batchId" || key === "incarnation") this.#knowsBatch = true;
        return Reflect.get(target, key, receiver) as unknown;
      },
    });
  }

  async #abort(attempt: Attempt, messages: Messages, what: string, hint: string): Promise<boolean> {
    const abort = async () => {
      const writer = await this.#maker.make(this.#schema, false);
      const context = this.#batch(attempt, false);
      await (writesBatches(writer)
        ? writer.abort(throughJson(messages), context)
        : writer.abort(throughJson(messages), attempt.batchId, context));
    };
    return await this.#findings.check(what, abort, { code: "ABORT_INCOMPLETE", hint });
  }

  async #commitAgain(
    attempt: Attempt,
    messages: Messages,
    what = "commit() again, with equal messages",
  ): Promise<void> {
    const named = { code: "SINK_NOT_IDEMPOTENT", hint: IDEMPOTENT_HINT };
    if (!(await this.#commit(attempt, messages, what, { named }))) return;
    if (this.#options.readBack === undefined && !this.#knowsBatch) {
      this.#findings.add({
        code: "SINK_NOT_IDEMPOTENT",
        message:
          "commit() asks neither for the batch id nor for batch.incarnation, so it cannot tell a commit that comes again",
        hint: `${IDEMPOTENT_HINT} If your commit is idempotent in another way, give readBack, and it is tried.`,
      });
      return;
    }
    if (this.#options.readBack === undefined) {
      this.#findings.add({
        code: "SINK_NOT_VERIFIED",
        message:
          "commit() was called twice for one batch, as after a crash, and nothing tells the kit whether the rows are there twice",
        hint: "Give readBack: () => the rows that a reader of the target sees, or their number.",
      });
      return;
    }
    await this.#see("SINK_NOT_IDEMPOTENT", `after ${what}`, IDEMPOTENT_HINT);
  }

  async #lookUp({ incarnation, batchId }: Attempt, landed: boolean): Promise<void> {
    await this.#findings.check("hasCommitted()", async () => {
      const writer = (await this.#maker.make(this.#schema, false)) as Partial<SupportsCommitLookup>;
      if (writer.hasCommitted === undefined) {
        this.#findings.skip(
          "hasCommitted(): the sink has none; after a failed commit() it gets abort(), as in Spark",
        );
        return;
      }
      for (const [id, expected] of [
        [batchId, landed],
        [batchId + 1, false],
      ] as const) {
        const found = await writer.hasCommitted?.(
          id,
          this.#batch({ incarnation, batchId: id, attempt: 1 }, true),
        );
        if (found === expected) continue;
        throw new MillraceError(
          "COMMIT_LOOKUP_WRONG",
          `hasCommitted(${id}) gave ${found}, where it should be ${expected}`,
          {
            hint: "A wrong yes loses the batch, a wrong no replays it: read it back from what commit() writes, by incarnation and batch id.",
          },
        );
      }
    });
  }

  async #abortHalfWay(attempt: Attempt): Promise<void> {
    let message: Message = null;
    const isStaged = await this.#findings.check("write() of a partition whose neighbour fails", async () => {
      message = await this.#write(attempt, 0);
    });
    if (!isStaged) return;
    await this.#failInside(attempt);
    const abort = async (what: string, hint: string) => {
      if (await this.#abort(attempt, [message, null], what, hint))
        await this.#see("ABORT_INCOMPLETE", `after ${what}`, hint);
    };
    await abort(
      "abort() of a batch that failed half way",
      "abort(messages) must take away what its own batch staged, and touch nothing else. The message of a task that failed is null.",
    );
    await abort("abort() again", "abort may be called again after a crash: what is gone already is fine.");
  }

  /** A source that fails in the middle: the writer may throw the error on, or swallow it. */
  async #failInside(attempt: Attempt): Promise<void> {
    const failure = new Error("the source failed, as the kit makes it");
    const schema = this.#schema;
    const [row = {}] = this.#rowsOf(attempt, 1);
    async function* failing(): AsyncGenerator<RecordBatch> {
      yield recordBatchOf(schema, [row]);
      throw failure;
    }
    try {
      await stage(await this.#maker.make(schema, false), failing(), this.#task(attempt, 1, 0));
    } catch {
      // As a writer should.
    }
  }

  /** As a retry beside a straggler: the first to be recorded counts, the other is dropped. */
  async #runTaskTwice(attempt: Attempt): Promise<void> {
    const rows = this.#rowsOf(attempt, 0);
    let messages: Messages | undefined;
    await this.#findings.check("write() of one partition by two attempts at once", async () => {
      const [loser, winner] = await Promise.all([
        this.#writeRows(rows, this.#task(attempt, 0, 0)),
        this.#writeRows(rows, this.#task(attempt, 0, 1)),
      ]);
      const writer = (await this.#maker.make(this.#schema, false)) as Partial<SupportsTaskAbort>;
      await writer.abortTask?.(loser, this.#task(attempt, 0, 0));
      messages = [winner, await this.#write(attempt, 1)];
    });
    if (
      messages === undefined ||
      !(await this.#commit(attempt, messages, "commit() of a batch whose task ran twice"))
    )
      return;
    this.#expected += 2 * ROWS;
    await this.#see(
      "TASK_NOT_ISOLATED",
      "after commit() of a batch of which one task ran twice",
      this.#options.showsRowsBeforeCommit === true
        ? "A task that fails and one that is slow run again, with the same rows: write by key (upsert), or insert in commit()."
        : "Stage under a name that no other attempt uses (task.attempt, task.attemptNumber and a random id), and commit only what the messages name.",
      ": the task that ran twice wrote its rows twice",
    );
  }

  async #writeNothing(attempt: Attempt): Promise<void> {
    let message: Message = null;
    const isStaged = await this.#findings.check("write() without rows", async () => {
      message = await this.#writeRows([], this.#task(attempt, 0, 0));
    });
    if (!isStaged || !(await this.#commit(attempt, [message], "commit() of a batch without rows"))) return;
    await this.#see(
      "COMMIT_INCOMPLETE",
      "after a batch without rows",
      "A batch without rows changes nothing.",
    );
  }

  /** A pipeline whose ledger was deleted begins at batch 0 again: its rows are new ones. */
  async #beginAgain(): Promise<void> {
    const again = { incarnation: this.#surroundings.runtime.newId(), batchId: 0, attempt: 1 };
    const messages = await this.#stage(again, "write() under another incarnation");
    if (
      messages === undefined ||
      !(await this.#commit(again, messages, "commit() under another incarnation"))
    )
      return;
    this.#expected += 2 * ROWS;
    await this.#see(
      "INCARNATION_IGNORED",
      "after batch 0 of another incarnation",
      "Recognise a batch by batch.incarnation and batchId together: a pipeline that begins again from nothing has another incarnation, and its rows are new.",
    );
  }

  async #overwrite(): Promise<void> {
    if (this.#maker.kind !== "batch") return;
    const attempt = { incarnation: this.#surroundings.runtime.newId(), batchId: 0, attempt: 1 };
    try {
      await this.#maker.make(this.#schema, true);
    } catch (error) {
      const isKnown = MillraceError.is(error) && error.code === "NOT_SUPPORTED";
      const message = error instanceof Error ? error.message : String(error);
      this.#findings.skip(
        isKnown
          ? "overwrite: the sink does not support it"
          : `overwrite: the sink refuses overwrite: ${message}`,
      );
      return;
    }
    const messages = await this.#stage(attempt, "write() that overwrites", true);
    if (messages === undefined) return;
    if (
      !(await this.#see("VISIBLE_BEFORE_COMMIT", "before commit() of a batch that overwrites", VISIBLE_HINT))
    )
      return;
    for (const what of ["commit() that overwrites", "commit() that overwrites, again"]) {
      if (!(await this.#commit(attempt, messages, what, { overwrite: true }))) return;
      this.#expected = 2 * ROWS;
      await this.#see(
        "OVERWRITE_INCOMPLETE",
        `after ${what}`,
        "With overwrite the batch takes the place of all rows, in one step.",
      );
    }
  }

  /** What is seen must be what is expected; false where it is not. `surplus` says what more rows come of. */
  async #see(code: string, when: string, hint: string, surplus = ""): Promise<boolean> {
    const isBeforeCommit = code === "VISIBLE_BEFORE_COMMIT" || code === "ABORT_INCOMPLETE";
    if (isBeforeCommit && this.#options.showsRowsBeforeCommit === true) return true;
    let found: number | undefined;
    const isRead = await this.#findings.check(`readBack() ${when}`, async () => {
      found = await this.#count();
    });
    if (!isRead || found === undefined || found === this.#expected) return true;
    this.#findings.add({
      code,
      message: `${when}, ${found} rows are seen instead of ${this.#expected}${found > this.#expected ? surplus : ""}`,
      hint,
    });
    this.#expected = found;
    return false;
  }

  async #count(): Promise<number | undefined> {
    const seen = await this.#options.readBack?.({ store: this.#surroundings.store });
    if (seen === undefined || typeof seen === "number") return seen;
    let count = 0;
    for await (const _row of seen) count++;
    return count;
  }

  #task({ incarnation, batchId, attempt }: Attempt, partitionId: number, attemptNumber: number): TaskContext {
    const sink = this.#surroundings.sinkContext(incarnation);
    return this.#surroundings.taskContext({ ...sink, batchId, attempt, partitionId, attemptNumber });
  }

  #batch({ incarnation, batchId, attempt }: Attempt, commitTried: boolean): BatchContext {
    return {
      ...this.#surroundings.sinkContext(incarnation),
      batchId,
      attempt,
      commitTried,
      plannedAt: this.#surroundings.now,
    };
  }
}

const VISIBLE_HINT =
  "write() must stage: a batch that fails, or a task that runs twice, must leave nothing that readers see. Stage in write and insert in commit, or write by key (upsert) and set showsRowsBeforeCommit.";
const IDEMPOTENT_HINT =
  "The engine calls commit() again after a crash: recognise (batch.incarnation, batchId), written in one step with the rows, and do nothing where it is there.";

async function stage(
  writer: Writer<unknown>,
  batches: AsyncGenerator<RecordBatch>,
  task: TaskContext,
): Promise<unknown> {
  return takesRows(writer) ? await writer.write(rowsIn(batches), task) : await writer.write(batches, task);
}

async function* rowsIn(batches: AsyncIterable<RecordBatch>): AsyncGenerator<NamedRow> {
  for await (const batch of batches) yield* rowsOf(batch);
}
