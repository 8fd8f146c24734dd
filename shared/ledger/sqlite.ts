import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { MillraceError } from "../contract/errors.ts";
import type { JsonValue } from "../contract/json.ts";
import { type Offset, sameOffset } from "../contract/offset.ts";
import {
  type Acquired,
  type AcquireRequest,
  type Batch,
  conflict,
  type Decision,
  type Fence,
  fenced,
  type Head,
  type Ledger,
  type NewBatch,
  type Outcome,
  type Task,
  type TaskKey,
} from "./ledger.ts";
import { type BatchState, statesBefore } from "./states.ts";

const SCHEMA_VERSION = 1;
/** A writer waits this long for another's transaction, which takes a few milliseconds. */
const BUSY_MILLISECONDS = 30_000;
const WAL_PAUSE_MILLISECONDS = 10;

const SCHEMA = `
CREATE TABLE heads (
  pipeline TEXT PRIMARY KEY,
  incarnation TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  lease TEXT,
  lease_owner TEXT,
  lease_expires_at INTEGER,
  next_batch_id INTEGER NOT NULL,
  start_offset TEXT,
  last_committed_batch_id INTEGER,
  open_batch_id INTEGER,
  unacknowledged TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE batches (
  pipeline TEXT NOT NULL,
  batch_id INTEGER NOT NULL,
  incarnation TEXT NOT NULL,
  start_offset TEXT NOT NULL,
  end_offset TEXT NOT NULL,
  partitions_key TEXT NOT NULL,
  tasks INTEGER NOT NULL,
  schema TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  state TEXT NOT NULL,
  last_tried_attempt INTEGER NOT NULL,
  planned_at INTEGER NOT NULL,
  first_planned_at INTEGER NOT NULL,
  finished_at INTEGER,
  progress TEXT,
  error TEXT,
  PRIMARY KEY (pipeline, batch_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE tasks (
  pipeline TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  batch_id INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  partition INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL,
  task TEXT NOT NULL,
  PRIMARY KEY (pipeline, incarnation, batch_id, attempt, partition)
) STRICT, WITHOUT ROWID;
CREATE INDEX tasks_by_time ON tasks (recorded_at);
`;

type Row = Record<string, string | number | null>;

/**
 * The ledger in one SQLite file. Journal WAL, so that `status` reads while a run writes; synchronous FULL, so that a
 * transition is on the disk before anyone acts on it: a commit must survive a loss of power as well as a kill, because the
 * source may forget rows once it was told of them. A batch costs about ten transactions, so FULL costs nothing that
 * is noticed.
 */
export class SqliteLedger implements Ledger {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** Opens the file, and makes it where there is none. Error: `LEDGER_FAILED`. */
  constructor(path: string) {
    try {
      this.#database = new DatabaseSync(path);
      this.#database.exec(`PRAGMA busy_timeout = ${BUSY_MILLISECONDS}`);
      this.#switchToWal();
      this.#database.exec("PRAGMA synchronous = FULL");
      this.#transaction(() => this.#migrate(path));
    } catch (error) {
      throw ledgerError(error, path);
    }
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  /** SQLite does not wait here, whatever the timeout, where two processes open a new file at the same moment. */
  #switchToWal(): void {
    for (let waited = 0; ; waited += WAL_PAUSE_MILLISECONDS) {
      try {
        this.#database.exec("PRAGMA journal_mode = WAL");
        return;
      } catch (error) {
        if (waited >= BUSY_MILLISECONDS || !isBusy(error)) throw error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAL_PAUSE_MILLISECONDS);
      }
    }
  }

  #migrate(path: string): void {
    const version = this.#one("PRAGMA user_version")?.["user_version"];
    if (version === SCHEMA_VERSION) return;
    if (version !== 0) {
      throw new MillraceError(
        "LEDGER_VERSION",
        `the ledger ${path} has version ${version}, this Millrace knows ${SCHEMA_VERSION}`,
        {
          where: { path },
          hint: "Use the Millrace that wrote it, or a newer one.",
        },
      );
    }
    this.#database.exec(SCHEMA);
    this.#database.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
  }

  async acquire(request: AcquireRequest): Promise<Acquired> {
    return this.#write(() => {
      const { pipeline, owner, now, newIncarnation } = request;
      this.#run(
        "INSERT INTO heads (pipeline, incarnation, epoch, next_batch_id) VALUES (?, ?, 0, 0) ON CONFLICT DO NOTHING",
        pipeline,
        newIncarnation,
      );
      const leaseIsFree = "lease IS NULL";
      const leaseIsOver = "lease_expires_at <= $now";
      const leaseIsMine = "lease_owner = $owner";
      const holderHasEnded = "epoch = $takeOverEpoch";
      const expiresAt = now + request.leaseMilliseconds;
      const changed = this.#run(
        `UPDATE heads SET epoch = epoch + 1, lease = $lease, lease_owner = $owner, lease_expires_at = $expiresAt
         WHERE pipeline = $pipeline AND (${[leaseIsFree, leaseIsOver, leaseIsMine, holderHasEnded].join(" OR ")})`,
        {
          pipeline,
          now,
          owner: owner.id,
          lease: JSON.stringify({ owner, expiresAt }),
          expiresAt,
          takeOverEpoch: request.takeOverEpoch ?? null,
        },
      );
      return { acquired: changed === 1, head: this.#mustHaveHead(pipeline) };
    });
  }

  async release(fence: Fence): Promise<void> {
    this.#write(() =>
      this.#run(
        "UPDATE heads SET lease = NULL, lease_owner = NULL, lease_expires_at = NULL WHERE pipeline = ? AND epoch = ?",
        fence.pipeline,
        fence.epoch,
      ),
    );
  }

  async initialize(fence: Fence, offset: Offset): Promise<void> {
    this.#fencedWrite(fence, () => {
      this.#run(
        "UPDATE heads SET start_offset = ? WHERE pipeline = ? AND start_offset IS NULL",
        JSON.stringify(offset),
        fence.pipeline,
      );
    });
  }

  async plan(fence: Fence, batch: NewBatch): Promise<Batch> {
    return this.#fencedWrite(fence, (head) => {
      if (head.openBatchId !== undefined)
        throw conflict(fence.pipeline, batch.batchId, `batch ${head.openBatchId} is open`);
      if (head.nextBatchId !== batch.batchId) {
        throw conflict(fence.pipeline, batch.batchId, `the next batch is ${head.nextBatchId}`);
      }
      if (head.offset !== undefined && !sameOffset(head.offset, batch.start)) {
        throw conflict(fence.pipeline, batch.batchId, "it does not start where the batch before it ended");
      }
      this.#run(
        `INSERT INTO batches (pipeline, batch_id, incarnation, start_offset, end_offset, partitions_key, tasks, schema, attempt,
           state, last_tried_attempt, planned_at, first_planned_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, 'planned', 0, ?, ?)`,
        fence.pipeline,
        batch.batchId,
        head.incarnation,
        JSON.stringify(batch.start),
        JSON.stringify(batch.end),
        batch.partitionsKey,
        batch.tasks,
        batch.schema,
        batch.now,
        batch.now,
      );
      this.#run(
        "UPDATE heads SET open_batch_id = ?, next_batch_id = ?, start_offset = ? WHERE pipeline = ?",
        batch.batchId,
        batch.batchId + 1,
        JSON.stringify(batch.start),
        fence.pipeline,
      );
      return this.#mustHaveBatch(fence.pipeline, batch.batchId);
    });
  }

  async replan(fence: Fence, batchId: number, attempt: number, now: number): Promise<Batch> {
    return this.#fencedWrite(fence, () => {
      const changed = this.#run(
        `UPDATE batches SET attempt = attempt + 1, state = 'planned', planned_at = ?, finished_at = NULL, progress = NULL
         WHERE pipeline = ? AND batch_id = ? AND attempt = ? AND state IN ('aborted', 'planned')`,
        now,
        fence.pipeline,
        batchId,
        attempt,
      );
      if (changed !== 1)
        throw conflict(fence.pipeline, batchId, `attempt ${attempt} cannot be followed by another`);
      return this.#mustHaveBatch(fence.pipeline, batchId);
    });
  }

  async recordTask(key: TaskKey, task: Task): Promise<Task> {
    return this.#write(() => {
      this.#run(
        `INSERT INTO tasks (pipeline, incarnation, batch_id, attempt, partition, recorded_at, task)
         VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
        key.pipeline,
        key.incarnation,
        key.batchId,
        key.attempt,
        key.partition,
        task.recordedAt,
        JSON.stringify(task),
      );
      return this.#readTask(key) ?? task;
    });
  }

  async decide(fence: Fence, decision: Decision): Promise<Batch> {
    return this.#fencedWrite(fence, () => {
      this.#run(
        `UPDATE batches SET state = ?, last_tried_attempt = MAX(last_tried_attempt, ?), error = COALESCE(?, error)
         WHERE pipeline = ? AND batch_id = ? AND attempt = ? AND state = ?`,
        decision.to,
        decision.to === "committing" ? decision.attempt : 0,
        decision.error === undefined ? null : JSON.stringify(decision.error),
        fence.pipeline,
        decision.batchId,
        decision.attempt,
        decision.from,
      );
      return this.#mustHaveBatch(fence.pipeline, decision.batchId);
    });
  }

  async finish(fence: Fence, outcome: Outcome): Promise<Batch> {
    const { pipeline } = fence;
    const { batchId } = outcome;
    return this.#fencedWrite(fence, () => {
      const changed = this.#run(
        `UPDATE batches SET state = ?, finished_at = ?, progress = ?, error = CASE WHEN ? THEN NULL ELSE error END
         WHERE pipeline = ? AND batch_id = ? AND attempt = ? AND state IN (${quoted(statesBefore(outcome.to))})`,
        outcome.to,
        outcome.now,
        JSON.stringify(outcome.progress),
        outcome.to === "committed" ? 1 : 0,
        pipeline,
        batchId,
        outcome.attempt,
      );
      const batch = this.#mustHaveBatch(pipeline, batchId);
      if (changed === 1 && outcome.to === "committed") {
        this.#run(
          `UPDATE heads SET start_offset = ?, last_committed_batch_id = ?, open_batch_id = NULL, unacknowledged = ?
           WHERE pipeline = ?`,
          JSON.stringify(batch.end),
          batchId,
          JSON.stringify({ batchId, end: batch.end }),
          pipeline,
        );
      }
      return batch;
    });
  }

  async acknowledge(fence: Fence, batchId: number): Promise<void> {
    this.#fencedWrite(fence, (head) => {
      if (head.unacknowledged?.batchId !== batchId) return;
      this.#run("UPDATE heads SET unacknowledged = NULL WHERE pipeline = ?", fence.pipeline);
    });
  }

  async head(pipeline: string): Promise<Head | undefined> {
    return this.#read(() => this.#readHead(pipeline));
  }

  async batch(pipeline: string, batchId: number): Promise<Batch | undefined> {
    return this.#read(() => this.#readBatch(pipeline, batchId));
  }

  async task(key: TaskKey): Promise<Task | undefined> {
    return this.#read(() => this.#readTask(key));
  }

  async tasks(key: Omit<TaskKey, "partition">): Promise<readonly Task[]> {
    return this.#read(() =>
      this.#all(
        `SELECT task FROM tasks WHERE pipeline = ? AND incarnation = ? AND batch_id = ? AND attempt = ? ORDER BY partition`,
        key.pipeline,
        key.incarnation,
        key.batchId,
        key.attempt,
      ).map((row) => JSON.parse(String(row["task"])) as Task),
    );
  }

  async batches(
    pipeline: string,
    options: { readonly limit: number; readonly before?: number },
  ): Promise<readonly Batch[]> {
    return this.#read(() =>
      this.#all(
        "SELECT * FROM batches WHERE pipeline = ? AND batch_id < ? ORDER BY batch_id DESC LIMIT ?",
        pipeline,
        options.before ?? Number.MAX_SAFE_INTEGER,
        options.limit,
      ).map(batchOf),
    );
  }

  async pipelines(): Promise<readonly string[]> {
    return this.#read(() =>
      this.#all("SELECT pipeline FROM heads ORDER BY pipeline").map((row) => String(row["pipeline"])),
    );
  }

  async expireTasks(before: number): Promise<void> {
    this.#write(() => this.#run("DELETE FROM tasks WHERE recorded_at < ?", before));
  }

  #readHead(pipeline: string): Head | undefined {
    const row = this.#one("SELECT * FROM heads WHERE pipeline = ?", pipeline);
    return row === undefined ? undefined : headOf(row);
  }

  #readBatch(pipeline: string, batchId: number): Batch | undefined {
    const row = this.#one("SELECT * FROM batches WHERE pipeline = ? AND batch_id = ?", pipeline, batchId);
    return row === undefined ? undefined : batchOf(row);
  }

  #readTask(key: TaskKey): Task | undefined {
    const row = this.#one(
      "SELECT task FROM tasks WHERE pipeline = ? AND incarnation = ? AND batch_id = ? AND attempt = ? AND partition = ?",
      key.pipeline,
      key.incarnation,
      key.batchId,
      key.attempt,
      key.partition,
    );
    return row === undefined ? undefined : (JSON.parse(String(row["task"])) as Task);
  }

  #mustHaveHead(pipeline: string): Head {
    const head = this.#readHead(pipeline);
    if (head === undefined)
      throw new MillraceError("LEDGER_FAILED", `the ledger has no pipeline "${pipeline}"`);
    return head;
  }

  #mustHaveBatch(pipeline: string, batchId: number): Batch {
    const batch = this.#readBatch(pipeline, batchId);
    if (batch === undefined) throw conflict(pipeline, batchId, "there is no such batch");
    return batch;
  }

  /** A transaction that does nothing but fail where another run has acquired the pipeline. */
  #fencedWrite<T>(fence: Fence, body: (head: Head) => T): T {
    return this.#write(() => {
      const head = this.#readHead(fence.pipeline);
      if (head === undefined || head.epoch !== fence.epoch) throw fenced(fence, head);
      return body(head);
    });
  }

  #write<T>(body: () => T): T {
    return this.#read(() => this.#transaction(body));
  }

  #read<T>(body: () => T): T {
    try {
      return body();
    } catch (error) {
      throw ledgerError(error);
    }
  }

  /** IMMEDIATE: a transaction that reads first and writes later must not meet another writer in between. */
  #transaction<T>(body: () => T): T {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const result = body();
      this.#database.exec("COMMIT");
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  #run(sql: string, ...parameters: (SQLInputValue | Record<string, SQLInputValue>)[]): number {
    return Number(this.#statement(sql).run(...(parameters as SQLInputValue[])).changes);
  }

  #one(sql: string, ...parameters: SQLInputValue[]): Row | undefined {
    return this.#statement(sql).get(...parameters) as Row | undefined;
  }

  #all(sql: string, ...parameters: SQLInputValue[]): readonly Row[] {
    return this.#statement(sql).all(...parameters) as Row[];
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

function quoted(states: readonly BatchState[]): string {
  return states.map((state) => `'${state}'`).join(", ");
}

/** An optional field: there only where the column has a value. */
function given<K extends string, T>(name: K, value: T | undefined): { [key in K]?: T } {
  return value === undefined ? {} : ({ [name]: value } as { [key in K]: T });
}

function json<T>(value: string | number | null | undefined): T | undefined {
  return typeof value === "string" ? (JSON.parse(value) as T & JsonValue) : undefined;
}

function number(value: string | number | null | undefined): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function headOf(row: Row): Head {
  return {
    pipeline: String(row["pipeline"]),
    incarnation: String(row["incarnation"]),
    epoch: Number(row["epoch"]),
    nextBatchId: Number(row["next_batch_id"]),
    ...given("lease", json<Exclude<Head["lease"], undefined>>(row["lease"])),
    ...given("offset", json<Offset>(row["start_offset"])),
    ...given("lastCommittedBatchId", number(row["last_committed_batch_id"])),
    ...given("openBatchId", number(row["open_batch_id"])),
    ...given("unacknowledged", json<Exclude<Head["unacknowledged"], undefined>>(row["unacknowledged"])),
  };
}

function batchOf(row: Row): Batch {
  return {
    pipeline: String(row["pipeline"]),
    incarnation: String(row["incarnation"]),
    batchId: Number(row["batch_id"]),
    start: json<Offset>(row["start_offset"]) ?? {},
    end: json<Offset>(row["end_offset"]) ?? {},
    partitionsKey: String(row["partitions_key"]),
    tasks: Number(row["tasks"]),
    schema: String(row["schema"]),
    attempt: Number(row["attempt"]),
    state: String(row["state"]) as BatchState,
    lastTriedAttempt: Number(row["last_tried_attempt"]),
    plannedAt: Number(row["planned_at"]),
    firstPlannedAt: Number(row["first_planned_at"]),
    ...given("finishedAt", number(row["finished_at"])),
    ...given("progress", json<Exclude<Batch["progress"], undefined>>(row["progress"])),
    ...given("error", json<Exclude<Batch["error"], undefined>>(row["error"])),
  };
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && /busy|locked/i.test(error.message);
}

function ledgerError(error: unknown, path?: string): unknown {
  if (MillraceError.is(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new MillraceError("LEDGER_FAILED", `the ledger failed: ${message}`, {
    ...(path === undefined ? {} : { where: { path } }),
    hint: "Check the disk's free space and the rights on the home folder, then run again: nothing is lost.",
    retryable: isBusy(error),
    cause: error,
  });
}
