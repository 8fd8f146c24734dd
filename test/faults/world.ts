import type { Runtime } from "../../shared/contract/context.ts";
import type { ObjectStore } from "../../shared/contract/object-store.ts";
import type { Offset } from "../../shared/contract/offset.ts";
import { optional } from "../../shared/contract/optional.ts";
import type { Batch, Ledger } from "../../shared/engine/ports/ledger.ts";
import type { BatchState } from "../../shared/engine/ports/states.ts";
import { SqliteLedger } from "../../shared/platform/embedded/sqlite-ledger.ts";
import { type MemoryObjects, MemoryStore, memoryObjects } from "../../shared/platform/memory/memory-store.ts";
import { judgeCommand } from "./command-judge.ts";
import { Commits } from "./commits.ts";
import { Database } from "./database.ts";
import { DatabaseLedger } from "./database-ledger.ts";
import { LateCalls } from "./late-calls.ts";
import { judgeMerge } from "./merged-rows.ts";
import { isBatchPipeline, isInDatabase, offsetAt, rowsBetween, type Setup, type Shape } from "./setup.ts";
import type { Surroundings } from "./surroundings.ts";
import { LOG, type LogEntry, TableView } from "./table-view.ts";
import { Watched } from "./watched-store.ts";
import { type Rollback, WorldLedger } from "./world-ledger.ts";

/** Matches the keys of staged files, in the table or in the pipeline's own store. */
const STAGED = /(?:^|\/)data\/|^staging\//;

/** A ledger and a store that real runs left. The judge treats them like those in memory. */
export interface Remains {
  readonly pipeline: string;
  readonly ledger: Ledger;
  readonly objects: MemoryObjects;
}

interface WorldOptions {
  readonly remains?: Remains;
  readonly setup?: Setup;
  /** True if the ledger is a file, so that a copy of it can be put back. */
  readonly isOnDisk?: boolean;
  readonly rollback?: Rollback;
}

/**
 * Everything that outlives a process: the ledger, the objects and the source. It judges the
 * invariants from what a user can see: the format of the table and the calls of the contract.
 */
export class World implements Surroundings {
  now = Date.UTC(2026, 10, 21);
  readonly #ledger: WorldLedger;
  readonly pipeline: string;
  shape: Shape;
  readonly objects: MemoryObjects;
  /** Rows of batches that were skipped. */
  readonly skipped = new Set<number>();
  /** The offsets that the source received in `commit(end)`. */
  readonly acknowledged = new Set<number>();
  readonly violations: string[] = [];
  readonly late: LateCalls = new LateCalls();
  readonly setup: Setup;
  readonly database: Database = new Database();
  /** True if the case has one fault in one run, and no other run works at the same time. */
  hasOneFault = false;
  /** True if one run works until it ends, and no step of it goes on later. */
  hasOneRun = false;
  readonly #store: ObjectStore;
  readonly #table: TableView;
  readonly #named = new Set<string>();
  readonly #states = new Map<string, Set<BatchState>>();
  readonly #recorded = new Set<string>();
  readonly #messages = new Map<string, string>();
  /** The offset to which an operator moved the start of a batch, by the id of the batch. */
  readonly #jumps = new Map<number, number>();
  /** Batches that are never finished, because an adoption went on without them. */
  readonly #givenUp = new Set<number>();
  /** Rows for which the source was asked a second time. */
  #again: { readonly from: number; readonly to: number } | undefined;
  #ids = 0;
  /** True if a file was lost that a batch needs, so that some of its work is done again. */
  #hasLostFile = false;

  /** Creates an empty world, or one with what real runs left. */
  constructor(shape: Shape, options: WorldOptions = {}) {
    const { remains, setup = {}, isOnDisk = false, rollback } = options;
    this.shape = setup.shape ?? shape;
    this.setup = setup;
    this.pipeline = remains?.pipeline ?? "numbers";
    const make = (path: string) =>
      remains?.ledger ??
      (setup.sink === "transactional" ? new DatabaseLedger(path, this.database) : new SqliteLedger(path));
    const hasLargeMessages = setup.largeMessages ?? false;
    this.#ledger = new WorldLedger(make, { isOnDisk, hasLargeMessages, ...optional("rollback", rollback) });
    this.objects = remains?.objects ?? memoryObjects(() => this.now);
    this.#table = new TableView(this.objects);
    this.#store = new Watched(new MemoryStore(this.objects), this, "");
  }

  get ledger(): Ledger {
    return this.#ledger.ledger;
  }

  /** The store of the pipeline. It reports to this world. */
  get store(): ObjectStore {
    return this.#store;
  }

  runtime(skew = 0): Runtime {
    return {
      now: () => this.now + skew,
      monotonic: () => this.now,
      random: () => 0.5,
      newId: () => `00000000-0000-4000-8000-${String(++this.#ids).padStart(12, "0")}`,
      env: {},
      sleep: async (milliseconds, signal) => {
        // A sleep with a signal is the timeout of a call. It never ends by itself here, because no
        // call takes that long.
        if (signal !== undefined)
          return await new Promise<void>((_, reject) => signal.addEventListener("abort", reject));
        this.now += milliseconds;
      },
    };
  }

  readonly commits = new Commits();

  async pass(name: string): Promise<void> {
    await this.late.pass();
    if (this.#ledger.pass(name, this.commits.areUnderWay)) this.#forget();
  }

  /** Rolls the ledger back, as the case says, unless that is done already. */
  rollBack(): void {
    if (this.#ledger.rollBack()) this.#forget();
  }

  /** Deletes the ledger and creates an empty one. */
  loseLedger(): void {
    this.#ledger.lose();
    this.#forget();
    this.acknowledged.clear();
  }

  /** Keeps a copy of the ledger. Returns a function that puts it back. */
  keepLedger(): () => void {
    const restore = this.#ledger.keep();
    return () => {
      restore();
      this.#forget();
    };
  }

  /** Forgets what the ledger no longer knows. */
  #forget(): void {
    this.#states.clear();
    this.#recorded.clear();
    this.#messages.clear();
  }

  /** Keeps a copy of all objects. Returns a function that puts it back. */
  keepObjects(): () => void {
    const kept = new Map(this.objects.objects);
    return () => {
      this.objects.objects.clear();
      for (const [key, object] of kept) this.objects.objects.set(key, object);
      this.#named.clear();
      for (const entry of this.#table.log())
        for (const { path } of entry.add) this.#named.add(`table/${path}`);
    };
  }

  /** Deletes what is committed, but nothing that is staged. */
  loseTable(): void {
    for (const key of [...this.objects.objects.keys()])
      if (LOG.test(key) || this.#named.has(key)) this.objects.objects.delete(key);
    this.#named.clear();
  }

  /** Notes that the source was asked for these rows again. */
  expectsAgain(from: number, to: number): void {
    this.#again = { from, to };
  }

  /** Judges that a staged file is gone. Runs at the same time may delete files of each other. */
  sawDamaged(): void {
    if (this.hasOneRun || this.hasOneFault) this.broken("a file that the record of a task names was deleted");
  }

  /**
   * Judges that a file of exchanged rows is gone. A task of an attempt that has ended may find
   * that.
   */
  sawExchangedMissing(): void {
    if (this.hasOneFault) this.broken("a file of exchanged rows that the record of a task names was deleted");
  }

  /** Notes that a run found the plan of a batch gone, and asked the source for another. */
  sawPlanMissing(): void {
    // The sink of a batch pipeline is not asked whether a batch has landed before its plan is read.
    const isKnown = this.#ledger.isRolledBack && isBatchPipeline(this.setup);
    if (!this.#hasLostFile && !isKnown) this.broken("the plan of a batch was deleted");
  }

  async loseFile(number: number): Promise<void> {
    const { openBatchId = -1 } = (await this.ledger.head(this.pipeline)) ?? {};
    const open = await this.ledger.batch(this.pipeline, openBatchId);
    if (open === undefined || open.lastTriedAttempt > 0) return;
    const keys = [...this.objects.objects.keys()].filter(
      (key) => STAGED.test(key) || key.startsWith("batches/"),
    );
    const needed = keys.filter((key) => !this.#named.has(key));
    const lost = needed[number % needed.length];
    this.#hasLostFile ||= lost !== undefined && this.objects.objects.delete(lost);
  }

  /** Adds rows to the source, and makes its batches larger, so that they are cut differently. */
  addRows(count: number): void {
    this.shape = {
      ...this.shape,
      rows: this.shape.rows + count,
      rowsABatch: this.shape.rowsABatch + 1,
    };
  }

  /** Notes that this batch stays unfinished. */
  expectsGivenUp(batchId: number): void {
    this.#givenUp.add(batchId);
  }

  close(): void {
    this.#ledger.close();
  }

  broken(what: string): void {
    if (!this.violations.includes(what)) this.violations.push(what);
  }

  // Observations during the runs.

  sawPut(key: string): void {
    const version = LOG.exec(key)?.[1];
    if (version === undefined) return;
    const folder = key.slice(0, key.indexOf("_log/"));
    const { add, remove } = this.#table.entry(key);
    for (const { path } of remove) this.#named.delete(folder + path);
    for (const { path } of add) {
      if (!this.objects.objects.has(folder + path)) this.broken("a commit names a file that is not there");
      if (this.#named.has(folder + path)) this.broken("two commits name one file");
      this.#named.add(folder + path);
    }
  }

  sawDelete(key: string): void {
    if (this.#named.has(key)) this.broken("a file that a commit names was deleted");
    if (LOG.test(key)) this.broken("a commit was deleted");
  }

  /**
   * Judges the arguments of `commit`. All calls of `commit` for one attempt of one plan must have
   * equal messages.
   */
  sawCommit(attempt: string, messages: string): void {
    // A ledger that was rolled back lets tasks run again. A sink that has the batch ignores them.
    const isFirst = !this.#ledger.isRolledBack && !this.#hasLostFile;
    if (isFirst && (this.#messages.get(attempt) ?? messages) !== messages)
      this.broken("a commit was asked for again with other messages");
    this.#messages.set(attempt, messages);
  }

  sawState(batchId: number, attempt: number, state: BatchState): void {
    // If no other run works at the same time, a commit takes effect before an abort is decided, or
    // never.
    const isVisible = () => this.#landed().some((entry) => entry.batchId === batchId);
    if (this.hasOneFault && state === "aborting" && isVisible())
      this.broken("a batch that is in the table was aborted");
    const key = `${batchId}/${attempt}`;
    const states = this.#states.get(key) ?? new Set();
    this.#states.set(key, states.add(state));
    if (states.has("committed") && states.has("aborted"))
      this.broken("a batch attempt is both committed and aborted");
    const isCommitted = [...this.#states].some(
      ([other, seen]) => other.startsWith(`${batchId}/`) && seen.has("committed"),
    );
    if (isCommitted && state !== "committed") this.broken("a committed batch has changed its state");
  }

  /** Notes that an operator moved the start of this batch to `to`. */
  expectsJump(batchId: number, to: number): void {
    this.#jumps.set(batchId, to);
  }

  sawTask(key: string): void {
    this.#recorded.add(key);
  }

  /**
   * Judges that a task is run. A recorded task must not run again, unless another run works at the
   * same time.
   */
  sawRead(key: string, isAlone: boolean): void {
    // A ledger that was rolled back does not know what was recorded since.
    const isOnce = isAlone && !this.#ledger.isRolledBack && !this.#hasLostFile;
    if (isOnce && this.#recorded.has(key)) this.broken("a task that had finished was run again");
  }

  sawAcknowledged(end: number): void {
    const visible = new Set(this.visible());
    const isThere = (id: number) => visible.has(id) || this.skipped.has(id);
    if (!rowsBetween(this.shape, 0, end).every(isThere))
      this.broken("the source was told to forget rows that are not in the table");
    this.#judgeAgain(end);
    this.acknowledged.add(end);
  }

  #judgeAgain(end: number): void {
    if (this.#again === undefined) return;
    const { from, to } = this.#again;
    const written = this.visible().filter((id) => id >= from && id < to).length;
    if (end >= to && written < 2 * (to - from))
      this.broken("the source was told to forget rows that it was asked for again");
  }

  // Invariants that must hold after all runs.

  /** Judges the final state. `expected` are the rows of the table, in order. */
  async judge(expected: readonly number[]): Promise<void> {
    this.#judgeRows(expected);
    const { command, merge } = this.setup;
    if (merge) for (const what of judgeMerge(this.database.merged, this.visible())) this.broken(what);
    if (command !== undefined)
      for (const what of await judgeCommand(this, command.name, this.#ledger.isRolledBack)) this.broken(what);
    this.#judgeObjects();
    await this.#judgeLedger();
  }

  #judgeRows(expected: readonly number[]): void {
    const rows = this.visible();
    if (JSON.stringify(rows) === JSON.stringify(expected)) return;
    const left = [...rows];
    const missing = expected.filter((id) => {
      const at = left.indexOf(id);
      if (at >= 0) left.splice(at, 1);
      return at < 0;
    });
    if (missing.length > 0) this.broken(`${missing.length} rows are lost`);
    else this.broken(rows.length > expected.length ? "rows are doubled" : "rows are out of order");
  }

  #judgeObjects(): void {
    for (const key of this.objects.objects.keys()) {
      // A ledger that was rolled back does not know what was staged since.
      if (this.#ledger.isRolledBack) continue;
      if (STAGED.test(key) && !this.#named.has(key)) this.broken("a staged file was left behind");
      if (key.startsWith("batches/")) this.broken("a plan or a message was left behind");
    }
    for (const key of this.#named)
      if (!this.objects.objects.has(key)) this.broken("a committed file is gone");
    if (this.objects.uploads.size > 0) this.broken("an unfinished upload was left behind");
  }

  async #judgeLedger(): Promise<void> {
    const batches = [...(await this.ledger.batches(this.pipeline, { limit: 1000 }))].reverse();
    const head = await this.ledger.head(this.pipeline);
    const lives = [head?.incarnation, ...(head?.formerIncarnations ?? [])];
    if (batches.some(({ incarnation }) => !lives.includes(incarnation)))
      this.broken("the ledger has a batch of another life");
    const end = this.#judgeBatches(batches.filter(({ batchId }) => !this.#givenUp.has(batchId)));
    const jump = this.#jumps.get(head?.nextBatchId ?? 0);
    if (
      JSON.stringify(head?.offset) !== JSON.stringify(jump === undefined ? end : offsetAt(this.setup, jump))
    )
      this.broken("the offset is not the end of the last batch");
    if (head?.openBatchId !== undefined) this.broken("a batch is left open");
    if (head?.unacknowledged !== undefined) this.broken("a batch is left to acknowledge");
    const ids = this.#landed().map((entry) => `${entry.incarnation} ${entry.batchId}`);
    if (new Set(ids).size !== ids.length) this.broken("the log has a batch twice");
  }

  /**
   * True if the source was told that a batch with this end is committed. After a jump, its rows may
   * be in a batch with a later end.
   */
  #isTold({ n }: Offset): boolean {
    // The source of a batch pipeline is told nothing.
    if (n === undefined) return isBatchPipeline(this.setup);
    const end = Number(n);
    const hasJumped = this.#jumps.size > 0 && [...this.acknowledged].some((told) => told >= end);
    return this.acknowledged.has(end) || hasJumped;
  }

  /** Judges the batches, oldest first. Returns the end of the last one. */
  #judgeBatches(batches: readonly Batch[]): Offset {
    let end: Offset = offsetAt(this.setup, 0);
    let next = 0;
    for (const batch of batches) {
      const jump = this.#jumps.get(batch.batchId);
      if (jump !== undefined) end = offsetAt(this.setup, jump);
      // An adoption goes on after the newest batch in the sink, and so skips its ids.
      if (batch.batchId !== next && jump === undefined) this.broken("batch ids do not go up by one");
      if (JSON.stringify(batch.start) !== JSON.stringify(end)) this.broken("offset ranges do not join");
      if (batch.state !== "committed") this.broken(`a batch is left ${batch.state}`);
      if (!this.#isTold(batch.end)) this.broken("the source was never told of a committed batch");
      next = batch.batchId + 1;
      end = batch.end;
    }
    return end;
  }

  /** Returns the rows that a reader of the sink sees now, in the order of their commits. */
  visible(): readonly number[] {
    return isInDatabase(this.setup) ? this.database.rows() : this.#table.rows();
  }

  /** Returns the batches that a reader of the sink sees now. */
  #landed(): readonly Pick<LogEntry, "incarnation" | "batchId">[] {
    return isInDatabase(this.setup) ? this.database.batches : this.#table.log();
  }
}
