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
import type { Batch, BatchProgress, BatchRun, Decision, Fence, Outcome, Task } from "./ports/ledger.ts";
import { fenced } from "./ports/refusals.ts";
import type { Ports } from "./ports/runtime.ts";
import type { BatchState } from "./ports/states.ts";
import { measured } from "./progress.ts";
import { confirmed, STEP_RETRY } from "./retry.ts";
import { guard } from "./sessions/guard.ts";
import type { Sessions } from "./sessions/open-sessions.ts";

const COMMIT_RETRY: RetryPolicy = { ...STEP_RETRY, attempts: 5 };
const MAX_HINT_BYTES = 1024;

export interface FinalizeRequest {
  readonly run: BatchRun;
  /** Why the tasks that are missing failed, as far as the caller knows. */
  readonly failure?: ErrorRecord | undefined;
}

export interface FinalizeResult {
  /** As it is now: `committed` or `aborted`. */
  readonly batch: Batch;
  /** The error of the sink's commit, where that is why the batch was aborted. */
  readonly failure?: MillraceError;
  /** The error of the source's `commit(end)`: the batch is committed, and the next run calls it again before anything else. */
  readonly unacknowledged?: MillraceError;
}

/** What a finalizer works with. */
interface Finalizer {
  readonly sessions: Sessions;
  readonly ports: Ports;
  readonly run: BatchRun;
  readonly fence: Fence;
  /** Why the tasks that are missing failed, as far as the caller knows. */
  readonly taskFailure: ErrorRecord | undefined;
  /** True if the attempt was over when this finalizer began: it is a late retry. */
  readonly isLate: boolean;
}

/** The attempt as the ledger has it, and what became of it here. */
interface AttemptState {
  readonly batch: Batch;
  readonly tasks: readonly Task[];
  /** Why the sink's commit did not take place. */
  readonly failure?: MillraceError;
}

/** What to do in a state: leads to another state, or to the end. */
type Step = (
  finalizer: Finalizer,
  attempt: AttemptState,
) => Promise<{ goOn: AttemptState } | { end: FinalizeResult }>;

/** The protocol: one step for each state, each of which is recorded before the next one begins. */
const STEPS: Readonly<Record<BatchState, Step>> = {
  planned: decideByTasks,
  committing: commitBatch,
  aborting: abortBatch,
  committed: tellSource,
  aborted: async (_, { batch, failure }) => ({ end: failure === undefined ? { batch } : { batch, failure } }),
};

/**
 * Ends a batch attempt: decides once, carries the decision out, and moves the offset. It may run any number of times, also after a
 * crash in the middle: it follows what is recorded. Errors: `FENCED`, `RUN_IS_STALE`, `SINK_FAILED` if the outcome of the commit is
 * unknown or `abort` failed; the next run goes on from there.
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
    const next = await STEPS[attempt.batch.state](finalizer, attempt);
    if ("end" in next) return next.end;
    attempt = next.goOn;
  }
}

/** `planned`: commits if every task has a winner. */
async function decideByTasks(finalizer: Finalizer, { batch, tasks }: AttemptState): ReturnType<Step> {
  const to = tasks.length === batch.tasks ? "committing" : "aborting";
  const error = to === "aborting" ? { error: finalizer.taskFailure ?? missingTasks(batch, tasks) } : {};
  const decided = await decide(finalizer, batch, { to, ...error });
  // Somebody else may have decided, and may have seen more tasks.
  const seen = decided.state === to ? tasks : await finalizer.ports.ledger.tasks(finalizer.run);
  return { goOn: { batch: decided, tasks: seen } };
}

/** `committing`: the sink commits, then the offset moves; or the commit certainly failed, and the batch is aborted. */
async function commitBatch(finalizer: Finalizer, { batch, tasks }: AttemptState): ReturnType<Step> {
  const { sessions, ports, run } = finalizer;
  const outcome = await commitOrJoin(ports, await makeReady(finalizer, batch, tasks));
  let failure = outcome.failure;
  if (failure === undefined) {
    const figures = outcomeOf(ports, tasks, measured(sessions, ports.runtime.now(), run));
    try {
      return {
        goOn: { tasks, batch: await finish(finalizer, batch, { ...figures, ...outcome, to: "committed" }) },
      };
    } catch (error) {
      if (!MillraceError.is(error) || error.code !== "TRANSACTION_REFUSED") throw error;
      failure = error;
    }
  }
  const aborting = await decide(finalizer, batch, { to: "aborting", error: failure.toRecord() });
  return { goOn: { tasks, failure, batch: aborting } };
}

/** `aborting`: the sink drops what was staged. */
async function abortBatch(
  finalizer: Finalizer,
  { batch, tasks, ...attempt }: AttemptState,
): ReturnType<Step> {
  const { sessions, ports, run } = finalizer;
  const writer = await sessions.sink.writer(decodeSchema(batch.schema));
  const messages = await messagesOf(ports, batch, tasks);
  const context = sessions.sink.batchContext(batch, run.lastCommit);
  await guard("SINK_FAILED", "abort() failed", placeOfBatch(batch), () =>
    writesBatches(writer) ? writer.abort(messages, context) : writer.abort(messages, batch.batchId, context),
  );
  const aborted = await finish(finalizer, batch, { ...outcomeOf(ports, tasks), to: "aborted" });
  return { goOn: { ...attempt, tasks, batch: aborted } };
}

/** `committed`: the source may forget the rows. */
async function tellSource(finalizer: Finalizer, { batch }: AttemptState): ReturnType<Step> {
  const { sessions, ports, fence, isLate } = finalizer;
  // A late retry must not acknowledge an offset that the source has already moved past.
  if (isLate && !(await isToAcknowledge(ports, fence, batch))) return { end: { batch } };
  try {
    const planner = await sessions.source.planner(decodeSchema(batch.schema));
    await acknowledge(planner, ports, fence, batch);
    return { end: { batch } };
  } catch (error) {
    if (MillraceError.is(error) && error.code === "FENCED") throw error;
    const where = placeOfBatch(batch);
    const unacknowledged = toMillraceError(error, "SOURCE_FAILED", "commit() failed", where);
    return { end: { batch, unacknowledged } };
  }
}

/** Error: `FENCED`. */
async function isToAcknowledge(ports: Ports, fence: Fence, { batchId }: Batch): Promise<boolean> {
  const head = await ports.ledger.head(fence.pipeline);
  if (head?.epoch !== fence.epoch) throw fenced(fence, head);
  return head.unacknowledged?.batchId === batchId;
}

/** What is known of a batch after the sink's commit: it landed, or `failure` says why it certainly did not. */
interface CommitOutcome {
  readonly failure?: MillraceError;
  readonly lastCommit?: JsonValue;
  /** What the sink has yet to write, in the ledger's own transaction. */
  readonly join?: readonly TransactionItem[];
}

/** What a commit is called with. */
interface Ready {
  readonly batch: Batch;
  readonly writer: Writer<unknown>;
  readonly messages: readonly JsonValue[];
  readonly context: BatchContext;
}

async function makeReady(
  { sessions, ports, run }: Finalizer,
  batch: Batch,
  tasks: readonly Task[],
): Promise<Ready> {
  if (tasks.length !== batch.tasks) {
    throw new MillraceError(
      "LEDGER_FAILED",
      `batch ${batch.batchId} was decided, but ${batch.tasks - tasks.length} of its commit messages are gone`,
      {
        where: placeOfBatch(batch),
        hint: "Somebody deleted them from the ledger. Look in the sink whether the batch landed before you go on.",
      },
    );
  }
  const writer = await sessions.sink.writer(decodeSchema(batch.schema));
  const messages = await messagesOf(ports, batch, tasks);
  return { batch, writer, messages, context: sessions.sink.batchContext(batch, run.lastCommit) };
}

/** The sink's commit; or its items, where the ledger's own transaction can take them along. */
async function commitOrJoin(ports: Ports, ready: Ready): Promise<CommitOutcome> {
  const { batch, writer, messages, context } = ready;
  const { joinedItems } = ports.ledger.limits;
  const joining = writer as unknown as Partial<SupportsLedgerTransaction<unknown>>;
  if (joinedItems === 0 || joining.transactionItems === undefined) return await commit(ports, ready);
  let join: readonly TransactionItem[] | undefined;
  try {
    join = await retry(ports.runtime, COMMIT_RETRY, () =>
      guard("SINK_FAILED", "transactionItems() failed", placeOfBatch(batch), () =>
        joining.transactionItems?.(messages, context, joinedItems),
      ),
    );
  } catch (error) {
    // Nothing was written yet.
    if (!MillraceError.is(error)) throw error;
    return { failure: error };
  }
  return join !== undefined && join.length <= joinedItems ? { join } : await commit(ports, ready);
}

async function commit(ports: Ports, { batch, writer, messages, context }: Ready): Promise<CommitOutcome> {
  const where = placeOfBatch(batch);
  try {
    const given = await retry(ports.runtime, COMMIT_RETRY, () =>
      guard("SINK_FAILED", "commit() failed", where, () =>
        writesBatches(writer)
          ? writer.commit(messages, context)
          : writer.commit(messages, batch.batchId, context),
      ),
    );
    return isHint(given) ? { lastCommit: given } : {};
  } catch (error) {
    if (!MillraceError.is(error)) throw error;
    // A commit that failed may have taken effect. An error of the question itself leaves the batch as it is: undecided is not aborted.
    const lookup = writer as unknown as Partial<SupportsCommitLookup>;
    const landed = await guard("SINK_FAILED", "hasCommitted() failed after commit() had failed", where, () =>
      lookup.hasCommitted?.(batch.batchId, context),
    );
    return landed === true ? {} : { failure: error };
  }
}

/** A hint goes along with every batch: one that is no JSON, or large, is left out. */
function isHint(given: unknown): given is JsonValue {
  if (given === undefined || findNonJson(given) !== undefined) return false;
  return Buffer.byteLength(JSON.stringify(given)) <= MAX_HINT_BYTES;
}

/** In partition order, `null` for a task that has none recorded. */
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
  return await settled(finalizer, batch, decision.to, () => ledger.decide(finalizer.fence, batch, decision));
}

async function finish(finalizer: Finalizer, batch: Batch, outcome: Outcome): Promise<Batch> {
  const { ledger } = finalizer.ports;
  return await settled(finalizer, batch, outcome.to, () => ledger.finish(finalizer.fence, batch, outcome));
}

/** Makes a transition; if its answer is lost, reads back whether it was made. */
async function settled(
  { ports }: Finalizer,
  batch: Batch,
  to: BatchState,
  transition: () => Promise<Batch>,
): Promise<Batch> {
  const now = await confirmed(transition, async () => {
    const there = await ports.ledger.batch(batch.pipeline, batch.batchId);
    return there?.attempt === batch.attempt && there.state === to ? there : undefined;
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
    where: placeOfBatch(batch),
  };
}

/** The place of a batch attempt, for its errors. */
function placeOfBatch(batch: Batch): ErrorLocation {
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
