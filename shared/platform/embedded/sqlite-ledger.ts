import { MillraceError } from "../../contract/errors.ts";
import { type Offset, sameOffset } from "../../contract/offset.ts";
import {
  type Acquired,
  type AcquireRequest,
  type Action,
  type Batch,
  conflict,
  type Decision,
  type Fence,
  fenced,
  findRewindProblem,
  type Head,
  holderChanged,
  type JournalEntry,
  type Ledger,
  type NewBatch,
  type Outcome,
  type PlanOfAttempt,
  type Rewind,
  type RunningTask,
  type Task,
  type TaskKey,
  unknownPipeline,
} from "../../engine/ports/ledger.ts";
import { type BatchState, statesBefore } from "../../engine/ports/states.ts";
import { SqliteConnection } from "./sqlite-connection.ts";
import { batchOf, headOf } from "./sqlite-rows.ts";

/** The ledger in one SQLite file: each step is one transaction. */
export class SqliteLedger implements Ledger {
  readonly #sql: SqliteConnection;

  /** Opens the file, and makes it where there is none, unless it is only to be read. Errors: `LEDGER_FAILED`, `LEDGER_VERSION`. */
  constructor(path: string, options: { readonly readOnly?: boolean } = {}) {
    this.#sql = new SqliteConnection(path, options);
  }

  close(): void {
    this.#sql.close();
  }

  async acquire(request: AcquireRequest): Promise<Acquired> {
    return this.#sql.write(() => {
      const { pipeline, owner, now, newIncarnation } = request;
      this.#sql.run(
        "INSERT INTO heads (pipeline, incarnation, epoch, next_batch_id) VALUES (?, ?, 0, 0) ON CONFLICT DO NOTHING",
        pipeline,
        newIncarnation,
      );
      const leaseIsFree = "lease IS NULL";
      const leaseIsOver = "lease_expires_at <= $now";
      const leaseIsMine = "lease_owner = $owner";
      const holderHasEnded = "epoch = $takeOverEpoch";
      const expiresAt = now + request.leaseMilliseconds;
      const changed = this.#sql.run(
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
    this.#sql.write(() =>
      this.#sql.run(
        "UPDATE heads SET lease = NULL, lease_owner = NULL, lease_expires_at = NULL WHERE pipeline = ? AND epoch = ?",
        fence.pipeline,
        fence.epoch,
      ),
    );
  }

  async initialize(fence: Fence, offset: Offset): Promise<void> {
    this.#fencedWrite(fence, () => {
      this.#sql.run(
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
      this.#sql.run(
        `INSERT INTO batches (pipeline, batch_id, incarnation, start_offset, end_offset, latest_offset, partitions_key, tasks, schema,
           attempt, state, last_tried_attempt, planned_at, first_planned_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 'planned', 0, ?, ?)`,
        fence.pipeline,
        batch.batchId,
        head.incarnation,
        JSON.stringify(batch.start),
        JSON.stringify(batch.end),
        batch.latest === undefined ? null : JSON.stringify(batch.latest),
        batch.partitionsKey,
        batch.tasks,
        batch.schema,
        batch.now,
        batch.now,
      );
      this.#sql.run(
        "UPDATE heads SET open_batch_id = ?, next_batch_id = ?, start_offset = ?, last_planned_at = ? WHERE pipeline = ?",
        batch.batchId,
        batch.batchId + 1,
        JSON.stringify(batch.start),
        batch.now,
        fence.pipeline,
      );
      return this.#mustHaveBatch(fence.pipeline, batch.batchId);
    });
  }

  async replan(fence: Fence, batch: Batch, now: number, plan: PlanOfAttempt = batch): Promise<Batch> {
    const { batchId, attempt } = batch;
    return this.#fencedWrite(fence, () => {
      const changed = this.#sql.run(
        `UPDATE batches SET attempt = attempt + 1, state = 'planned', planned_at = ?, finished_at = NULL, progress = NULL,
           partitions_key = ?, schema = ?
         WHERE pipeline = ? AND batch_id = ? AND attempt = ? AND state IN ('aborted', 'planned')`,
        now,
        plan.partitionsKey,
        plan.schema,
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
    return this.#sql.write(() => {
      this.#sql.run(
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

  async reportProgress(key: TaskKey, running: RunningTask): Promise<void> {
    this.#sql.write(() =>
      this.#sql.run(
        `INSERT INTO task_progress (pipeline, incarnation, batch_id, attempt, partition, reported_at, running)
         VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET reported_at = excluded.reported_at, running = excluded.running`,
        key.pipeline,
        key.incarnation,
        key.batchId,
        key.attempt,
        key.partition,
        running.reportedAt,
        JSON.stringify(running),
      ),
    );
  }

  async decide(fence: Fence, { batchId, attempt, state }: Batch, decision: Decision): Promise<Batch> {
    return this.#fencedWrite(fence, () => {
      this.#sql.run(
        `UPDATE batches SET state = ?, last_tried_attempt = MAX(last_tried_attempt, ?), error = COALESCE(?, error)
         WHERE pipeline = ? AND batch_id = ? AND attempt = ? AND state = ?`,
        decision.to,
        decision.to === "committing" ? attempt : 0,
        decision.error === undefined ? null : JSON.stringify(decision.error),
        fence.pipeline,
        batchId,
        attempt,
        state,
      );
      return this.#mustHaveBatch(fence.pipeline, batchId);
    });
  }

  async finish(fence: Fence, { batchId, attempt }: Batch, outcome: Outcome): Promise<Batch> {
    const { pipeline } = fence;
    return this.#fencedWrite(fence, () => {
      const changed = this.#sql.run(
        `UPDATE batches SET state = ?, finished_at = ?, progress = ?, error = CASE WHEN ? THEN NULL ELSE error END
         WHERE pipeline = ? AND batch_id = ? AND attempt = ? AND state IN (${quoted(statesBefore(outcome.to))})`,
        outcome.to,
        outcome.now,
        JSON.stringify(outcome.progress),
        outcome.to === "committed" ? 1 : 0,
        pipeline,
        batchId,
        attempt,
      );
      const batch = this.#mustHaveBatch(pipeline, batchId);
      if (changed === 1 && outcome.to === "committed") {
        this.#sql.run(
          `UPDATE heads SET start_offset = ?, last_committed_batch_id = ?, open_batch_id = NULL, unacknowledged = ?, last_commit = ?
           WHERE pipeline = ?`,
          JSON.stringify(batch.end),
          batchId,
          JSON.stringify({ batchId, end: batch.end }),
          outcome.lastCommit === undefined ? null : JSON.stringify(outcome.lastCommit),
          pipeline,
        );
      }
      return batch;
    });
  }

  async acknowledge(fence: Fence, batchId: number): Promise<void> {
    this.#fencedWrite(fence, (head) => {
      if (head.unacknowledged?.batchId !== batchId) return;
      this.#sql.run("UPDATE heads SET unacknowledged = NULL WHERE pipeline = ?", fence.pipeline);
    });
  }

  async pause(pipeline: string, action: Action): Promise<void> {
    this.#journaledWrite(pipeline, { action: "pause", ...action }, () =>
      this.#sql.run("UPDATE heads SET paused = ? WHERE pipeline = ?", JSON.stringify(action), pipeline),
    );
  }

  async resume(pipeline: string, action: Action): Promise<void> {
    this.#journaledWrite(pipeline, { action: "resume", ...action }, () =>
      this.#sql.run("UPDATE heads SET paused = NULL WHERE pipeline = ?", pipeline),
    );
  }

  async rewind(fence: Fence, rewind: Rewind): Promise<void> {
    const { pipeline } = fence;
    this.#journaledWrite(pipeline, { action: "rewind", ...rewind }, (head) => {
      const problem = findRewindProblem(fence, rewind, head);
      if (problem !== undefined) throw problem;
      this.#sql.run(
        "UPDATE heads SET start_offset = ? WHERE pipeline = ?",
        JSON.stringify(rewind.to),
        pipeline,
      );
    });
  }

  async unlock(fence: Fence, action: Action): Promise<void> {
    const { pipeline } = fence;
    this.#journaledWrite(pipeline, { action: "unlock", ...action }, (head) => {
      if (head.epoch !== fence.epoch) throw holderChanged(fence, head);
      this.#sql.run(
        "UPDATE heads SET epoch = epoch + 1, lease = NULL, lease_owner = NULL, lease_expires_at = NULL WHERE pipeline = ?",
        pipeline,
      );
    });
  }

  async head(pipeline: string): Promise<Head | undefined> {
    return this.#sql.read(() => this.#readHead(pipeline));
  }

  async batch(pipeline: string, batchId: number): Promise<Batch | undefined> {
    return this.#sql.read(() => this.#readBatch(pipeline, batchId));
  }

  async task(key: TaskKey): Promise<Task | undefined> {
    return this.#sql.read(() => this.#readTask(key));
  }

  async tasks(key: Omit<TaskKey, "partition">): Promise<readonly Task[]> {
    return this.#sql.read(() =>
      this.#sql
        .all(
          `SELECT task FROM tasks WHERE pipeline = ? AND incarnation = ? AND batch_id = ? AND attempt = ? ORDER BY partition`,
          key.pipeline,
          key.incarnation,
          key.batchId,
          key.attempt,
        )
        .map((row) => JSON.parse(String(row["task"])) as Task),
    );
  }

  async progress(key: Omit<TaskKey, "partition">): Promise<readonly RunningTask[]> {
    return this.#sql.read(() =>
      this.#sql
        .all(
          `SELECT running FROM task_progress WHERE pipeline = ? AND incarnation = ? AND batch_id = ? AND attempt = ? ORDER BY partition`,
          key.pipeline,
          key.incarnation,
          key.batchId,
          key.attempt,
        )
        .map((row) => JSON.parse(String(row["running"])) as RunningTask),
    );
  }

  async batches(
    pipeline: string,
    options: { readonly limit: number; readonly before?: number },
  ): Promise<readonly Batch[]> {
    return this.#sql.read(() =>
      this.#sql
        .all(
          "SELECT * FROM batches WHERE pipeline = ? AND batch_id < ? ORDER BY batch_id DESC LIMIT ?",
          pipeline,
          options.before ?? Number.MAX_SAFE_INTEGER,
          options.limit,
        )
        .map(batchOf),
    );
  }

  async journal(pipeline: string, options: { readonly limit: number }): Promise<readonly JournalEntry[]> {
    return this.#sql.read(() =>
      this.#sql
        .all("SELECT entry FROM journal WHERE pipeline = ? ORDER BY id DESC LIMIT ?", pipeline, options.limit)
        .map((row) => JSON.parse(String(row["entry"])) as JournalEntry),
    );
  }

  async pipelines(): Promise<readonly string[]> {
    return this.#sql.read(() =>
      this.#sql.all("SELECT pipeline FROM heads ORDER BY pipeline").map((row) => String(row["pipeline"])),
    );
  }

  async expireTasks(before: number): Promise<void> {
    this.#sql.write(() => {
      this.#sql.run("DELETE FROM tasks WHERE recorded_at < ?", before);
      this.#sql.run("DELETE FROM task_progress WHERE reported_at < ?", before);
    });
  }

  #readHead(pipeline: string): Head | undefined {
    const row = this.#sql.one("SELECT * FROM heads WHERE pipeline = ?", pipeline);
    return row === undefined ? undefined : headOf(row);
  }

  #readBatch(pipeline: string, batchId: number): Batch | undefined {
    const row = this.#sql.one("SELECT * FROM batches WHERE pipeline = ? AND batch_id = ?", pipeline, batchId);
    return row === undefined ? undefined : batchOf(row);
  }

  #readTask(key: TaskKey): Task | undefined {
    const row = this.#sql.one(
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
    return this.#sql.write(() => {
      const head = this.#readHead(fence.pipeline);
      if (head === undefined || head.epoch !== fence.epoch) throw fenced(fence, head);
      return body(head);
    });
  }

  /** A transaction that notes in the journal what it does by hand. */
  #journaledWrite(pipeline: string, entry: JournalEntry, body: (head: Head) => void): void {
    this.#sql.write(() => {
      const head = this.#readHead(pipeline);
      if (head === undefined) throw unknownPipeline(pipeline);
      body(head);
      this.#sql.run("INSERT INTO journal (pipeline, entry) VALUES (?, ?)", pipeline, JSON.stringify(entry));
    });
  }
}

function quoted(states: readonly BatchState[]): string {
  return states.map((state) => `'${state}'`).join(", ");
}
