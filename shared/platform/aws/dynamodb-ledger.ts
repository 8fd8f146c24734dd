import type { TransactWriteItem } from "@aws-sdk/client-dynamodb";
import type { Runtime } from "../../contract/context.ts";
import type { ErrorRecord } from "../../contract/errors.ts";
import type { Offset } from "../../contract/offset.ts";
import { optional } from "../../contract/optional.ts";
import type { TaskSlot, TaskSlotChange } from "../../engine/ports/commit-claims.ts";
import * as claims from "../../engine/ports/commit-claims.ts";
import { ABSENT, equal } from "../../engine/ports/compare-and-set.ts";
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
import * as manual from "../../engine/ports/manual-transitions.ts";
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
  type BatchTransition,
  type HeadTransition,
  headTransition,
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
import { putOf, refusedItemsError, sinkItemChanged } from "./dynamodb-calls.ts";
import {
  batchChange,
  batchItem,
  batchKey,
  batchOf,
  headChange,
  headKey,
  headOf,
  isBatchKey,
  journalEntryOf,
  journalItem,
  journalKey,
  withFormat,
} from "./dynamodb-items.ts";
import { DynamoDbTable, type DynamoDbTableOptions } from "./dynamodb-table.ts";
import {
  progressItem,
  progressPartition,
  runningTaskOf,
  slotChange,
  slotOf,
  taskKey,
  taskPartition,
} from "./dynamodb-task-items.ts";

/** A transaction takes 100 writes, of which two compare the head and the batch. */
const DROPPED_AT_ONCE = 98;
/** Upper bound of the times in journal keys: the last year with four digits. */
const LAST_TIME = Date.UTC(9999, 11, 31);
/** The first batch id that does not fit into a key. */
const BATCH_IDS = 10 ** 12;

/**
 * The ledger in one DynamoDB table with partition key `pk`, sort key `sk` (both strings) and TTL
 * attribute `expiresAt`. A transition is one conditional write, or one transaction if it changes
 * more than the head.
 */
export class DynamoDbLedger implements Ledger {
  /**
   * DynamoDB allows 400 KB per item and 100 items per transaction. The ledger itself writes two of
   * them. The item of a batch has up to three offsets, a schema and an error.
   */
  readonly limits: LedgerLimits = {
    messageBytes: 100 * 1024,
    offsetBytes: 100 * 1024,
    schemaBytes: 32 * 1024,
    maxSinkItems: 90,
  };
  readonly #table: DynamoDbTable;
  readonly #runtime: Runtime;

  constructor(options: DynamoDbTableOptions) {
    this.#table = new DynamoDbTable(options);
    this.#runtime = options.runtime;
  }

  async acquire(request: AcquireRequest): Promise<Acquired> {
    const change = withFormat(headChange(acquired(request).head));
    const { changed, item } = await this.#table.update(headKey(request.pipeline), change);
    return { acquired: changed, head: headOf(item ?? {}) };
  }

  async release(fence: Fence, unplanned?: Unplanned): Promise<void> {
    await this.#changeHead(released(fence, unplanned));
  }

  async recordIdle(fence: Fence, now: number): Promise<void> {
    await this.#changeHead(idled(fence, now));
  }

  async initialize(fence: Fence, offset: Offset): Promise<void> {
    await this.#changeHead(initialized(fence, offset));
  }

  async plan(fence: Fence, batch: NewBatch): Promise<Batch> {
    return await this.#changeBatch(planned(fence, batch));
  }

  async replan(fence: Fence, batch: Batch, now: number, plan?: PlanOfAttempt): Promise<Batch> {
    return await this.#changeBatch(replanned(fence, batch, now, plan));
  }

  async planStage(fence: Fence, batch: Batch, plan: PlanOfStage): Promise<Batch> {
    return await this.#changeBatch(stagePlanned(fence, batch, plan));
  }

  async recordTask(key: TaskKey, task: Task): Promise<Task> {
    return (await this.#changeSlot(key, claims.taskRecorded(task))).slot.task ?? task;
  }

  async authorizeCommit(key: TaskKey, claim: CommitClaim, now: number): Promise<CommitAuthorization> {
    const { changed, slot } = await this.#changeSlot(key, claims.authorized(claim, now));
    return claims.authorizationOf(changed, slot);
  }

  async releaseCommit(key: TaskKey, writerId: string): Promise<void> {
    await this.#changeSlot(key, claims.claimReleased(writerId));
  }

  async dropTasks(fence: Fence, batch: Batch, tasks: readonly Task[]): Promise<void> {
    for (let i = 0; i < tasks.length; i += DROPPED_AT_ONCE)
      await this.#dropTasks(undecided(fence, batch), tasks.slice(i, i + DROPPED_AT_ONCE));
  }

  /** Deletes records of tasks in one transaction. One of another writer is left out of it. */
  async #dropTasks(transition: BatchTransition, tasks: readonly Task[]): Promise<void> {
    if (tasks.length === 0) return;
    const { pipeline, head, batch } = transition;
    const checks = [
      this.#table.change(headKey(pipeline), headChange(head)),
      this.#batchWrite(pipeline, batch),
    ];
    const deletes = tasks.map(({ partition, writerId }) =>
      this.#table.deletion(taskKey({ ...batch.after, ...stageOf(batch.after), partition }), {
        where: [{ pk: ABSENT }, { writerId: equal(writerId) }],
        set: {},
      }),
    );
    const failed = await this.#table.transact([...checks, ...deletes]);
    if (failed === undefined) return;
    const [headItem, batchItem, ...others] = failed;
    const left = tasks.filter((_, i) => others[i] === undefined);
    const isRefused = headItem !== undefined || batchItem !== undefined || left.length === tasks.length;
    if (!isRefused) return await this.#dropTasks(transition, left);
    const { batchId } = batch.after;
    const current = { head: await this.head(pipeline), batch: await this.batch(pipeline, batchId) };
    throwIfAny(transition.refusal(current));
  }

  async reportProgress(key: TaskKey, running: RunningTask): Promise<void> {
    await this.#table.put(progressItem(key, running));
  }

  async decide(fence: Fence, batch: Batch, decision: Decision): Promise<Batch> {
    return await this.#changeBatch(decided(fence, batch, decision));
  }

  async recordError(fence: Fence, batch: Batch, error: ErrorRecord): Promise<void> {
    await this.#changeBatch(errorRecorded(fence, batch, error));
  }

  async finish(fence: Fence, batch: Batch, outcome: Outcome): Promise<Batch> {
    const sinkItems = (outcome.sinkItems ?? []).map((item) => putOf(item, batch));
    return await this.#changeBatch(finished(fence, batch, outcome, this.limits), sinkItems);
  }

  async acknowledge(fence: Fence, batchId: number): Promise<void> {
    await this.#changeHead(acknowledged(fence, batchId));
  }

  async pause(pipeline: string, action: Action): Promise<void> {
    await this.#transact(manual.paused(pipeline, action));
  }

  async resume(pipeline: string, action: Action): Promise<void> {
    await this.#transact(manual.resumed(pipeline, action));
  }

  async rewind(fence: Fence, rewind: Rewind): Promise<void> {
    await this.#transact(manual.rewound(fence, rewind));
  }

  async identify(fence: Fence, identity: PipelineIdentity): Promise<void> {
    await this.#changeHead(identified(fence, identity));
  }

  async accept(pipeline: string, action: Action): Promise<void> {
    await this.#transact(manual.accepted(pipeline, action));
  }

  async setBackfills(pipeline: string, change: BackfillChange): Promise<void> {
    await this.#transact(manual.backfillsSet(pipeline, change));
  }

  async adopt(fence: Fence, adoption: Adoption, open: Batch | undefined): Promise<void> {
    const head = await this.head(fence.pipeline);
    if (head === undefined || !isHeldBy(fence, head)) throw fenced(fence, head);
    await this.#transact(manual.adopted(fence, head, adoption, open));
  }

  async skip(fence: Fence, batch: Batch, skip: Skip): Promise<Batch> {
    return await this.#changeBatch(manual.skipped(fence, batch, skip));
  }

  /**
   * Deletes the items of the pipeline. Its tasks are found through its batches, so the tasks of a
   * batch go before the batch, and the head goes last, on the condition that nobody acquired it.
   */
  async forget(fence: Fence): Promise<void> {
    const { pipeline } = fence;
    const held = await this.head(pipeline);
    if (!isHeldBy(fence, held)) throw fenced(fence, held);
    const { pk } = headKey(pipeline);
    for (const item of await this.#table.queryPartition(pk)) {
      const key = { pk, sk: String(item["sk"]?.S) };
      if (key.sk === headKey(pipeline).sk) continue;
      if (isBatchKey(key)) await this.#deleteTasks(batchOf(item));
      await this.#table.delete(key);
    }
    const { head, refusal } = headTransition(fence, {}, {});
    const { changed, item } = await this.#table.deleteIf(headKey(pipeline), headChange(head));
    if (!changed && item !== undefined) throwIfAny(refusal({ head: headOf(item) }));
  }

  async #deleteTasks(batch: Batch): Promise<void> {
    const stages = [undefined, ...Array.from({ length: batch.exchanges?.count ?? 0 }, (_, stage) => stage)];
    for (let attempt = 1; attempt <= batch.attempt; attempt++)
      for (const stage of stages) {
        const key = { ...batch, attempt, ...optional("stage", stage) };
        for (const pk of [taskPartition(key), progressPartition(key)])
          for (const item of await this.#table.queryPartition(pk))
            await this.#table.delete({ pk, sk: String(item["sk"]?.S) });
      }
  }

  async unlock(fence: Fence, action: Action): Promise<void> {
    await this.#transact(manual.unlocked(fence, action));
  }

  async head(pipeline: string): Promise<Head | undefined> {
    const item = await this.#table.get(headKey(pipeline));
    return item && headOf(item);
  }

  async batch(pipeline: string, batchId: number): Promise<Batch | undefined> {
    const item = await this.#table.get(batchKey(pipeline, batchId));
    return item && batchOf(item);
  }

  async task(key: TaskKey): Promise<Task | undefined> {
    return (await this.#slot(key)).task;
  }

  async commitClaim(key: TaskKey): Promise<CommitClaim | undefined> {
    return (await this.#slot(key)).claim;
  }

  async #slot(key: TaskKey): Promise<TaskSlot> {
    return slotOf(await this.#table.get(taskKey(key)));
  }

  async tasks(key: Omit<TaskKey, "partition">): Promise<readonly Task[]> {
    const items = await this.#table.queryPartition(taskPartition(key));
    return items.flatMap((item) => slotOf(item).task ?? []);
  }

  async progress(key: Omit<TaskKey, "partition">): Promise<readonly RunningTask[]> {
    return (await this.#table.queryPartition(progressPartition(key))).map(runningTaskOf);
  }

  async batches(
    pipeline: string,
    { limit, before = BATCH_IDS }: { readonly limit: number; readonly before?: number },
  ): Promise<readonly Batch[]> {
    if (before <= 0) return [];
    const [first, last] = [batchKey(pipeline, 0), batchKey(pipeline, before - 1)];
    return (await this.#table.queryNewest(first, last, limit)).map(batchOf);
  }

  async journal(pipeline: string, { limit }: { readonly limit: number }): Promise<readonly JournalEntry[]> {
    const [first, last] = [journalKey(pipeline, 0, ""), journalKey(pipeline, LAST_TIME, "")];
    return (await this.#table.queryNewest(first, last, limit)).map(journalEntryOf);
  }

  /** Scans the whole table. Only commands for people call it, never a run. */
  async pipelines(): Promise<readonly string[]> {
    const { pk, sk } = headKey("");
    return (await this.#table.scanPartitionKeys(sk)).map((key) => key.slice(pk.length)).sort();
  }

  /** Does nothing, because task items have a time to live. */
  async expireTasks(): Promise<void> {}

  /** Makes a change of a task's slot if its comparisons hold, and returns the current slot. */
  async #changeSlot(key: TaskKey, change: TaskSlotChange): Promise<{ changed: boolean; slot: TaskSlot }> {
    const { changed, item } = await this.#table.update(taskKey(key), slotChange(change));
    return { changed, slot: slotOf(item) };
  }

  async #changeHead({ pipeline, head, refusal }: HeadTransition): Promise<void> {
    const { changed, item } = await this.#table.update(headKey(pipeline), headChange(head));
    if (!changed) throwIfAny(refusal({ head: item && headOf(item) }));
  }

  async #changeBatch(
    transition: BatchTransition,
    sinkItems: readonly TransactWriteItem[] = [],
  ): Promise<Batch> {
    return (await this.#transact(transition, sinkItems)) ?? transition.batch.after;
  }

  /**
   * Changes the head and, if the transition has them, the batch and the journal, and writes the
   * sink's items, in one transaction. Returns the current batch.
   */
  async #transact(
    { pipeline, head, batch, entry, refusal }: Transition,
    sinkItems: readonly TransactWriteItem[] = [],
  ): Promise<Batch | undefined> {
    const writes = [
      this.#table.change(headKey(pipeline), headChange(head)),
      ...(batch === undefined ? [] : [this.#batchWrite(pipeline, batch)]),
      ...(entry === undefined
        ? []
        : [this.#table.newItem(journalItem(pipeline, entry, this.#runtime.newId()))]),
    ];
    const failed = await this.#table.transact([...writes, ...sinkItems]).catch((error: unknown) => {
      throw sinkItems.length === 0 || batch === undefined
        ? error
        : refusedItemsError(error, pipeline, batch.after.batchId);
    });
    if (failed === undefined) return batch?.after;
    const [headItem, batchItem] = failed.slice(0, writes.length);
    if (
      failed.slice(0, writes.length).every((item) => item === undefined) &&
      failed.some(Boolean) &&
      batch !== undefined
    )
      throw sinkItemChanged(pipeline, batch.after.batchId);
    const current = {
      head: headItem === undefined ? await this.head(pipeline) : headOf(headItem),
      batch: batch && batchItem && batchOf(batchItem),
    };
    throwIfAny(refusal(current));
    return current.batch;
  }

  #batchWrite(pipeline: string, { change, after }: BatchTransition["batch"]): TransactWriteItem {
    return change === undefined
      ? this.#table.newItem(batchItem(after))
      : this.#table.change(batchKey(pipeline, after.batchId), batchChange(change));
  }
}

function throwIfAny(error: Error | undefined): void {
  if (error !== undefined) throw error;
}
