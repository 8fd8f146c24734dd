import type { ErrorRecord } from "../../shared/contract/errors.ts";
import type { Offset } from "../../shared/contract/offset.ts";
import { optional } from "../../shared/contract/optional.ts";
import {
  authorizationOf,
  authorized,
  claimReleased,
  type TaskSlot,
  type TaskSlotChange,
  taskRecorded,
} from "../../shared/engine/ports/commit-claims.ts";
import { applyChange, holds } from "../../shared/engine/ports/compare-and-set.ts";
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
} from "../../shared/engine/ports/ledger.ts";
import type {
  Action,
  Adoption,
  BackfillChange,
  JournalEntry,
  Rewind,
  Skip,
} from "../../shared/engine/ports/manual-operations.ts";
import * as manual from "../../shared/engine/ports/manual-transitions.ts";
import type { Unplanned } from "../../shared/engine/ports/records.ts";
import { fenced, isHeldBy } from "../../shared/engine/ports/refusals.ts";
import { stageOf } from "../../shared/engine/ports/stages.ts";
import type {
  CommitAuthorization,
  CommitClaim,
  RunningTask,
  Task,
  TaskKey,
} from "../../shared/engine/ports/tasks.ts";
import { allows, type BatchTransition, type Transition } from "../../shared/engine/ports/transition.ts";
import * as steps from "../../shared/engine/ports/transitions.ts";

/** All records of a ledger. They are never changed: a step returns other records. */
export interface Records {
  readonly heads: Readonly<Record<string, Head>>;
  /** By pipeline and batch id. */
  readonly batches: Readonly<Record<string, Batch>>;
  /** By pipeline, incarnation, batch id, attempt and partition. */
  readonly tasks: Readonly<Record<string, Task>>;
  readonly claims: Readonly<Record<string, CommitClaim>>;
  readonly reports: Readonly<Record<string, RunningTask>>;
  /** The oldest entry is first. */
  readonly journal: readonly (JournalEntry & { readonly pipeline: string })[];
}

export const NO_RECORDS: Records = {
  heads: {},
  batches: {},
  tasks: {},
  claims: {},
  reports: {},
  journal: [],
};

const DIGITS = 12;
const number = (value: number): string => String(value).padStart(DIGITS, "0");
const batchKey = (pipeline: string, batchId: number): string => `${pipeline}/${number(batchId)}`;
const attemptKey = ({ pipeline, incarnation, batchId, attempt, stage }: Omit<TaskKey, "partition">): string =>
  `${pipeline}/${incarnation}/${number(batchId)}/${number(attempt)}/${stage ?? "write"}/`;
const taskKey = (key: TaskKey): string => attemptKey(key) + number(key.partition);

/** The values whose keys begin with `prefix`, ordered by key. */
function below<T>(values: Readonly<Record<string, T>>, prefix: string): T[] {
  const found = Object.entries(values).filter(([key]) => key.startsWith(prefix));
  return found.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
}

function keep<T>(values: Readonly<Record<string, T>>, isKept: (key: string, value: T) => boolean) {
  return Object.fromEntries(Object.entries(values).filter(([key, value]) => isKept(key, value)));
}

function withValue<T>(values: Readonly<Record<string, T>>, key: string, value: T | undefined) {
  return value === undefined ? keep(values, (other) => other !== key) : { ...values, [key]: value };
}

/**
 * A ledger whose content is one immutable value, so that the search can go back to any of its
 * states. It makes the engine's own transitions and adds no rule of its own.
 */
export class MemoryLedger implements Ledger {
  readonly limits: LedgerLimits = {
    messageBytes: 100 * 1024,
    offsetBytes: 100 * 1024,
    schemaBytes: 32 * 1024,
    maxSinkItems: 0,
  };
  records: Records;

  constructor(records: Records = NO_RECORDS) {
    this.records = records;
  }

  async acquire(request: AcquireRequest): Promise<Acquired> {
    const acquired = this.#apply(steps.acquired(request));
    return { acquired, head: this.#head(request.pipeline) as Head };
  }

  async release(fence: Fence, unplanned?: Unplanned): Promise<void> {
    this.#apply(steps.released(fence, unplanned));
  }

  async recordIdle(fence: Fence, now: number): Promise<void> {
    this.#apply(steps.idled(fence, now));
  }

  async initialize(fence: Fence, offset: Offset): Promise<void> {
    this.#apply(steps.initialized(fence, offset));
  }

  async plan(fence: Fence, batch: NewBatch): Promise<Batch> {
    return this.#change(steps.planned(fence, batch));
  }

  async replan(fence: Fence, batch: Batch, now: number, plan?: PlanOfAttempt): Promise<Batch> {
    return this.#change(steps.replanned(fence, batch, now, plan));
  }

  async planStage(fence: Fence, batch: Batch, plan: PlanOfStage): Promise<Batch> {
    return this.#change(steps.stagePlanned(fence, batch, plan));
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

  async dropTasks(fence: Fence, batch: Batch, dropped: readonly Task[]): Promise<void> {
    this.#apply(steps.undecided(fence, batch));
    const writers = new Map(
      dropped.map(({ partition, writerId }) => [
        taskKey({ ...batch, ...stageOf(batch), partition }),
        writerId,
      ]),
    );
    const { tasks } = this.records;
    const isKept = (key: string) => writers.get(key) !== tasks[key]?.writerId;
    this.records = { ...this.records, tasks: keep(tasks, isKept) };
  }

  async reportProgress(key: TaskKey, running: RunningTask): Promise<void> {
    this.records = { ...this.records, reports: { ...this.records.reports, [taskKey(key)]: running } };
  }

  async decide(fence: Fence, batch: Batch, decision: Decision): Promise<Batch> {
    return this.#change(steps.decided(fence, batch, decision));
  }

  async recordError(fence: Fence, batch: Batch, error: ErrorRecord): Promise<void> {
    this.#apply(steps.errorRecorded(fence, batch, error));
  }

  async finish(fence: Fence, batch: Batch, outcome: Outcome): Promise<Batch> {
    return this.#change(steps.finished(fence, batch, outcome, this.limits));
  }

  async acknowledge(fence: Fence, batchId: number): Promise<void> {
    this.#apply(steps.acknowledged(fence, batchId));
  }

  async pause(pipeline: string, action: Action): Promise<void> {
    this.#apply(manual.paused(pipeline, action));
  }

  async resume(pipeline: string, action: Action): Promise<void> {
    this.#apply(manual.resumed(pipeline, action));
  }

  async rewind(fence: Fence, rewind: Rewind): Promise<void> {
    this.#apply(manual.rewound(fence, rewind));
  }

  async identify(fence: Fence, identity: PipelineIdentity): Promise<void> {
    this.#apply(steps.identified(fence, identity));
  }

  async setBackfills(pipeline: string, change: BackfillChange): Promise<void> {
    this.#apply(manual.backfillsSet(pipeline, change));
  }

  async accept(pipeline: string, action: Action): Promise<void> {
    this.#apply(manual.accepted(pipeline, action));
  }

  async adopt(fence: Fence, adoption: Adoption, open: Batch | undefined): Promise<void> {
    this.#apply(manual.adopted(fence, this.#heldHead(fence), adoption, open));
  }

  async skip(fence: Fence, batch: Batch, skip: Skip): Promise<Batch> {
    return this.#change(manual.skipped(fence, batch, skip));
  }

  async unlock(fence: Fence, action: Action): Promise<void> {
    this.#apply(manual.unlocked(fence, action));
  }

  async forget(fence: Fence): Promise<void> {
    this.#heldHead(fence);
    const isOther = (key: string) => !`${key}/`.startsWith(`${fence.pipeline}/`);
    const { heads, batches, tasks, claims, reports, journal } = this.records;
    this.records = {
      heads: keep(heads, isOther),
      batches: keep(batches, isOther),
      tasks: keep(tasks, isOther),
      claims: keep(claims, isOther),
      reports: keep(reports, isOther),
      journal: journal.filter(({ pipeline }) => pipeline !== fence.pipeline),
    };
  }

  async head(pipeline: string): Promise<Head | undefined> {
    return this.#head(pipeline);
  }

  async batch(pipeline: string, batchId: number): Promise<Batch | undefined> {
    return this.records.batches[batchKey(pipeline, batchId)];
  }

  async task(key: TaskKey): Promise<Task | undefined> {
    return this.records.tasks[taskKey(key)];
  }

  async commitClaim(key: TaskKey): Promise<CommitClaim | undefined> {
    return this.records.claims[taskKey(key)];
  }

  async tasks(key: Omit<TaskKey, "partition">): Promise<readonly Task[]> {
    return below(this.records.tasks, attemptKey(key));
  }

  async progress(key: Omit<TaskKey, "partition">): Promise<readonly RunningTask[]> {
    return below(this.records.reports, attemptKey(key));
  }

  async batches(
    pipeline: string,
    { limit, before = Number.MAX_SAFE_INTEGER }: { readonly limit: number; readonly before?: number },
  ): Promise<readonly Batch[]> {
    const found = below(this.records.batches, `${pipeline}/`).reverse();
    return found.filter(({ batchId }) => batchId < before).slice(0, limit);
  }

  async journal(pipeline: string, { limit }: { readonly limit: number }): Promise<readonly JournalEntry[]> {
    const entries = this.records.journal.filter((entry) => entry.pipeline === pipeline).reverse();
    return entries.slice(0, limit).map(({ pipeline: _, ...entry }) => entry);
  }

  async pipelines(): Promise<readonly string[]> {
    return Object.keys(this.records.heads).sort();
  }

  async expireTasks(before: number): Promise<void> {
    const { tasks, claims, reports } = this.records;
    this.records = {
      ...this.records,
      tasks: keep(tasks, (_, task) => task.recordedAt >= before),
      claims: keep(claims, (_, claim) => claim.expiresAt >= before),
      reports: keep(reports, (_, report) => report.reportedAt >= before),
    };
  }

  /** Makes a change of a task's slot if its comparisons hold, and returns the current slot. */
  #changeSlot(key: TaskKey, change: TaskSlotChange): { readonly changed: boolean; readonly slot: TaskSlot } {
    const { tasks, claims } = this.records;
    const id = taskKey(key);
    const current = { ...optional("task", tasks[id]), ...optional("claim", claims[id]) };
    if (!holds(change.where, current)) return { changed: false, slot: current };
    const slot = applyChange(change, current);
    this.records = {
      ...this.records,
      tasks: withValue(tasks, id, slot.task),
      claims: withValue(claims, id, slot.claim),
    };
    return { changed: true, slot };
  }

  #head(pipeline: string): Head | undefined {
    return this.records.heads[pipeline];
  }

  #heldHead(fence: Fence): Head {
    const head = this.#head(fence.pipeline);
    if (head === undefined || !isHeldBy(fence, head)) throw fenced(fence, head);
    return head;
  }

  /** Makes a transition. Returns false if its comparisons do not hold and that is no error. */
  #apply(transition: Transition): boolean {
    const { pipeline, batch: change, entry } = transition;
    const { heads, batches, journal } = this.records;
    const id = change === undefined ? "" : batchKey(pipeline, change.after.batchId);
    const [head, batch] = [heads[pipeline], batches[id]];
    if (!allows(transition, { head, batch })) {
      const refusal = transition.refusal({ head, batch });
      if (refusal !== undefined) throw refusal;
      return false;
    }
    const after = change?.change === undefined ? change?.after : applyChange(change.change, batch ?? {});
    this.records = {
      ...this.records,
      heads: { ...heads, [pipeline]: applyChange(transition.head, head ?? { pipeline }) },
      batches: after === undefined ? batches : { ...batches, [id]: after },
      journal: entry === undefined ? journal : [...journal, { pipeline, ...entry }],
    };
    return true;
  }

  #change(transition: BatchTransition): Batch {
    this.#apply(transition);
    const { pipeline, batch } = transition;
    return this.records.batches[batchKey(pipeline, batch.after.batchId)] ?? batch.after;
  }
}
