import { type BatchIdentity, type CommittedBatch, isSameBatch } from "./batch-identity.ts";
import type { BatchContext } from "./context.ts";
import { MillraceError } from "./errors.ts";
import { canonicalJson } from "./json.ts";
import { shellQuoted } from "./shell.ts";

/**
 * Compares the newest batch that the sink has of this pipeline, of any incarnation, with the batch
 * to commit. Returns true if it is this batch, so that there is nothing to do, and false if this
 * batch is the next one. Throws `LEDGER_BEHIND_SINK` or `SINK_BEHIND_LEDGER` if the sink and the
 * ledger do not fit together; then the commit must change nothing.
 */
export function isCommitted(
  batch: Pick<
    BatchContext,
    "pipeline" | "incarnation" | "batchId" | "planId" | "follows" | "continuity" | "formerIncarnations"
  >,
  newest: CommittedBatch | undefined,
): boolean {
  if (newest !== undefined && isSameBatch(newest, batch)) return true;
  if (batch.continuity !== "independent") checkNewest(batch, newest);
  else if (newest?.incarnation === batch.incarnation && newest.batchId >= batch.batchId)
    throw ledgerBehind(batch, newest);
  return false;
}

/** True if the sink found that it does not fit the ledger. It has changed nothing then. */
export function isMismatch(error: unknown): error is MillraceError {
  return (
    MillraceError.is(error) && (error.code === "LEDGER_BEHIND_SINK" || error.code === "SINK_BEHIND_LEDGER")
  );
}

/** The ledger's newest batch, and what it continues. */
export type LedgerPosition = Omit<Parameters<typeof isCommitted>[0], "batchId" | "planId">;

/**
 * Checks that `newest` is the batch that the ledger believes to be the newest one in the sink.
 * Throws `LEDGER_BEHIND_SINK` or `SINK_BEHIND_LEDGER`.
 */
export function checkNewest(ledger: LedgerPosition, newest: CommittedBatch | undefined): void {
  const { follows, continuity } = ledger;
  if (newest !== undefined && follows !== undefined && isSameBatch(newest, follows)) return;
  if (newest !== undefined && !isEarlier(newest, ledger)) throw ledgerBehind(ledger, newest);
  if (follows !== undefined && continuity === "strict") throw sinkBehind(ledger, follows, newest);
}

/** True if the ledger knows later batches of its own than `newest`. */
function isEarlier(
  newest: CommittedBatch,
  { incarnation, follows, continuity, formerIncarnations }: LedgerPosition,
): boolean {
  // An adoption of a sink that could not tell its newest batch is treated like a rewind.
  if (follows === undefined)
    return continuity === "rewound" && formerIncarnations.includes(newest.incarnation);
  if (newest.incarnation === follows.incarnation) return newest.batchId < follows.batchId;
  return follows.incarnation === incarnation && formerIncarnations.includes(newest.incarnation);
}

function ledgerBehind(
  { pipeline, incarnation, follows }: LedgerPosition,
  newest: CommittedBatch,
): MillraceError {
  const known =
    follows === undefined
      ? "the ledger has none"
      : follows.batchId === newest.batchId
        ? "the ledger has another one under this id"
        : `the newest in the ledger is batch ${follows.batchId}`;
  const problem =
    newest.incarnation === (follows?.incarnation ?? incarnation)
      ? `the newest batch of pipeline "${pipeline}" in the sink is ${nameOf(newest)}, but ${known}: the ledger is older than the sink`
      : `the sink has batches of pipeline "${pipeline}" from another ledger, the newest is ${nameOf(newest)}: this ledger (incarnation ${incarnation.slice(0, 8)}) was made anew, or another home runs the same pipeline`;
  return new MillraceError("LEDGER_BEHIND_SINK", problem, {
    where: { pipeline },
    hint: `Nothing was written, and the source was told nothing. To go on after the newest batch in the sink: \`millrace adopt ${pipeline}\`. It shows what it does before it asks; its option --from-start reads all rows again. If two homes run this pipeline, give one of them another name.`,
  });
}

function sinkBehind(
  { pipeline }: LedgerPosition,
  follows: BatchIdentity,
  newest: CommittedBatch | undefined,
): MillraceError {
  const found = newest === undefined ? "has no batch of it" : `ends with ${nameOf(newest)}`;
  // Only the ledger can say where a batch of an older version ended.
  const wayOut =
    newest === undefined
      ? `rewind ${pipeline} --to-start`
      : newest.end === undefined
        ? `adopt ${pipeline}`
        : `rewind ${pipeline} --to-offset ${shellQuoted(canonicalJson(newest.end))}`;
  return new MillraceError(
    "SINK_BEHIND_LEDGER",
    `the ledger's newest batch of pipeline "${pipeline}" is batch ${follows.batchId}, but the sink ${found}: the sink was restored, emptied or replaced`,
    {
      where: { pipeline },
      hint: `Nothing was written, and the source was told nothing. To write again what the sink lacks: \`millrace ${wayOut}\`.`,
    },
  );
}

function nameOf({ batchId, incarnation, start, end }: CommittedBatch): string {
  const range = end === undefined ? "" : ` from ${JSON.stringify(start)} to ${JSON.stringify(end)},`;
  return `batch ${batchId} (${range} incarnation ${incarnation.slice(0, 8)})`.replace("( ", "(");
}
