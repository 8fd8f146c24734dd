import type { ErrorRecord } from "../../contract/errors.ts";
import type { Offset } from "../../contract/offset.ts";
import { optional } from "../../contract/optional.ts";
import {
  authorizationOf,
  authorized,
  claimReleased,
  type TaskSlot,
  type TaskSlotChange,
  taskRecorded,
} from "../../engine/ports/commit-claims.ts";
import { applyChange, holds } from "../../engine/ports/compare-and-set.ts";
import type {
  Acquired,
  AcquireRequest,
  Batch,
  Decision,
  Fence,
  Head,
  Ledger,
  LedgerLimits,
  NewBatch,
  Outcome,
  PipelineIdentity,
  PlanOfAttempt,
  PlanOfStage,
} from "../../engine/ports/ledger.ts";
import type {
  Action,
  Adoption,
  BackfillChange,
  JournalEntry,
  Rewind,
  Skip,
} from "../../engine/ports/manual-operations.ts";
import {
  accepted,
  adopted,
  backfillsSet,
  paused,
  resumed,
  rewound,
  skipped,
  unlocked,
} from "../../engine/ports/manual-transitions.ts";
import type { Unplanned } from "../../engine/ports/records.ts";
import { fenced, isHeldBy } from "../../engine/ports/refusals.ts";
import { stageOf } from "../../engine/ports/stages.ts";
import type {
  CommitAuthorization,
  CommitClaim,
  RunningTask,
  Task,
  TaskKey,
} from "../../engine/ports/tasks.ts";
import {
  allows,
  type BatchTransition,
  type CurrentRecords,
  type Transition,
} from "../../engine/ports/transition.ts";
import {
  acknowledged,
  acquired,
  decided,
  errorRecorded,
  finished,
  identified,
  idled,
  initialized,
  planned,
  released,
  replanned,
  stagePlanned,
  undecided,
} from "../../engine/ports/transitions.ts";
import { SqliteConnection } from "./sqlite-connection.ts";
import { batchOf, batchRow, headOf, headRow, type Row } from "./sqlite-rows.ts";

const OF_ATTEMPT =
  "pipeline = $pipeline AND incarnation = $incarnation AND batch_id = $batch_id AND attempt = $attempt AND stage = $stage";
const OF_TASK = `${OF_ATTEMPT} AND partition = $partition`;

/** The stage of tasks that write. */
const NO_STAGE = -1;

/** The ledger in one SQLite file. Each step is one transaction. */
export class SqliteLedger implements Ledger {
  /**
   * SQLite allows larger rows. The limits keep large values out of the file, which would only grow.
   */
  readonly limits: LedgerLimits = {
    messageBytes: 100 * 1024,
    offsetBytes: 1024 * 1024,
    schemaBytes: 32 * 1024,
    maxSinkItems: 0,
  };
  readonly #sql: SqliteConnection;

  /**
   * Opens the file. Creates it if it does not exist, unless `readOnly` is true. Throws
   * `LEDGER_FAILED` or `LEDGER_VERSION`.
   */
  constructor(path: string, options: { readonly readOnly?: boolean } = {}) {
    this.#sql = new SqliteConnection(path, options);
  }

  close(): void {
    this.#sql.close();
  }

  async acquire(request: AcquireRequest): Promise<Acquired> {
    const { applied, head } = this.#apply(acquired(request));
    // The head exists, because `acquired` creates it.
    return { acquired: applied, head: head as Head };
  }

  async release(fence: Fence, unplanned?: Unplanned): Promise<void> {
    this.#apply(released(fence, unplanned));
  }

  async recordIdle(fence: Fence, now: number): Promise<void> {
    this.#apply(idled(fence, now));
  }

  async initialize(fence: Fence, offset: Offset): Promise<void> {
    this.#apply(initialized(fence, offset));
  }

  async plan(fence: Fence, batch: NewBatch): Promise<Batch> {
    return this.#changeBatch(planned(fence, batch));
  }

  async replan(fence: Fence, batch: Batch, now: number, plan?: PlanOfAttempt): Promise<Batch> {
    return this.#changeBatch(replanned(fence, batch, now, plan));
  }

  async planStage(fence: Fence, batch: Batch, plan: PlanOfStage): Promise<Batch> {
    return this.#changeBatch(stagePlanned(fence, batch, plan));
  }

  async recordTask(key: TaskKey, task: Task): Promise<Task> {
    return this.#changeSlot(key, taskRecorded(task)).slot.task ?? task;
  }

  async authorizeCommit(key: TaskKey, claim: CommitClaim, now: number): Promise<CommitAuthorization> {
    const { changed, slot } = this.#changeSlot(key, authorized(claim, now));
    return authorizationOf(changed, slot);
  }

  async releaseCommit(key: TaskKey, writerId: string): Promise<void> {
    this.#changeSlot(key, claimReleased(writerId));
  }

  async dropTasks(fence: Fence, batch: Batch, tasks: readonly Task[]): Promise<void> {
    this.#apply(undecided(fence, batch), () => {
      for (const { partition, writerId } of tasks)
        this.#sql.run(`DELETE FROM tasks WHERE ${OF_TASK} AND task ->> 'writerId' = $writer_id`, {
          ...partitionRow({ ...batch, ...stageOf(batch), partition }),
          writer_id: writerId,
        });
    });
  }

  async reportProgress(key: TaskKey, running: RunningTask): Promise<void> {
    this.#sql.write(() =>
      this.#sql.run(
        `INSERT INTO task_progress (pipeline, incarnation, batch_id, attempt, stage, partition, reported_at, running)
         VALUES ($pipeline, $incarnation, $batch_id, $attempt, $stage, $partition, $reported_at, $running)
         ON CONFLICT DO UPDATE SET reported_at = excluded.reported_at, running = excluded.running`,
        { ...partitionRow(key), reported_at: running.reportedAt, running: JSON.stringify(running) },
      ),
    );
  }

  async decide(fence: Fence, batch: Batch, decision: Decision): Promise<Batch> {
    return this.#changeBatch(decided(fence, batch, decision));
  }

  async recordError(fence: Fence, batch: Batch, error: ErrorRecord): Promise<void> {
    this.#apply(errorRecorded(fence, batch, error));
  }

  async finish(fence: Fence, batch: Batch, outcome: Outcome): Promise<Batch> {
    return this.#changeBatch(finished(fence, batch, outcome, this.limits));
  }

  async acknowledge(fence: Fence, batchId: number): Promise<void> {
    this.#apply(acknowledged(fence, batchId));
  }

  async pause(pipeline: string, action: Action): Promise<void> {
    this.#apply(paused(pipeline, action));
  }

  async resume(pipeline: string, action: Action): Promise<void> {
    this.#apply(resumed(pipeline, action));
  }

  async rewind(fence: Fence, rewind: Rewind): Promise<void> {
    this.#apply(rewound(fence, rewind));
  }

  async identify(fence: Fence, identity: PipelineIdentity): Promise<void> {
    this.#apply(identified(fence, identity));
  }

  async accept(pipeline: string, action: Action): Promise<void> {
    this.#apply(accepted(pipeline, action));
  }

  async setBackfills(pipeline: string, change: BackfillChange): Promise<void> {
    this.#apply(backfillsSet(pipeline, change));
  }

  async adopt(fence: Fence, adoption: Adoption, open: Batch | undefined): Promise<void> {
    const head = await this.head(fence.pipeline);
    if (head === undefined || !isHeldBy(fence, head)) throw fenced(fence, head);
    this.#apply(adopted(fence, head, adoption, open));
  }

  async skip(fence: Fence, batch: Batch, skip: Skip): Promise<Batch> {
    return this.#changeBatch(skipped(fence, batch, skip));
  }

  async forget(fence: Fence): Promise<void> {
    const { pipeline } = fence;
    this.#sql.write(() => {
      const head = this.#readHead(pipeline);
      if (!isHeldBy(fence, head)) throw fenced(fence, head);
      for (const table of ["tasks", "task_progress", "commit_claims", "batches", "journal", "heads"])
        this.#sql.run(`DELETE FROM ${table} WHERE pipeline = $pipeline`, { pipeline });
    });
  }

  async unlock(fence: Fence, action: Action): Promise<void> {
    this.#apply(unlocked(fence, action));
  }

  async head(pipeline: string): Promise<Head | undefined> {
    return this.#sql.read(() => this.#readHead(pipeline));
  }

  async batch(pipeline: string, batchId: number): Promise<Batch | undefined> {
    return this.#sql.read(() => this.#readBatch(pipeline, batchId));
  }

  async task(key: TaskKey): Promise<Task | undefined> {
    return this.#sql.read(() => this.#readSlot(key).task);
  }

  async commitClaim(key: TaskKey): Promise<CommitClaim | undefined> {
    return this.#sql.read(() => this.#readSlot(key).claim);
  }

  async tasks(key: Omit<TaskKey, "partition">): Promise<readonly Task[]> {
    return this.#parsed(
      "task",
      `SELECT task FROM tasks WHERE ${OF_ATTEMPT} ORDER BY partition`,
      attemptRow(key),
    );
  }

  async progress(key: Omit<TaskKey, "partition">): Promise<readonly RunningTask[]> {
    return this.#parsed(
      "running",
      `SELECT running FROM task_progress WHERE ${OF_ATTEMPT} ORDER BY partition`,
      attemptRow(key),
    );
  }

  async batches(
    pipeline: string,
    { limit, before = Number.MAX_SAFE_INTEGER }: { readonly limit: number; readonly before?: number },
  ): Promise<readonly Batch[]> {
    const sql =
      "SELECT * FROM batches WHERE pipeline = $pipeline AND batch_id < $before ORDER BY batch_id DESC LIMIT $limit";
    return this.#sql.read(() => this.#sql.all(sql, { pipeline, before, limit }).map(batchOf));
  }

  async journal(pipeline: string, { limit }: { readonly limit: number }): Promise<readonly JournalEntry[]> {
    return this.#parsed(
      "entry",
      "SELECT entry FROM journal WHERE pipeline = $pipeline ORDER BY id DESC LIMIT $limit",
      { pipeline, limit },
    );
  }

  async pipelines(): Promise<readonly string[]> {
    return this.#sql.read(() =>
      this.#sql.all("SELECT pipeline FROM heads ORDER BY pipeline", {}).map((row) => String(row["pipeline"])),
    );
  }

  async expireTasks(before: number): Promise<void> {
    this.#sql.write(() => {
      this.#sql.run("DELETE FROM tasks WHERE recorded_at < $before", { before });
      this.#sql.run("DELETE FROM task_progress WHERE reported_at < $before", { before });
      this.#sql.run("DELETE FROM commit_claims WHERE expires_at < $before", { before });
    });
  }

  /**
   * Makes a transition if its comparisons hold, and returns the current records. The comparison
   * runs in JavaScript, because SQL cannot compare offsets as canonical JSON. The transaction keeps
   * other writers out meanwhile. `alsoWrite` makes further changes in the same transaction.
   */
  #apply(transition: Transition, alsoWrite?: () => void): CurrentRecords & { readonly applied: boolean } {
    const { pipeline, batch, entry } = transition;
    return this.#sql.write(() => {
      const current: CurrentRecords = {
        head: this.#readHead(pipeline),
        batch: batch && this.#readBatch(pipeline, batch.after.batchId),
      };
      if (!allows(transition, current)) {
        const refusal = transition.refusal(current);
        if (refusal !== undefined) throw refusal;
        return { ...current, applied: false };
      }
      const head = applyChange(transition.head, current.head ?? { pipeline });
      if (current.head === undefined) this.#sql.insert("heads", headRow(head));
      else this.#sql.update("heads", ["pipeline"], headRow(head));
      if (entry !== undefined) this.#sql.insert("journal", { pipeline, entry: JSON.stringify(entry) });
      alsoWrite?.();
      return { head, batch: batch && this.#saveBatch(batch, current.batch), applied: true };
    });
  }

  #saveBatch({ change, after }: BatchTransition["batch"], current: Batch | undefined): Batch {
    if (change === undefined) {
      this.#sql.insert("batches", batchRow(after));
      return after;
    }
    const batch = applyChange(change, current ?? after);
    this.#sql.update("batches", ["pipeline", "batch_id"], batchRow(batch));
    return batch;
  }

  #changeBatch(transition: BatchTransition): Batch {
    return this.#apply(transition).batch ?? transition.batch.after;
  }

  #readHead(pipeline: string): Head | undefined {
    const row = this.#sql.one("SELECT * FROM heads WHERE pipeline = $pipeline", { pipeline });
    return row && headOf(row);
  }

  #readBatch(pipeline: string, batchId: number): Batch | undefined {
    const sql = "SELECT * FROM batches WHERE pipeline = $pipeline AND batch_id = $batchId";
    const row = this.#sql.one(sql, { pipeline, batchId });
    return row && batchOf(row);
  }

  /** Makes a change of a task's slot if its comparisons hold, and returns the current slot. */
  #changeSlot(key: TaskKey, change: TaskSlotChange): { readonly changed: boolean; readonly slot: TaskSlot } {
    return this.#sql.write(() => {
      const current = this.#readSlot(key);
      if (!holds(change.where, current)) return { changed: false, slot: current };
      const slot = applyChange(change, current);
      this.#saveSlot(key, slot);
      return { changed: true, slot };
    });
  }

  #saveSlot(key: TaskKey, { task, claim }: TaskSlot): void {
    const row = partitionRow(key);
    this.#sql.run(`DELETE FROM commit_claims WHERE ${OF_TASK}`, row);
    if (claim !== undefined)
      this.#sql.insert("commit_claims", {
        ...row,
        expires_at: claim.expiresAt,
        claim: JSON.stringify(claim),
      });
    if (task !== undefined)
      this.#sql.insert("tasks", { ...row, recorded_at: task.recordedAt, task: JSON.stringify(task) });
  }

  #readSlot(key: TaskKey): TaskSlot {
    const row = partitionRow(key);
    const read = <T>(sql: string, column: string): T | undefined => {
      const found = this.#sql.one(sql, row);
      return found && (JSON.parse(String(found[column])) as T);
    };
    return {
      ...optional("task", read<Task>(`SELECT task FROM tasks WHERE ${OF_TASK}`, "task")),
      ...optional("claim", read<CommitClaim>(`SELECT claim FROM commit_claims WHERE ${OF_TASK}`, "claim")),
    };
  }

  /** Parses one column of each row as JSON. */
  #parsed<T>(column: string, sql: string, parameters: Row): readonly T[] {
    return this.#sql.read(() =>
      this.#sql.all(sql, parameters).map((row) => JSON.parse(String(row[column])) as T),
    );
  }
}

function attemptRow({ pipeline, incarnation, batchId, attempt, stage }: Omit<TaskKey, "partition">): Row {
  return { pipeline, incarnation, batch_id: batchId, attempt, stage: stage ?? NO_STAGE };
}

function partitionRow(key: TaskKey): Row {
  return { ...attemptRow(key), partition: key.partition };
}
