import { type ErrorRecord, MillraceError, toMillraceError } from "../contract/errors.ts";
import { optional } from "../contract/optional.ts";
import { acknowledge } from "./acknowledge.ts";
import {
  missingTasks,
  outcomeOf,
  readBatch,
  readersOf,
  rowsReadOf,
  sameAttempt,
  writersOf,
  writtenBy,
} from "./attempt.ts";
import { badRowsOfTasks, recordBadRows, rowsOfAll, tooManyOf } from "./bad-rows/batch-bad-rows.ts";
import { refusedBySink, takerOfRefused } from "./bad-rows/refused-rows.ts";
import { sourceSchemaOf } from "./batch-schema.ts";
import { CallWatch, type CallWatching } from "./call-watch.ts";
import { deleteExchanged } from "./exchanged-files.ts";
import { besides, isLost, withSuppressed } from "./first-cause.ts";
import { lastingFailureOf } from "./lasting-failure.ts";
import { batchLocation, type MessagesRead, messagesOf } from "./messages.ts";
import type { Batch, BatchRun, Decision, Fence, Outcome } from "./ports/ledger.ts";
import type { Pause } from "./ports/manual-operations.ts";
import { fenced, isHeldBy } from "./ports/refusals.ts";
import type { Ports } from "./ports/runtime.ts";
import { isBeforeWrite } from "./ports/stages.ts";
import type { BatchState } from "./ports/states.ts";
import type { Task } from "./ports/tasks.ts";
import { pauseBy } from "./ports/transitions.ts";
import { triggerProgressOf } from "./progress.ts";
import { transitionOrReadBack } from "./retry.ts";
import type { Sessions } from "./sessions/open-sessions.ts";
import type { SinkWrite } from "./sessions/sink-write.ts";
import { type CommitCall, commitOrCollectItems, hasLanded, outcomeAfter } from "./sink-commit.ts";
import { checkedMessages, lossOf } from "./staged-files.ts";
import { reportMetrics } from "./write-metrics.ts";
import { currentWriteOf, writeOf } from "./write-of-batch.ts";

export interface FinalizeRequest {
  readonly run: BatchRun;
  /** Why tasks are missing, if the caller knows it. */
  readonly failure?: ErrorRecord | undefined;
  /** Who is told if a call of the source or the sink does not return. Default: nobody. */
  readonly watching?: CallWatching;
}

export interface FinalizeResult {
  /** The batch after the call: `committed` or `aborted`. */
  readonly batch: Batch;
  /** The error of the sink because of which the batch was aborted. */
  readonly failure?: MillraceError;
  /** Present if the abort has paused the pipeline. */
  readonly paused?: Pause;
  /**
   * The error of the source's `commit(end)`. The batch is committed anyway, and the next run calls
   * `commit(end)` again before it does anything else.
   */
  readonly unacknowledged?: MillraceError;
  /**
   * The error of the sink's `reportDriverMetrics()` after a commit. The batch is committed anyway.
   */
  readonly unreported?: MillraceError;
}

/** The arguments of all steps of finalizing. */
interface Finalizer {
  readonly sessions: Sessions;
  readonly ports: Ports;
  readonly run: BatchRun;
  readonly fence: Fence;
  readonly watch: CallWatch;
  /** Why tasks are missing, if the caller knows it. */
  readonly taskFailure: ErrorRecord | undefined;
  /** The state of the batch when this call began. */
  readonly began: BatchState;
}

/** The attempt as the ledger has it, and the error of the sink's `commit`, if there was one. */
interface AttemptState {
  readonly batch: Batch;
  readonly tasks: readonly Task[];
  /** The write of this finalizer for the attempt, if it was created already. */
  readonly write?: SinkWrite;
  /** The commit messages of these tasks, if they were read already. */
  readonly messages?: MessagesRead;
  /** The tasks that read the rows, if they were looked up already. */
  readonly readers?: readonly Task[];
  /** The error of the sink because of which the batch is aborted. */
  readonly failure?: MillraceError;
  /** Why the sink could not report its metrics. */
  readonly unreported?: MillraceError;
  /** The pause that came with the abort. */
  readonly paused?: Pause;
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
  aborted: async (_, { batch, failure, paused }) => ({
    end: { batch, ...optional("failure", failure), ...optional("paused", paused) },
  }),
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
  { run, failure: taskFailure, watching }: FinalizeRequest,
): Promise<FinalizeResult> {
  const batch = await readBatch(ports, run);
  let attempt: AttemptState = { batch, tasks: await writersOf(ports, run, batch) };
  const { pipeline, incarnation, epoch } = run;
  const fence: Fence = { pipeline, incarnation, epoch };
  const finalizer: Finalizer = {
    sessions,
    ports,
    run,
    fence,
    watch: new CallWatch(ports.runtime, watching),
    taskFailure,
    began: batch.state,
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

/**
 * State `planned`: decides to commit if every task is recorded, and its message and staged files
 * are there, otherwise to abort. They are looked for before the decision, because the tasks can
 * still run again.
 */
async function decideByTasks(finalizer: Finalizer, attempt: AttemptState): ReturnType<Step> {
  const { batch, tasks } = attempt;
  const isComplete = tasks.length === batch.tasks;
  // Without its schema the batch cannot be committed, but its partitions can be planned anew.
  const write = await (isComplete ? writeOf(finalizer, batch) : currentWriteOf(finalizer, batch));
  const messages = isComplete ? await readChecked(finalizer, attempt, write) : undefined;
  const readers = isComplete ? await readersOf(finalizer.ports, finalizer.run, batch, tasks) : undefined;
  const bad = badRowsOfTasks(readers ?? [], isComplete ? tasks : []);
  const lossOrBad =
    lossOf(messages?.lost ?? []) ?? tooManyOf(bad, finalizer.sessions.pipeline.badRows, batch);
  const found = isComplete
    ? lossOrBad?.toRecord()
    : (finalizer.taskFailure ?? missingTasks(batch, tasks).toRecord());
  const refused = await tellWrite(finalizer, attempt, write, messages);
  const problem = found ?? refused?.toRecord();
  const isWhole = problem === undefined || (await isInSink(finalizer, batch, write, problem));
  const to = isWhole ? "committing" : "aborting";
  const decided = await decide(finalizer, batch, { to, ...(isWhole ? {} : { error: problem }) });
  const prepared = { write, ...optional("messages", messages), ...optional("readers", readers) };
  const failure = found === undefined ? optional("failure", refused) : {};
  if (decided.state === to) return { next: { batch: decided, tasks, ...prepared, ...failure } };
  // If another finalizer decided first, it may have seen more tasks, so they are read again.
  // Without that, a commit would seem to lack messages: the sink is then asked for the batch, and a
  // batch that has not landed is aborted and written again. That costs time, but no rows.
  const { ports, run } = finalizer;
  return { next: { batch: decided, tasks: await writersOf(ports, run, decided) } };
}

/**
 * True if the sink has the batch, although its tasks are not complete: the ledger was put back to
 * an older copy after the commit. An abort would delete what the commit names. `problem` is told
 * first if the sink does not answer.
 */
async function isInSink(
  { sessions, run, watch }: Finalizer,
  batch: Batch,
  write: SinkWrite,
  problem: ErrorRecord,
): Promise<boolean> {
  const context = sessions.sink.batchContext(batch, run);
  try {
    return await hasLanded({ batch, write, context, watch }, "failed before abort()");
  } catch (error) {
    throw besides(problem, error);
  }
}

/**
 * State `committing`: the sink commits, then the offset moves. If the commit certainly failed, the
 * batch is aborted.
 */
async function commitBatch(finalizer: Finalizer, attempt: AttemptState): ReturnType<Step> {
  const { batch, tasks } = attempt;
  const { sessions, ports, run } = finalizer;
  const { call, problem, readers } = await prepareCommit(finalizer, attempt);
  const outcome =
    problem === undefined ? await commitOrCollectItems(ports, call) : await outcomeAfter(problem, call);
  let failure = outcome.failure;
  if (failure === undefined) {
    const reported = await reportMetrics(call.write, attempt);
    const trigger = triggerProgressOf(sessions, ports.runtime.now(), run);
    const isOwn = problem === undefined && finalizer.began === "planned";
    const isInSink = (outcome.sinkItems ?? []).length === 0;
    const refused = isInSink ? await refusedBySink(ports, call, isOwn) : [];
    const left = await recordBadRows(ports, batch, [...badRowsOfTasks(readers, tasks), ...refused]);
    const further = { ...trigger, ...reported.shown, ...rowsReadOf(sessions, readers), ...left };
    const figures = outcomeOf(ports, tasks, further, rowsOfAll(refused));
    try {
      const committed = await finish(finalizer, batch, { ...figures, ...outcome, to: "committed" });
      return { next: { tasks, batch: committed, ...optional("unreported", reported.error) } };
    } catch (error) {
      if (!MillraceError.is(error) || error.code !== "TRANSACTION_REFUSED") throw error;
      failure = error;
    }
  }
  const aborting = await decide(finalizer, batch, { to: "aborting", error: failure.toRecord() });
  // As in Spark, a writer in the form of PySpark's API is made anew for each call.
  const isKept = !call.write.isWriter;
  return { next: { tasks, failure, batch: aborting, ...(isKept ? { write: call.write } : {}) } };
}

/** State `aborting`: the sink deletes what its tasks staged. */
async function abortBatch(
  finalizer: Finalizer,
  { batch, tasks, messages: read, readers: _readers, write: prepared, ...attempt }: AttemptState,
): ReturnType<Step> {
  const { sessions, ports, run, watch } = finalizer;
  const write = prepared ?? (await currentWriteOf(finalizer, batch));
  // A task whose message is gone counts as failed.
  const { messages } = read ?? (await messagesOf(ports, batch, tasks));
  const context = sessions.sink.batchContext(batch, run);
  const abort = () => write.abort(messages, context);
  // As in Spark, the write has not begun while tasks exchange rows, so there is nothing to undo.
  const hasBegun = !isBeforeWrite(batch);
  // As in Spark, the sink is asked for its metrics although it could not abort.
  const failed = await (hasBegun
    ? watch.callSink("abort()", batchLocation(batch), abort)
    : Promise.resolve()
  ).then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  const reported = await reportMetrics(write, { batch, tasks });
  if (failed !== undefined)
    throw withSuppressed(failed.error, reported.error === undefined ? [] : [reported.error]);
  const outcome: Outcome = {
    ...outcomeOf(ports, tasks, reported.shown),
    ...optional("lasting", lastingFailureOf(sessions.pipeline, batch)),
    to: "aborted",
  };
  const paused = pauseBy(batch, outcome);
  const aborted = await finish(finalizer, batch, outcome);
  // As in Spark, an error of the metrics replaces the error of the batch.
  const failure = optional("failure", reported.error ?? attempt.failure);
  return { next: { ...attempt, tasks, batch: aborted, ...failure, ...optional("paused", paused) } };
}

/**
 * Tells the write of each recorded message, in partition order. Returns its error: the batch is
 * aborted then.
 */
async function tellWrite(
  { ports, watch }: Finalizer,
  { batch, tasks }: AttemptState,
  write: SinkWrite,
  read: MessagesRead | undefined,
): Promise<MillraceError | undefined> {
  if (!write.hearsOfTasks) return undefined;
  const { messages } = read ?? (await messagesOf(ports, batch, tasks));
  try {
    for (const { partition } of tasks)
      await watch.callSink("onDataWriterCommit()", { ...batchLocation(batch), partition }, () =>
        write.onDataWriterCommit(messages[partition]),
      );
    return undefined;
  } catch (error) {
    if (!MillraceError.is(error)) throw error;
    return error;
  }
}

/** State `committed`: tells the source that it may delete the rows. */
async function acknowledgeToSource(
  finalizer: Finalizer,
  { batch, unreported }: AttemptState,
): ReturnType<Step> {
  const { sessions, ports, fence, began, watch } = finalizer;
  const ended = { batch, ...optional("unreported", unreported) };
  const isLate = began === "committed";
  // A late retry must not acknowledge an offset that the source has already moved past.
  if (isLate && !(await isUnacknowledged(ports, fence, batch))) return { end: ended };
  try {
    const planner = await sessions.source.planner(await sourceSchemaOf(sessions, ports, batch));
    await watch.watch("commit() of the source", batchLocation(batch), () =>
      acknowledge(planner, ports, fence, batch),
    );
    return { end: ended };
  } catch (error) {
    if (MillraceError.is(error) && error.code === "FENCED") throw error;
    const where = batchLocation(batch);
    const unacknowledged = toMillraceError(error, "SOURCE_FAILED", "commit() failed", where);
    return { end: { ...ended, unacknowledged } };
  }
}

/** True if the source has not yet been told about this batch. Throws `FENCED`. */
async function isUnacknowledged(ports: Ports, fence: Fence, { batchId }: Batch): Promise<boolean> {
  const head = await ports.ledger.head(fence.pipeline);
  if (!isHeldBy(fence, head)) throw fenced(fence, head);
  return head?.unacknowledged?.batchId === batchId;
}

/**
 * Returns the call of the sink's `commit`. `problem` says what it lacks, if records of tasks, their
 * messages or their staged files were deleted after the batch was decided. They are only looked for
 * here if that was not done before the decision, in the same call.
 */
async function prepareCommit(
  finalizer: Finalizer,
  attempt: AttemptState,
): Promise<{
  readonly call: CommitCall;
  readonly problem?: MillraceError;
  readonly readers: readonly Task[];
}> {
  const { sessions, ports, run, watch } = finalizer;
  const { batch, tasks } = attempt;
  const write = attempt.write ?? (await writeOf(finalizer, batch));
  const { messages, lost } = attempt.messages ?? (await readChecked(finalizer, attempt, write));
  const written = writtenBy(tasks);
  const readers = attempt.readers ?? (await readersOf(ports, run, batch, tasks));
  const bad = badRowsOfTasks(readers, tasks);
  const context = {
    ...sessions.sink.batchContext(batch, run),
    ...takerOfRefused(sessions.pipeline, ports, batch, write.asked, bad),
  };
  const call = { batch, write, messages, written, context, watch };
  const missing = tasks.length === batch.tasks ? lossOf(lost) : missingTasks(batch, tasks);
  // The write of a later process has not heard of the messages yet.
  const isNew = attempt.write === undefined && missing === undefined;
  const problem = isNew ? await tellWrite(finalizer, attempt, write, { messages, lost }) : missing;
  return { call, readers, ...optional("problem", problem) };
}

/** Reads the commit messages, and looks for the staged files that they name. */
async function readChecked(
  { sessions, ports, run, watch }: Finalizer,
  attempt: AttemptState,
  write: SinkWrite,
): Promise<MessagesRead> {
  const context = sessions.sink.batchContext(attempt.batch, run);
  return await checkedMessages(ports, attempt, { context, watch, asked: write.asked });
}

async function decide(finalizer: Finalizer, batch: Batch, decision: Decision): Promise<Batch> {
  const { ledger } = finalizer.ports;
  const decided = await transitionOrReadBack(ledger, batch, decision.to, () =>
    ledger.decide(finalizer.fence, batch, decision),
  );
  return sameAttempt(decided, batch.attempt);
}

async function finish(finalizer: Finalizer, batch: Batch, outcome: Outcome): Promise<Batch> {
  const { ledger } = finalizer.ports;
  const ended = await transitionOrReadBack(ledger, batch, outcome.to, () =>
    ledger.finish(finalizer.fence, batch, outcome),
  );
  // Best effort: vacuum deletes what is left.
  await deleteExchanged(finalizer.ports, batch).catch(() => undefined);
  return sameAttempt(ended, batch.attempt);
}
