import type { Schema } from "apache-arrow";
import { MillraceError } from "../contract/errors.ts";
import type { Offset } from "../contract/offset.ts";
import { optional } from "../contract/optional.ts";
import type { SupportsCommitLookup } from "../contract/stream-writer.ts";
import { fenceOf, type LeaseRequest, withLease } from "./acquire.ts";
import { schemaOrCurrent, sourceSchemaOrCurrent } from "./batch-schema.ts";
import { finalize } from "./finalize.ts";
import { batchLocation } from "./messages.ts";
import type { Batch, BatchRun, Head } from "./ports/ledger.ts";
import type { Action } from "./ports/manual-operations.ts";
import { positionOf } from "./ports/position.ts";
import type { Ports } from "./ports/runtime.ts";
import type { BatchState } from "./ports/states.ts";
import { callOrReadBack } from "./retry.ts";
import { guard } from "./sessions/guard.ts";
import type { Sessions } from "./sessions/open-sessions.ts";
import { checkSinkPosition } from "./sink-position.ts";

/** What a skip does, or would do. It is JSON. */
export interface SkipReport {
  readonly batchId: number;
  readonly attempt: number;
  readonly state: BatchState;
  readonly start: Offset;
  readonly end: Offset;
  /** True if the sink has the batch: it is only finished, and no row is left out. */
  readonly hasLanded: boolean;
  /**
   * What becomes of the rows in the source. `kept`: it can read them again. `setAside`: it keeps
   * them elsewhere. `forgotten`: it is told to forget them.
   */
  readonly rows: "kept" | "setAside" | "forgotten";
  /** Where the source keeps the rows that were set aside. Absent until that is done. */
  readonly aside?: string;
}

export interface SkipChoice {
  /** The batch that must be open; by default the open one. */
  readonly batchId?: number | undefined;
  /** Skip although the source is then told to forget rows that are nowhere else. */
  readonly discard?: boolean | undefined;
}

export interface SkipRequest extends SkipChoice, Omit<LeaseRequest, "leaseMilliseconds"> {
  readonly action: Action;
}

/** Returns what a skip would do. Throws `BATCH_NOT_OPEN`, or `SKIP_REFUSED` as `skip` does. */
export async function previewSkip(sessions: Sessions, ports: Ports, choice: SkipChoice): Promise<SkipReport> {
  const head = await ports.ledger.head(sessions.pipeline.name);
  return await reportOf(sessions, await readOpen(sessions, ports, head, choice), choice);
}

/**
 * Ends the open batch: finishes it if the sink has it, otherwise leaves its rows out. To leave them
 * out, the batch's id is committed without rows under a new plan, so that a commit of the old plan
 * that is still on its way is refused. It can be repeated, and the next run finishes it if this
 * process dies. Throws `LEASE_HELD`, `BATCH_NOT_OPEN`, or `SKIP_REFUSED` if rows would be lost that
 * only the source has.
 */
export async function skip(sessions: Sessions, ports: Ports, request: SkipRequest): Promise<SkipReport> {
  const { name } = sessions.pipeline;
  return await withLease(name, ports, request, async (acquired) => {
    const open = await readOpen(sessions, ports, acquired, request);
    const report = await reportOf(sessions, open, request);
    const aside =
      report.rows === "setAside" && !report.hasLanded ? await setAside(sessions, open) : undefined;
    const current = report.hasLanded ? open : await abandoned(sessions, ports, open);
    await commitWithoutRows(sessions, ports, current, report.hasLanded, request.action);
    return { ...report, ...optional("aside", aside) };
  });
}

/** The open batch, its schema, and the head that names it. */
interface Open {
  readonly head: Head;
  readonly batch: Batch;
  readonly schema: Schema;
  readonly sourceSchema: Schema;
}

async function readOpen(
  sessions: Sessions,
  ports: Ports,
  head: Head | undefined,
  { batchId }: SkipChoice,
): Promise<Open> {
  const { name } = sessions.pipeline;
  const open = head?.openBatchId;
  const isAsked = open !== undefined && (batchId ?? open) === open;
  const batch = isAsked ? await ports.ledger.batch(name, open) : undefined;
  if (head !== undefined && batch !== undefined)
    return {
      head,
      batch,
      schema: await schemaOrCurrent(sessions, ports, batch),
      sourceSchema: await sourceSchemaOrCurrent(sessions, ports, batch),
    };
  const problem = batchId === undefined ? "has no open batch" : `has no open batch ${batchId}`;
  throw new MillraceError("BATCH_NOT_OPEN", `pipeline "${name}" ${problem} that could be skipped`, {
    where: { pipeline: name },
    hint: `Nothing was changed. ${open === undefined ? "To read on: `millrace run`." : `Batch ${open} is open.`}`,
  });
}

async function reportOf(
  sessions: Sessions,
  open: Open,
  { discard = false }: SkipChoice,
): Promise<SkipReport> {
  const { pipeline, batchId, attempt, state, start, end } = open.batch;
  const hasLanded = await isInSink(sessions, open);
  const planner = await sessions.source.planner(open.sourceSchema);
  const rows = planner.canSetAside && !discard ? "setAside" : planner.forgets ? "forgotten" : "kept";
  if (rows === "forgotten" && !hasLanded && !discard) {
    throw new MillraceError(
      "SKIP_REFUSED",
      `batch ${batchId} cannot be skipped: the source has a commit() and would be told to forget its rows, which are nowhere else`,
      {
        where: batchLocation(open.batch),
        hint: `Nothing was changed. Give the reader a setAside(start, end) that copies the rows, or copy them by hand, then: \`millrace skip ${pipeline} --discard\`.`,
      },
    );
  }
  return { batchId, attempt, state, start, end, hasLanded, rows };
}

/**
 * Asks the sink whether it has the batch. A sink that cannot tell counts as one that has not.
 * Throws `LEDGER_BEHIND_SINK` or `SINK_BEHIND_LEDGER`: the batch's id must not be used up in a sink
 * that lacks batches before it.
 */
async function isInSink(sessions: Sessions, { head, batch, schema }: Open): Promise<boolean> {
  const { sink } = sessions;
  const found = await checkSinkPosition(sessions, head, { batch, schema });
  if (found !== undefined) return found === "landed";
  if (batch.lastTriedAttempt === 0) return false;
  const lookup = (await sink.newAsked(schema)) as Partial<SupportsCommitLookup>;
  const context = sink.batchContext(batch, runOf(head, batch));
  const call = async () => (await lookup.hasCommitted?.(batch.batchId, context)) === true;
  return await guard("SINK_FAILED", "hasCommitted() failed", batchLocation(batch), call);
}

async function setAside({ source }: Sessions, { batch, schema }: Open): Promise<string> {
  const planner = await source.planner(schema);
  return await planner.setAside(batch.start, batch.end, batchLocation(batch));
}

/**
 * Aborts the attempt, so that the sink drops what it staged, unless its commit was tried. An abort
 * that fails does not stop a skip: what is staged is left to vacuum.
 */
async function abandoned(sessions: Sessions, ports: Ports, open: Open): Promise<Open> {
  const { ledger } = ports;
  const { head, batch } = open;
  try {
    if (batch.state === "planned") {
      const error = { code: "BATCH_ABORTED", message: "skipped by hand", where: batchLocation(batch) };
      await ledger.decide(fenceOf(head), batch, { to: "aborting", error });
    }
    if (batch.state === "planned" || batch.state === "aborting")
      await finalize(sessions, ports, { run: runOf(head, batch) });
  } catch (error) {
    if (MillraceError.is(error) && error.code === "FENCED") throw error;
  }
  return { ...open, batch: (await ledger.batch(batch.pipeline, batch.batchId)) ?? batch };
}

/** Starts the attempt without tasks and commits it. */
async function commitWithoutRows(
  sessions: Sessions,
  ports: Ports,
  { head, batch }: Open,
  hasLanded: boolean,
  action: Action,
): Promise<void> {
  const { ledger, runtime } = ports;
  // A commit of a landed batch under its own plan is recognised by the sink, and changes nothing.
  const planId = hasLanded ? batch.planId : runtime.newId();
  const skipped = await callOrReadBack(
    () => ledger.skip(fenceOf(head), batch, { ...action, planId }),
    async () => {
      const recorded = await ledger.batch(batch.pipeline, batch.batchId);
      const isMine = recorded?.attempt === batch.attempt + 1 && recorded.planId === planId;
      return isMine && recorded.skipped !== undefined ? recorded : undefined;
    },
  );
  const ended = await finalize(sessions, ports, { run: runOf(head, skipped) });
  const failure = ended.failure ?? ended.unacknowledged;
  if (failure !== undefined) throw failure;
}

function runOf(head: Head, batch: Batch): BatchRun {
  const { pipeline, incarnation, batchId, attempt, partitionsKey, planId } = batch;
  return {
    ...{ pipeline, incarnation, batchId, attempt, partitionsKey, epoch: head.epoch },
    ...optional("planId", planId),
    ...optional("lastCommit", head.lastCommit),
    position: positionOf(head),
  };
}
