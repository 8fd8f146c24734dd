import { decodeSchema } from "../arrow/ipc-file.ts";
import { type Writer, writesBatches } from "../contract/batch-writer.ts";
import type { BatchContext } from "../contract/context.ts";
import { type ErrorLocation, type ErrorRecord, MillraceError, toMillraceError } from "../contract/errors.ts";
import { findNonJson, type JsonValue } from "../contract/json.ts";
import { type RetryPolicy, retry } from "../contract/retry.ts";
import type {
  SupportsCommitLookup,
  SupportsLedgerTransaction,
  TransactionItem,
} from "../contract/stream-writer.ts";
import { acknowledge } from "./acknowledge.ts";
import { guard, type OpenPipeline } from "./open-pipeline.ts";
import type { Batch, BatchProgress, BatchRun, Decision, Fence, Outcome, Task } from "./ports/ledger.ts";
import { fenced } from "./ports/refusals.ts";
import type { Ports } from "./ports/runtime.ts";
import type { BatchState } from "./ports/states.ts";
import { measured } from "./progress.ts";
import { confirmed, STEP_RETRY } from "./retry.ts";

const COMMIT_RETRY: RetryPolicy = { ...STEP_RETRY, attempts: 5 };
const MAX_HINT_BYTES = 1024;

export interface FinalizeRequest {
  readonly run: BatchRun;
  /** Why the tasks that are missing failed, as far as the caller knows. */
  readonly failure?: ErrorRecord;
}

export interface FinalizeResult {
  /** As it is now: `committed` or `aborted`. */
  readonly batch: Batch;
  /** The error of the sink's commit, where that is why the batch was aborted. */
  readonly failure?: MillraceError;
  /** The error of the source's `commit(end)`: the batch is committed, and the next run calls it again before anything else. */
  readonly unacknowledged?: MillraceError;
}

/**
 * Ends a batch attempt: decides once, carries the decision out, and moves the offset. It may run any number of times, also
 * after a crash in the middle: it follows what is recorded. Errors: `FENCED`, `RUN_IS_STALE`, `SINK_FAILED` where the outcome of the commit
 * is unknown or `abort` failed; the next run goes on from there.
 */
export async function finalize(
  open: OpenPipeline,
  ports: Ports,
  request: FinalizeRequest,
): Promise<FinalizeResult> {
  const { run } = request;
  const fence: Fence = { pipeline: run.pipeline, epoch: run.epoch };
  let batch = await readBatch(ports, run);
  open.assumeSchema(batch.schema);
  let tasks = await ports.ledger.tasks(run);
  let failure: MillraceError | undefined;
  const isOver = batch.state === "committed";

  if (batch.state === "planned") {
    const to = tasks.length === batch.tasks ? "committing" : "aborting";
    const error = to === "aborting" ? { error: request.failure ?? missingTasks(batch, tasks) } : {};
    batch = await decide(ports, fence, batch, { to, ...error });
    // Somebody else has decided, and may have seen more tasks.
    if (batch.state !== to) tasks = await ports.ledger.tasks(run);
  }
  if (batch.state === "committing") {
    const ready = await makeReady(open, ports, run, batch, tasks);
    const landing = await land(ports, ready);
    failure = landing.failure;
    if (failure === undefined) {
      try {
        batch = await finish(ports, fence, batch, {
          ...outcomeOf(ports, tasks, measured(open, ports.runtime.now(), run)),
          ...landing,
          to: "committed",
        });
      } catch (error) {
        if (!MillraceError.is(error) || error.code !== "TRANSACTION_REFUSED") throw error;
        failure = error;
      }
    }
    if (failure !== undefined)
      batch = await decide(ports, fence, batch, { to: "aborting", error: failure.toRecord() });
  }
  if (batch.state === "aborting") {
    await abort(open, ports, run, batch, tasks);
    batch = await finish(ports, fence, batch, { ...outcomeOf(ports, tasks), to: "aborted" });
  }
  if (batch.state === "aborted") return failure === undefined ? { batch } : { batch, failure };
  // A call that comes again, late, must not tell the source of an end that lies behind it by now.
  if (isOver && !(await isToAcknowledge(ports, fence, batch))) return { batch };
  try {
    await acknowledge(open, ports, fence, batch);
    return { batch };
  } catch (error) {
    if (MillraceError.is(error) && error.code === "FENCED") throw error;
    return {
      batch,
      unacknowledged: toMillraceError(error, "SOURCE_FAILED", "commit() failed", placeOf(batch)),
    };
  }
}

/** Error: `FENCED`. */
async function isToAcknowledge(ports: Ports, fence: Fence, { batchId }: Batch): Promise<boolean> {
  const head = await ports.ledger.head(fence.pipeline);
  if (head?.epoch !== fence.epoch) throw fenced(fence, head);
  return head.unacknowledged?.batchId === batchId;
}

/** What is known of a batch after the sink's commit: it landed, or `failure` says why it certainly did not. */
interface Landing {
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
  open: OpenPipeline,
  ports: Ports,
  run: BatchRun,
  batch: Batch,
  tasks: readonly Task[],
): Promise<Ready> {
  if (tasks.length !== batch.tasks) {
    throw new MillraceError(
      "LEDGER_FAILED",
      `batch ${batch.batchId} was decided, but ${batch.tasks - tasks.length} of its commit messages are gone`,
      {
        where: placeOf(batch),
        hint: "Somebody deleted them from the ledger. Look in the sink whether the batch landed before you go on.",
      },
    );
  }
  const writer = await open.newWriter(decodeSchema(batch.schema));
  const messages = await messagesOf(ports, batch, tasks);
  return { batch, writer, messages, context: open.batchContext(batch, run.lastCommit) };
}

/** The sink's commit; or its items, where the ledger's own transaction can take them along. */
async function land(ports: Ports, ready: Ready): Promise<Landing> {
  const { batch, writer, messages, context } = ready;
  const { joinedItems } = ports.ledger.limits;
  const joining = writer as unknown as Partial<SupportsLedgerTransaction<unknown>>;
  if (joinedItems === 0 || joining.transactionItems === undefined) return await commit(ports, ready);
  let join: readonly TransactionItem[] | undefined;
  try {
    join = await retry(ports.runtime, COMMIT_RETRY, () =>
      guard("SINK_FAILED", "transactionItems() failed", placeOf(batch), () =>
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

async function commit(ports: Ports, { batch, writer, messages, context }: Ready): Promise<Landing> {
  const where = placeOf(batch);
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

async function abort(
  open: OpenPipeline,
  ports: Ports,
  run: BatchRun,
  batch: Batch,
  tasks: readonly Task[],
): Promise<void> {
  const where = placeOf(batch);
  const writer = await open.newWriter(decodeSchema(batch.schema));
  const messages = await messagesOf(ports, batch, tasks);
  const context = open.batchContext(batch, run.lastCommit);
  await guard("SINK_FAILED", "abort() failed", where, () =>
    writesBatches(writer) ? writer.abort(messages, context) : writer.abort(messages, batch.batchId, context),
  );
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

async function decide(ports: Ports, fence: Fence, batch: Batch, decision: Decision): Promise<Batch> {
  return await settled(ports, batch, decision.to, () => ports.ledger.decide(fence, batch, decision));
}

async function finish(ports: Ports, fence: Fence, batch: Batch, outcome: Outcome): Promise<Batch> {
  return await settled(ports, batch, outcome.to, () => ports.ledger.finish(fence, batch, outcome));
}

/** Makes a transition; where its answer is lost, reads back whether it was made. */
async function settled(
  ports: Ports,
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
    code: "TASKS_MISSING",
    message: `${batch.tasks - tasks.length} of ${batch.tasks} tasks did not finish`,
    where: placeOf(batch),
  };
}

/** The place of a batch attempt, for its errors. */
function placeOf(batch: Batch): ErrorLocation {
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
