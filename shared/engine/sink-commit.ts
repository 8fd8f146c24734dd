import { isCommitted, isMismatch } from "../contract/committed-batch.ts";
import type { BatchContext } from "../contract/context.ts";
import { MillraceError } from "../contract/errors.ts";
import { findNonJson, type JsonValue } from "../contract/json.ts";
import { type RetryPolicy, retry } from "../contract/retry.ts";
import type {
  SupportsCommitLookup,
  SupportsLedgerTransaction,
  SupportsNewestBatch,
  TransactionItem,
} from "../contract/stream-writer.ts";
import type { CallWatch } from "./call-watch.ts";
import { besides } from "./first-cause.ts";
import { batchLocation } from "./messages.ts";
import type { Batch } from "./ports/ledger.ts";
import type { Ports } from "./ports/runtime.ts";
import { STEP_RETRY } from "./retry.ts";
import type { SinkWrite, WrittenRows } from "./sessions/sink-write.ts";
import { withOpenBatch } from "./sink-position.ts";

const COMMIT_RETRY: RetryPolicy = { ...STEP_RETRY, attempts: 5 };
const MAX_HINT_BYTES = 1024;

/**
 * Result of the sink's commit. Without `failure` it took effect; with `failure` it certainly did
 * not.
 */
export interface CommitOutcome {
  readonly failure?: MillraceError;
  readonly lastCommit?: JsonValue;
  /** Items that the ledger must write for the sink, in the transaction that moves the offset. */
  readonly sinkItems?: readonly TransactionItem[];
}

/** The arguments of the sink's `commit`. */
export interface CommitCall {
  readonly batch: Batch;
  readonly write: SinkWrite;
  readonly messages: readonly JsonValue[];
  /** What the tasks wrote. */
  readonly written: WrittenRows;
  readonly context: BatchContext;
  readonly watch: CallWatch;
}

/**
 * Calls the sink's `commit`, or `transactionItems` if the ledger can write the sink's items in its
 * own transaction.
 */
export async function commitOrCollectItems(ports: Ports, call: CommitCall): Promise<CommitOutcome> {
  const { batch, write, messages, context, watch } = call;
  const { maxSinkItems } = ports.ledger.limits;
  const transactional = write.asked as Partial<SupportsLedgerTransaction<unknown>>;
  if (maxSinkItems === 0 || transactional.transactionItems === undefined) return await commit(ports, call);
  let sinkItems: readonly TransactionItem[] | undefined;
  try {
    sinkItems = await retry(ports.runtime, COMMIT_RETRY, () =>
      watch.callSink("transactionItems()", batchLocation(batch), () =>
        transactional.transactionItems?.(messages, context, maxSinkItems),
      ),
    );
  } catch (error) {
    // `transactionItems` writes nothing, so the commit certainly failed.
    if (!MillraceError.is(error)) throw error;
    return { failure: withOpenBatch(error, batch.pipeline) };
  }
  return sinkItems !== undefined && sinkItems.length <= maxSinkItems
    ? { sinkItems }
    : await commit(ports, call);
}

async function commit(ports: Ports, call: CommitCall): Promise<CommitOutcome> {
  const { batch, write, messages, written, context, watch } = call;
  const where = batchLocation(batch);
  try {
    const returned = await retry(ports.runtime, COMMIT_RETRY, () =>
      watch.callSink("commit()", where, () => write.commit(messages, written, context)),
    );
    return isHint(returned) ? { lastCommit: returned } : {};
  } catch (error) {
    if (!MillraceError.is(error)) throw error;
    return await outcomeAfter(error, call);
  }
}

/**
 * Asks the sink whether a batch landed whose commit threw, or cannot be repeated: it may have taken
 * effect. If the sink does not answer, its error is passed on and the batch stays `committing`: it
 * must not be aborted while the outcome is unknown.
 */
export async function outcomeAfter(failure: MillraceError, call: CommitCall): Promise<CommitOutcome> {
  const { pipeline } = call.batch;
  if (isMismatch(failure)) return { failure: withOpenBatch(failure, pipeline) };
  try {
    return (await hasLanded(call)) ? {} : { failure };
  } catch (error) {
    if (isMismatch(error)) return { failure: withOpenBatch(error, pipeline) };
    throw besides(failure, error);
  }
}

/**
 * Asks the sink whether it has the batch. A sink that cannot tell does not have it. Errors:
 * `SINK_FAILED`, `LEDGER_BEHIND_SINK`, `SINK_BEHIND_LEDGER`.
 */
export async function hasLanded(
  { batch, write, context, watch }: Omit<CommitCall, "messages" | "written">,
  failed = "failed after commit() had failed",
): Promise<boolean> {
  const lookup = write.asked as Partial<SupportsCommitLookup & SupportsNewestBatch>;
  const where = batchLocation(batch);
  if (lookup.hasCommitted !== undefined) {
    const ask = async () => (await lookup.hasCommitted?.(batch.batchId, context)) === true;
    return await watch.callSink("hasCommitted()", where, ask, failed);
  }
  if (lookup.newestBatch === undefined) return false;
  const ask = async () => isCommitted(context, (await lookup.newestBatch?.(context)) ?? undefined);
  return await watch.callSink("newestBatch()", where, ask, failed);
}

/**
 * True if the value that `commit` returned can be the hint for the next commit: JSON of at most 1
 * KiB. The size is limited because every batch run carries the hint.
 */
function isHint(returned: unknown): returned is JsonValue {
  if (returned === undefined || findNonJson(returned) !== undefined) return false;
  return Buffer.byteLength(JSON.stringify(returned)) <= MAX_HINT_BYTES;
}
