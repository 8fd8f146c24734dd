import { type MillraceError, toMillraceError } from "../contract/errors.ts";
import { type Offset, sameOffset } from "../contract/offset.ts";
import { optional } from "../contract/optional.ts";
import type { ReadLimit } from "../contract/read-limit.ts";
import { acknowledge } from "./acknowledge.ts";
import { acquire, fenceOf, type LeaseRequest } from "./acquire.ts";
import { planRetry } from "./bad-rows/plan-retry.ts";
import { rangeOf } from "./batch-range.ts";
import { checkSink } from "./check-sink.ts";
import { findClockOffset } from "./clock-check.ts";
import { checkIdentity } from "./identity.ts";
import { checkOffsetSize } from "./limits.ts";
import { checkPartitions } from "./partitions-file.ts";
import type { Batch, BatchRun, Fence, Head, PipelineIdentity } from "./ports/ledger.ts";
import type { Pause } from "./ports/manual-operations.ts";
import { positionOf } from "./ports/position.ts";
import type { Planning } from "./ports/records.ts";
import type { Ports } from "./ports/runtime.ts";
import { stageOf } from "./ports/stages.ts";
import { Stopwatch } from "./progress.ts";
import { type NextBatch, recordBatch } from "./record-batch.ts";
import { type PlanOptions, range, resume } from "./resume.ts";
import type { Latest } from "./sessions/latest.ts";
import type { Sessions } from "./sessions/open-sessions.ts";
import type { Planner } from "./sessions/planner.ts";
import { checkSinkPosition } from "./sink-position.ts";
import { checkExchanges } from "./stage.ts";

export interface PlanRequest extends LeaseRequest {
  /** True if the next batch sends the quarantined rows again, and reads nothing of the source. */
  readonly retriesQuarantine?: boolean;
  /** Digest of the code that plans, if it is known. */
  readonly code?: string | undefined;
  /** Limit of the next batch. Default: the reader's own limit. */
  readonly limit?: ReadLimit | undefined;
  /** Maximum number of partitions. A larger batch is refused before it is recorded. */
  readonly maxTasks?: number;
  /**
   * Returns the limit, which replaces `limit`, and what the pipeline's name stands for. Called
   * before any other method of the source, but only after the lease was acquired and if the
   * pipeline is not paused.
   */
  prepare?(): Promise<Prepared>;
}

export interface Prepared {
  readonly limit: ReadLimit | undefined;
  /** Compared with the ledger. Without it, the ledger is not asked. */
  readonly identity?: PipelineIdentity;
}

/** A batch whose tasks must be written, and which must then be finalized. */
export interface PlannedBatch {
  readonly kind: "batch";
  readonly fence: Fence;
  readonly run: BatchRun;
  readonly batch: Batch;
  /**
   * Partitions without a recorded task. Empty if the batch is already decided and only Finalize is
   * left.
   */
  readonly todo: readonly number[];
  /** True if an earlier run planned the batch. */
  readonly resumed: boolean;
  /**
   * The end of all data that existed when the batch was planned. Only present if the batch is new
   * and the reader reports it.
   */
  readonly latest?: Offset;
  /**
   * A warning about a probable mistake in the source, which only the first batch of a pipeline can
   * have, or about a batch that is resumed under other circumstances than it was planned.
   */
  readonly warning?: MillraceError;
  /** Says which files of an open batch are gone or damaged, so that their rows come again. */
  readonly loss?: MillraceError;
}

export type PlanResult =
  | PlannedBatch
  | {
      readonly kind: "idle";
      readonly fence: Fence;
      /** The end of all data that exists, if the reader reports it. */
      readonly latest?: Offset;
      /** True if the batch was skipped because its target exists and the save mode is `ignore`. */
      readonly targetExists?: boolean;
    }
  | { readonly kind: "paused"; readonly fence: Fence; readonly paused: Pause };

/**
 * Acquires the lease, finishes the acknowledgement that an earlier run left, and then resumes the
 * open batch or records the next one. A batch is recorded before any of its rows is read. Throws
 * `LEASE_HELD`, and the errors of the reader's methods.
 */
export async function plan(sessions: Sessions, ports: Ports, request: PlanRequest): Promise<PlanResult> {
  const startedAt = ports.runtime.now();
  const head = await acquire(sessions.pipeline.name, ports, request);
  const fence = fenceOf(head);
  if (head.paused !== undefined) return { kind: "paused", fence, paused: head.paused };
  try {
    return await planWithFence(sessions, ports, fence, head, request, startedAt);
  } catch (error) {
    const where = { pipeline: head.pipeline };
    const failure = {
      at: ports.runtime.now(),
      error: toMillraceError(error, "UNEXPECTED", "the next batch was not planned", where).toRecord(),
    };
    // Without the release the next run would first have to find out that this run has ended.
    await ports.ledger.release(fence, { failure }).catch(() => undefined);
    throw error;
  }
}

async function planWithFence(
  sessions: Sessions,
  ports: Ports,
  fence: Fence,
  head: Head,
  request: PlanRequest,
  startedAt: number,
): Promise<PlanResult> {
  const planning = (measured: Pick<Planning, "durationMs" | "sincePrevious">): Planning => ({
    runId: request.owner.id,
    startedAt,
    endedAt: ports.runtime.now(),
    ...measured,
  });
  const { limit, identity } = (await request.prepare?.()) ?? { limit: request.limit };
  if (identity !== undefined) await checkIdentity(ports, fence, head, identity);
  if (head.unacknowledged !== undefined) {
    // The source must not forget rows that are not in the sink any more.
    await checkSinkPosition(sessions, head);
    await acknowledge(await sessions.source.planner(), ports, fence, head.unacknowledged);
    // A batch pipeline runs one batch per run. This run has just finished the previous run's batch,
    // so it is done.
    if (sessions.pipeline.saveMode !== undefined) return { kind: "idle", fence };
  }

  const options = { maxTasks: request.maxTasks ?? Number.POSITIVE_INFINITY, code: request.code };
  const resumed = await resume(sessions, ports, fence, head, options);
  if (resumed !== undefined) {
    const { batch } = resumed;
    const run = batchRunOf(batch, fence, head, planning({ durationMs: {} }));
    return { kind: "batch", fence, run, resumed: true, ...resumed };
  }
  const { batch, durationMs, ...reported } =
    request.retriesQuarantine === true
      ? await planRetry(sessions, ports, fence, head, options)
      : await planNext(sessions, ports, fence, head, { ...options, limit });
  if (batch === undefined) return { kind: "idle", fence, ...reported };
  const { lastPlannedAt } = head;
  const sincePrevious = lastPlannedAt === undefined ? {} : { sincePrevious: batch.plannedAt - lastPlannedAt };
  return {
    kind: "batch",
    fence,
    run: batchRunOf(batch, fence, head, planning({ durationMs, ...sincePrevious })),
    batch,
    todo: range(batch.tasks),
    resumed: false,
    ...reported,
  };
}

interface NextBatchOptions extends PlanOptions {
  readonly limit: ReadLimit | undefined;
}

/** Asks the source for the next batch and records it. */
async function planNext(
  sessions: Sessions,
  ports: Ports,
  fence: Fence,
  head: Head,
  { limit, maxTasks, code }: NextBatchOptions,
): Promise<NextBatch> {
  const { source, sink } = sessions;
  const stopwatch = new Stopwatch(ports.runtime);
  const { durationMs } = stopwatch;
  if (sink.dependsOnTarget && !(await sink.shouldWriteTarget(await source.schema(), head.incarnation)))
    return { targetExists: true, durationMs };
  const planner = await source.planner();
  // As in Spark, the reader is asked even if the run sets its own limit.
  const ownLimit = await planner.defaultReadLimit();
  const start = head.offset ?? (await planner.initialOffset());
  const check = (offset: Offset, method: string) =>
    checkOffsetSize(ports.ledger, offset, method, { pipeline: head.pipeline });
  if (head.offset === undefined) check(start, "initialOffset()");
  const askEnd = () => planner.latestOffset(start, limit ?? ownLimit);
  const { latest, reported } = await stopwatch.time("latestOffset", async () => ({
    latest: await askEnd(),
    reported: optional("latest", await planner.reportLatestOffset()),
  }));
  check(latest.end, "latestOffset()");
  if (reported.latest !== undefined) check(reported.latest, "reportLatestOffset()");
  if (sameOffset(start, latest.end)) {
    // A source that starts at "now" would otherwise miss the rows that arrive before the next run.
    if (head.offset === undefined) await ports.ledger.initialize(fence, start);
    return { ...reported, durationMs };
  }
  const partitions = await stopwatch.time("queryPlanning", () => planner.partitions(start, latest.end));
  checkPartitions(partitions, maxTasks);
  const isFirst = head.lastCommittedBatchId === undefined;
  const warning = isFirst ? await findClockWarning(planner, ports, latest, askEnd) : undefined;
  const schemas = await source.currentSchemas();
  // The commit compares again; this check spares the tasks, and an open batch.
  await checkSink(sessions, head, schemas.schema);
  const { runtime } = ports;
  const plan = { planId: runtime.newId(), plannedAt: runtime.now() };
  const request = { ...plan, incarnation: head.incarnation, isPlanning: true };
  const planned = await sink.planWrite(schemas.schema, request, partitions.length);
  if (planned === undefined) return { targetExists: true, durationMs };
  checkExchanges(planned, maxTasks, { pipeline: head.pipeline });
  // The offsets of a batch pipeline only count its runs.
  const range = sessions.pipeline.saveMode === undefined ? undefined : rangeOf(partitions);
  const { badRows } = sessions.pipeline;
  const draft = { ...plan, planned, schemas, partitions, start, latest, reported, range, code, badRows };
  const batch = await stopwatch.time("walCommit", () => recordBatch(ports, fence, head, draft));
  return { batch, ...reported, ...optional("warning", warning), durationMs };
}

async function findClockWarning(
  planner: Planner,
  { runtime }: Ports,
  { end }: Latest,
  askEnd: () => Promise<Latest>,
): Promise<MillraceError | undefined> {
  if (!planner.canRepeatLatestOffset) return undefined;
  return await findClockOffset(
    end,
    runtime.now(),
    async () => (await askEnd()).end,
    (milliseconds) => runtime.sleep(milliseconds),
  );
}

function batchRunOf(batch: Batch, fence: Fence, head: Head, planning: Planning): BatchRun {
  const { lastCommit } = head;
  return {
    pipeline: batch.pipeline,
    incarnation: batch.incarnation,
    epoch: fence.epoch,
    batchId: batch.batchId,
    ...optional("planId", batch.planId),
    attempt: batch.attempt,
    ...stageOf(batch),
    partitionsKey: batch.partitionsKey,
    position: positionOf(head),
    ...optional("write", batch.write),
    ...(lastCommit === undefined ? {} : { lastCommit }),
    planning,
  };
}
