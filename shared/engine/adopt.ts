import { type CommittedBatch, isSameBatch } from "../contract/batch-identity.ts";
import { MillraceError } from "../contract/errors.ts";
import type { Offset } from "../contract/offset.ts";
import { type LeaseRequest, withLease } from "./acquire.ts";
import { checkOffsetSize } from "./limits.ts";
import type { Head } from "./ports/ledger.ts";
import type { Action } from "./ports/manual-operations.ts";
import { identityOf, positionOf } from "./ports/position.ts";
import type { Ports } from "./ports/runtime.ts";
import type { Sessions } from "./sessions/open-sessions.ts";
import { tryOffset } from "./try-offset.ts";

/** Where an adopted pipeline goes on. */
export interface AdoptChoice {
  /** Begin where the first batch began: all rows are read again. */
  readonly fromStart?: boolean | undefined;
  /** Go on at this offset, whatever the sink says. */
  readonly toOffset?: Offset | undefined;
  /** Do not try `toOffset` on the source first. */
  readonly isUnchecked?: boolean | undefined;
}

/** What an adoption does, or would do. It is JSON. */
export interface AdoptReport {
  /** True if the sink can tell its newest batch. */
  readonly sinkTells: boolean;
  /** The newest batch of the pipeline in the sink, or `null` if it has none or cannot tell. */
  readonly newest: CommittedBatch | null;
  /** The offset that the ledger has, or `null`. */
  readonly from: Offset | null;
  /** Where the next batch starts, or `null` for the source's initial offset. */
  readonly to: Offset | null;
  readonly nextBatchId: number;
  /** The open batch, which is given up, or `null`. */
  readonly openBatchId: number | null;
}

export interface AdoptRequest extends AdoptChoice, Omit<LeaseRequest, "leaseMilliseconds"> {
  readonly action: Action;
  /** What the person was shown. The adoption is refused if something has changed since. */
  readonly shown: AdoptReport;
}

/** Returns what an adoption would do. Throws `NOT_SUPPORTED` if it is unknown where to go on. */
export async function previewAdoption(
  sessions: Sessions,
  ports: Ports,
  choice: AdoptChoice,
): Promise<AdoptReport> {
  const head = await ports.ledger.head(sessions.pipeline.name);
  return await reportOf(sessions, ports, head, choice);
}

/**
 * Begins a new life of a pipeline whose ledger is older than its sink, or was lost: it goes on
 * after the newest batch in the sink. Batch ids stay unique, an open batch is given up, and the
 * source is told what the sink has. Throws `LEASE_HELD`, `FENCED`, `NOT_SUPPORTED`, or
 * `LEDGER_CONFLICT` if something has changed since it was shown.
 */
export async function adopt(sessions: Sessions, ports: Ports, request: AdoptRequest): Promise<AdoptReport> {
  const { name } = sessions.pipeline;
  return await withLease(name, ports, request, async (head, fence) => {
    const report = await reportOf(sessions, ports, head, request);
    if (!isAsShown(report, request.shown)) throw changedSince(name);
    const { newest, to, nextBatchId, openBatchId } = report;
    if (to !== null) checkOffsetSize(ports.ledger, to, "the adoption", { pipeline: name });
    const open = openBatchId === null ? undefined : await ports.ledger.batch(name, openBatchId);
    const isAfterNewest = newest !== null && to !== null && request.toOffset === undefined;
    await ports.ledger.adopt(
      fence,
      {
        ...request.action,
        newIncarnation: ports.runtime.newId(),
        nextBatchId,
        isSinkUnchecked: !report.sinkTells,
        ...(newest === null ? {} : { newest: identityOf(newest) }),
        ...(to === null ? {} : { to }),
        ...(isAfterNewest ? { unacknowledged: { batchId: newest.batchId, end: to } } : {}),
      },
      open,
    );
    return report;
  });
}

function changedSince(pipeline: string): MillraceError {
  return new MillraceError(
    "LEDGER_CONFLICT",
    `pipeline "${pipeline}" or its sink has changed since it was shown`,
    {
      where: { pipeline },
      hint: `Nothing was changed. Look again: \`millrace adopt ${pipeline}\`.`,
    },
  );
}

async function reportOf(
  sessions: Sessions,
  ports: Ports,
  head: Head | undefined,
  choice: AdoptChoice,
): Promise<AdoptReport> {
  const { sink, source } = sessions;
  const follows = head === undefined ? undefined : positionOf(head).follows;
  const schema = await source.schema();
  const found = await sink.newestBatch(schema, head?.incarnation ?? "", undefined, follows);
  const newest = found?.newest;
  return {
    sinkTells: found !== undefined,
    newest: newest ?? null,
    from: head?.offset ?? null,
    to: (await destination(sessions, ports, newest, choice)) ?? null,
    nextBatchId: Math.max(head?.nextBatchId ?? 0, (newest?.batchId ?? -1) + 1),
    openBatchId: head?.openBatchId ?? null,
  };
}

/**
 * Returns where to go on, or `undefined` for the source's initial offset. `fromStart` means the
 * start of the first batch, if the ledger has it.
 */
async function destination(
  sessions: Sessions,
  { ledger }: Ports,
  newest: CommittedBatch | undefined,
  { fromStart = false, toOffset, isUnchecked = false }: AdoptChoice,
): Promise<Offset | undefined> {
  const { name } = sessions.pipeline;
  // A source that starts at the present moment would leave out what it has had since.
  if (fromStart) return (await ledger.batch(name, 0))?.start;
  if (toOffset !== undefined) return isUnchecked ? toOffset : await tryOffset(sessions, toOffset);
  if (newest?.end !== undefined) return newest.end;
  // Records of older versions have no offsets, but the ledger may have the batch.
  const batch = newest === undefined ? undefined : await ledger.batch(name, newest.batchId);
  if (batch !== undefined && newest !== undefined && isSameBatch(newest, identityOf(batch))) return batch.end;
  const problem = newest === undefined ? "names no batch of it" : "does not say where its newest batch ended";
  throw new MillraceError(
    "NOT_SUPPORTED",
    `the sink ${problem}, so it is not known where pipeline "${name}" goes on`,
    {
      where: { pipeline: name },
      hint: "Look into the sink, then give --to-offset with an offset of the source, or --from-start to read all rows again.",
    },
  );
}

/** Compares what a person saw with what is there now. */
function isAsShown(now: AdoptReport, shown: AdoptReport): boolean {
  const isSameNewest =
    now.newest === null || shown.newest === null
      ? now.newest === shown.newest
      : isSameBatch(now.newest, shown.newest);
  return isSameNewest && now.nextBatchId === shown.nextBatchId && now.openBatchId === shown.openBatchId;
}
