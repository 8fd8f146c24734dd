import { decodeSchema } from "../arrow/ipc-file.ts";
import { type Writer, writesBatches } from "../contract/batch-writer.ts";
import type { BatchContext } from "../contract/context.ts";
import type { ErrorCode } from "../contract/error-codes.ts";
import { type ErrorLocation, type ErrorRecord, MillraceError, toMillraceError } from "../contract/errors.ts";
import { findNonJson, type JsonValue } from "../contract/json.ts";
import { type RetryPolicy, retry } from "../contract/retry.ts";
import type {
  SupportsCommitLookup,
  SupportsLedgerTransaction,
  TransactionItem,
} from "../contract/stream-writer.ts";
import { acknowledge } from "./acknowledge.ts";
import { besides, isLost } from "./first-cause.ts";
import type { Batch, BatchProgress, BatchRun, Decision, Fence, Outcome, Task } from "./ports/ledger.ts";
import { fenced } from "./ports/refusals.ts";
import type { Ports } from "./ports/runtime.ts";
import type { BatchState } from "./ports/states.ts";
import { triggerProgressOf } from "./progress.ts";
import { callOrReadBack, STEP_RETRY } from "./retry.ts";
import { guard } from "./sessions/guard.ts";
import type { Sessions } from "./sessions/open-sessions.ts";

const COMMIT_RETRY: RetryPolicy = { ...STEP_RETRY, attempts: 5 };
const MAX_HINT_BYTES = 1024;

export interface FinalizeRequest {
  readonly run: BatchRun;
  /** Why tasks are missing, if the caller knows it. */
  readonly failure?: ErrorRecord | undefined;
}

export interface FinalizeResult {
  /** The batch after the call: `committed` or `aborted`. */
  readonly batch: Batch;
  /** The error of the sink's `commit`, if the batch was aborted because of it. */
  readonly failure?: MillraceError;
  /**
   * The error of the source's `commit(end)`. The batch is committed anyway, and the next run calls
   * `commit(end)` again before it does anything else.
   */
  readonly unacknowledged?: MillraceError;
}

/** The arguments of all steps of finalizing. */
interface Finalizer {
  readonly sessions: Sessions;
  readonly ports: Ports;
  readonly run: BatchRun;
  readonly fence: Fence;
  /** Why tasks are missing, if the caller knows it. */
  readonly taskFailure: ErrorRecord | undefined;
  /** True if the batch was already committed when this call began: it is a late retry. */
  readonly isLate: boolean;
}

/** The attempt as the ledger has it, and the error of the sink's `commit`, if there was one. */
interface AttemptState {
  readonly batch: Batch;
  readonly tasks: readonly Task[];
  /** Why the sink's `commit` did not take effect. */
  readonly failure?: MillraceError;
}

/** Handles a batch in one state. Returns the next state, or the result of `finalize`. */
type Step = (
  finalizer: Finalizer,
  attempt: AttemptState,
) => Promise<{ next: AttemptState } | { end: FinalizeResult }>;

/**
 * The commit protocol: one step per state. Each step records the next state before that state's
 * step begins.
 */
const STEPS: Readonly<Record<BatchState, Step>> = {
  planned: decideByTasks,
  committing: commitBatch,
  aborting: abortBatch,
  committed: acknowledgeToSource,
  aborted: async (_, { batch, failure }) => ({ end: failure === undefined ? { batch } : { batch, failure } }),
};

/**
 * Ends a batch attempt: decides between commit and abort, carries the decision out, and moves the
 * offset. It can be called any number of times, also after a crash, because it continues from the
 * recorded state. Throws `FENCED` or `RUN_IS_STALE`. Throws `SINK_FAILED` if it is unknown whether
 * the commit took effect, or if `abort` failed; the next run then continues.
 */
export async function finalize(
  sessions: Sessions,
  ports: Ports,
  { run, failure: taskFailure }: FinalizeRequest,
): Promise<FinalizeResult> {
  const batch = await readBatch(ports, run);
  let attempt: AttemptState = { batch, tasks: await ports.ledger.tasks(run) };
  const fence: Fence = { pipeline: run.pipeline, epoch: run.epoch };
  const finalizer: Finalizer = {
    sessions,
    ports,
    run,
    fence,
    taskFailure,
    isLate: batch.state === "committed",
  };
  for (;;) {
    const result = await runStep(finalizer, attempt);
    if ("end" in result) return result.end;
    attempt = result.next;
  }
}

/**
 * Runs the step of the batch's state. If it throws, the error that decided about the batch is told
 * first, and the new one beside it. The ledger gets both, for people.
 */
async function runStep(finalizer: Finalizer, attempt: AttemptState): ReturnType<Step> {
  const { batch, failure } = attempt;
  try {
    return await STEPS[batch.state](finalizer, attempt);
  } catch (thrown) {
    const error = besides(failure ?? (batch.state === "aborting" ? batch.error : undefined), thrown);
    if (MillraceError.is(error) && !isLost(error))
      await finalizer.ports.ledger
        .recordError(finalizer.fence, batch, error.toRecord())
        .catch(() => undefined);
    throw error;
  }
}

/** State `planned`: decides to commit if every task is recorded, otherwise to abort. */
async function decideByTasks(finalizer: Finalizer, { batch, tasks }: AttemptState): ReturnType<Step> {
  const to = tasks.length === batch.tasks ? "committing" : "aborting";
  const error = to === "aborting" ? { error: finalizer.taskFailure ?? missingTasks(batch, tasks) } : {};
  const decided = await decide(finalizer, batch, { to, ...error });
  // If another finalizer decided first, it may have seen more tasks, so they are read again.
  const tasksSeen = decided.state === to ? tasks : await finalizer.ports.ledger.tasks(finalizer.run);
  return { next: { batch: decided, tasks: tasksSeen } };
}

/**
 * State `committing`: the sink commits, then the offset moves. If the commit certainly failed, the
 * batch is aborted.
 */
async function commitBatch(finalizer: Finalizer, { batch, tasks }: AttemptState): ReturnType<Step> {
  const { sessions, ports, run } = finalizer;
  const outcome = await commitOrCollectItems(ports, await prepareCommit(finalizer, batch, tasks));
  let failure = outcome.failure;
  if (failure === undefined) {
    const figures = outcomeOf(ports, tasks, triggerProgressOf(sessions, ports.runtime.now(), run));
    try {
      return {
        next: { tasks, batch: await finish(finalizer, batch, { ...figures, ...outcome, to: "committed" }) },
      };
    } catch (error) {
      if (!MillraceError.is(error) || error.code !== "TRANSACTION_REFUSED") throw error;
      failure = error;
    }
  }
  const aborting = await decide(finalizer, batch, { to: "aborting", error: failure.toRecord() });
  return { next: { tasks, failure, batch: aborting } };
}

/** State `aborting`: the sink deletes what its tasks staged. */
async function abortBatch(
  finalizer: Finalizer,
  { batch, tasks, ...attempt }: AttemptState,
): ReturnType<Step> {
  const { sessions, ports, run } = finalizer;
  const writer = await sessions.sink.writer(decodeSchema(batch.schema));
  const messages = await messagesOf(ports, batch, tasks);
  const context = sessions.sink.batchContext(batch, run.lastCommit);
  await guard("SINK_FAILED", "abort() failed", batchLocation(batch), () =>
    writesBatches(writer) ? writer.abort(messages, context) : writer.abort(messages, batch.batchId, context),
  );
  const aborted = await finish(finalizer, batch, { ...outcomeOf(ports, tasks), to: "aborted" });
  return { next: { ...attempt, tasks, batch: aborted } };
}

/** State `committed`: tells the source that it may delete the rows. */
async function acknowledgeToSource(finalizer: Finalizer, { batch }: AttemptState): ReturnType<Step> {
  const { sessions, ports, fence, isLate } = finalizer;
  // A late retry must not acknowledge an offset that the source has already moved past.
  if (isLate && !(await isUnacknowledged(ports, fence, batch))) return { end: { batch } };
  try {
    const planner = await sessions.source.planner(decodeSchema(batch.schema));
    await acknowledge(planner, ports, fence, batch);
    return { end: { batch } };
  } catch (error) {
    if (MillraceError.is(error) && error.code === "FENCED") throw error;
    const where = batchLocation(batch);
    const unacknowledged = toMillraceError(error, "SOURCE_FAILED", "commit() failed", where);
    return { end: { batch, unacknowledged } };
  }
}

/** True if the source has not yet been told about this batch. Throws `FENCED`. */
async function isUnacknowledged(ports: Ports, fence: Fence, { batchId }: Batch): Promise<boolean> {
  const head = await ports.ledger.head(fence.pipeline);
  if (head?.epoch !== fence.epoch) throw fenced(fence, head);
  return head.unacknowledged?.batchId === batchId;
}

/**
 * Result of the sink's commit. Without `failure` it took effect; with `failure` it certainly did
 * not.
 */
interface CommitOutcome {
  readonly failure?: MillraceError;
  readonly lastCommit?: JsonValue;
  /** Items that the ledger must write for the sink, in the transaction that moves the offset. */
  readonly sinkItems?: readonly TransactionItem[];
}

/** The arguments of the sink's `commit`. */
interface CommitCall {
  readonly batch: Batch;
  readonly writer: Writer<unknown>;
  readonly messages: readonly JsonValue[];
  readonly context: BatchContext;
}

async function prepareCommit(
  { sessions, ports, run }: Finalizer,
  batch: Batch,
  tasks: readonly Task[],
): Promise<CommitCall> {
  if (tasks.length !== batch.tasks) {
    throw new MillraceError(
      "LEDGER_FAILED",
      `batch ${batch.batchId} was decided, but ${batch.tasks - tasks.length} of its commit messages are gone`,
      {
        where: batchLocation(batch),
        hint: "Somebody deleted them from the ledger. Look in the sink whether the batch landed before you go on.",
      },
    );
  }
  const writer = await sessions.sink.writer(decodeSchema(batch.schema));
  const messages = await messagesOf(ports, batch, tasks);
  return { batch, writer, messages, context: sessions.sink.batchContext(batch, run.lastCommit) };
}

/**
 * Calls the sink's `commit`, or `transactionItems` if the ledger can write the sink's items in its
 * own transaction.
 */
async function commitOrCollectItems(ports: Ports, call: CommitCall): Promise<CommitOutcome> {
  const { batch, writer, messages, context } = call;
  const { maxSinkItems } = ports.ledger.limits;
  const transactional = writer as unknown as Partial<SupportsLedgerTransaction<unknown>>;
  if (maxSinkItems === 0 || transactional.transactionItems === undefined) return await commit(ports, call);
  let sinkItems: readonly TransactionItem[] | undefined;
  try {
    sinkItems = await retry(ports.runtime, COMMIT_RETRY, () =>
      guard("SINK_FAILED", "transactionItems() failed", batchLocation(batch), () =>
        transactional.transactionItems?.(messages, context, maxSinkItems),
      ),
    );
  } catch (error) {
    // `transactionItems` writes nothing, so the commit certainly failed.
    if (!MillraceError.is(error)) throw error;
    return { failure: error };
  }
  return sinkItems !== undefined && sinkItems.length <= maxSinkItems
    ? { sinkItems }
    : await commit(ports, call);
}

async function commit(
  ports: Ports,
  { batch, writer, messages, context }: CommitCall,
): Promise<CommitOutcome> {
  const where = batchLocation(batch);
  try {
    const returned = await retry(ports.runtime, COMMIT_RETRY, () =>
      guard("SINK_FAILED", "commit() failed", where, () =>
        writesBatches(writer)
          ? writer.commit(messages, context)
          : writer.commit(messages, batch.batchId, context),
      ),
    );
    return isHint(returned) ? { lastCommit: returned } : {};
  } catch (error) {
    if (!MillraceError.is(error)) throw error;
    // A commit that threw may have taken effect, so the sink is asked. If `hasCommitted` throws
    // too, the error is passed on and the batch stays `committing`: it must not be aborted while
    // the outcome is unknown.
    const lookup = writer as unknown as Partial<SupportsCommitLookup>;
    const landed = await guard("SINK_FAILED", "hasCommitted() failed after commit() had failed", where, () =>
      lookup.hasCommitted?.(batch.batchId, context),
    ).catch((later: unknown) => {
      throw besides(error, later);
    });
    return landed === true ? {} : { failure: error };
  }
}

/**
 * True if the value that `commit` returned can be the hint for the next commit: JSON of at most 1
 * KiB. The size is limited because every batch run carries the hint.
 */
function isHint(returned: unknown): returned is JsonValue {
  if (returned === undefined || findNonJson(returned) !== undefined) return false;
  return Buffer.byteLength(JSON.stringify(returned)) <= MAX_HINT_BYTES;
}

/** Returns the commit messages in partition order, with `null` for a task that is not recorded. */
async function messagesOf(ports: Ports, batch: Batch, tasks: readonly Task[]): Promise<readonly JsonValue[]> {
  const messages: JsonValue[] = Array.from({ length: batch.tasks }, () => null);
  for (const task of tasks) messages[task.partition] = await messageOf(ports, task);
  return messages;
}

async function messageOf(ports: Ports, task: Task): Promise<JsonValue> {
  if (task.messageKey === undefined) return task.message;
  const bytes = await ports.store.get(task.messageKey);
  if (bytes !== undefined) return JSON.parse(Buffer.from(bytes).toString()) as JsonValue;
  throw new MillraceError("MESSAGE_MISSING", `the commit message ${task.messageKey} is gone`, {
    where: { partition: task.partition, path: `${ports.store.location}/${task.messageKey}` },
    hint: "Somebody deleted it from the pipeline's store: restore it; the ledger names it.",
  });
}

async function decide(finalizer: Finalizer, batch: Batch, decision: Decision): Promise<Batch> {
  const { ledger } = finalizer.ports;
  return await transitionOrReadBack(finalizer, batch, decision.to, () =>
    ledger.decide(finalizer.fence, batch, decision),
  );
}

async function finish(finalizer: Finalizer, batch: Batch, outcome: Outcome): Promise<Batch> {
  const { ledger } = finalizer.ports;
  return await transitionOrReadBack(finalizer, batch, outcome.to, () =>
    ledger.finish(finalizer.fence, batch, outcome),
  );
}

/**
 * Makes a transition of the batch to the state `to`. If the call throws, reads the batch and
 * accepts it if it has reached that state.
 */
async function transitionOrReadBack(
  { ports }: Finalizer,
  batch: Batch,
  to: BatchState,
  transition: () => Promise<Batch>,
): Promise<Batch> {
  const now = await callOrReadBack(transition, async () => {
    const current = await ports.ledger.batch(batch.pipeline, batch.batchId);
    return current?.attempt === batch.attempt && current.state === to ? current : undefined;
  });
  return sameAttempt(now, batch.attempt);
}

async function readBatch(ports: Ports, run: BatchRun): Promise<Batch> {
  const batch = await ports.ledger.batch(run.pipeline, run.batchId);
  if (batch?.incarnation === run.incarnation) return sameAttempt(batch, run.attempt);
  throw stale(run.pipeline, run.batchId, run.attempt, "the ledger has another batch of that id, or none");
}

function sameAttempt(batch: Batch, attempt: number): Batch {
  if (batch.attempt === attempt) return batch;
  throw stale(batch.pipeline, batch.batchId, attempt, `the batch is in attempt ${batch.attempt} by now`);
}

function stale(pipeline: string, batchId: number, attempt: number, problem: string): MillraceError {
  return new MillraceError("RUN_IS_STALE", `attempt ${attempt} of batch ${batchId} is over: ${problem}`, {
    where: { pipeline, batchId, attempt },
    hint: "Nothing is lost and nothing was done: another run has gone on with the batch.",
  });
}

function missingTasks(batch: Batch, tasks: readonly Task[]): ErrorRecord {
  return {
    code: "TASKS_MISSING" satisfies ErrorCode,
    message: `${batch.tasks - tasks.length} of ${batch.tasks} tasks did not finish`,
    where: batchLocation(batch),
  };
}

/** Returns the location of a batch attempt, for its errors. */
function batchLocation(batch: Batch): ErrorLocation {
  return { pipeline: batch.pipeline, batchId: batch.batchId, attempt: batch.attempt };
}

function outcomeOf(
  ports: Ports,
  tasks: readonly Task[],
  trigger: Pick<BatchProgress, "trigger"> = {},
): Pick<Outcome, "progress" | "now"> {
  return {
    progress: {
      ...trigger,
      rows: tasks.reduce((sum, task) => sum + task.rows, 0),
      bytes: tasks.reduce((sum, task) => sum + task.bytes, 0),
    },
    now: ports.runtime.now(),
  };
}
