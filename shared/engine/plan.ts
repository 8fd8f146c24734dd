import type { RecordBatch, Schema } from "apache-arrow";
import { encodeFile, encodeSchema } from "../arrow/ipc-file.ts";
import { MillraceError } from "../contract/errors.ts";
import { type Offset, sameOffset } from "../contract/offset.ts";
import { optional } from "../contract/optional.ts";
import type { ReadLimit } from "../contract/read-limit.ts";
import { acknowledge } from "./acknowledge.ts";
import { findClockOffset } from "./clock-check.ts";
import {
  checkPartitions,
  partitionsKey,
  readPartitionsFile,
  rowsKey,
  writePartitionsFile,
} from "./partitions-file.ts";
import type { Action, Batch, BatchRun, Fence, Head, Owner, Planning, PlanOfAttempt } from "./ports/ledger.ts";
import type { Ports } from "./ports/runtime.ts";
import { Stopwatch } from "./progress.ts";
import { callOrReadBack } from "./retry.ts";
import type { Sessions } from "./sessions/open-sessions.ts";
import type { Latest, Planner } from "./sessions/planner.ts";

/**
 * Task records are kept for at least 90 days. A batch that is open for longer cannot be resumed
 * from them.
 */
export const TASKS_KEPT_MILLISECONDS: number = 90 * 86_400_000;

export interface PlanRequest {
  readonly owner: Owner;
  readonly leaseMilliseconds: number;
  /** Limit of the next batch. Default: the reader's own limit. */
  readonly limit?: ReadLimit | undefined;
  /** Maximum number of partitions. A larger batch is refused before it is recorded. */
  readonly maxTasks?: number;
  /**
   * Returns the limit, which replaces `limit`. Called before any other method of the source, but
   * only after the lease was acquired and if the pipeline is not paused.
   */
  prepare?(): Promise<ReadLimit | undefined>;
  /**
   * Returns true only if it is certain that this owner has ended. Its lease is then taken over at
   * once.
   */
  hasEnded(owner: Owner): Promise<boolean>;
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
   * A warning about a probable mistake in the source. Only the first batch of a pipeline has one.
   */
  readonly warning?: MillraceError;
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
  | { readonly kind: "paused"; readonly fence: Fence; readonly paused: Action };

/**
 * Acquires the lease, finishes the acknowledgement that an earlier run left, and then resumes the
 * open batch or records the next one. A batch is recorded before any of its rows is read. Throws
 * `LEASE_HELD`, and the errors of the reader's methods.
 */
export async function plan(sessions: Sessions, ports: Ports, request: PlanRequest): Promise<PlanResult> {
  const startedAt = ports.runtime.now();
  const head = await acquire(sessions.pipeline.name, ports, request);
  const fence: Fence = { pipeline: head.pipeline, epoch: head.epoch };
  if (head.paused !== undefined) return { kind: "paused", fence, paused: head.paused };
  try {
    return await planWithFence(sessions, ports, fence, head, request, startedAt);
  } catch (error) {
    // Without the release the next run would first have to find out that this run has ended.
    await ports.ledger.release(fence).catch(() => undefined);
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
  const limit = request.prepare === undefined ? request.limit : await request.prepare();
  if (head.unacknowledged !== undefined) {
    await acknowledge(await sessions.source.planner(), ports, fence, head.unacknowledged);
    // A batch pipeline runs one batch per run. This run has just finished the previous run's batch,
    // so it is done.
    if (sessions.pipeline.saveMode !== undefined) return { kind: "idle", fence };
  }

  const openBatch = await resume(sessions, ports, fence, head);
  if (openBatch !== undefined) {
    const todo = openBatch.state === "planned" ? await unfinishedTasks(ports, openBatch) : [];
    return {
      kind: "batch",
      fence,
      run: batchRunOf(openBatch, fence, head, planning({ durationMs: {} })),
      batch: openBatch,
      todo,
      resumed: true,
    };
  }
  const { batch, durationMs, ...reported } = await planNext(sessions, ports, fence, head, {
    limit,
    maxTasks: request.maxTasks ?? Number.POSITIVE_INFINITY,
  });
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

/**
 * Acquires the lease. If another owner holds it and has certainly ended, takes the lease over.
 * Throws `LEASE_HELD`.
 */
export async function acquire(
  pipeline: string,
  ports: Pick<Ports, "ledger" | "runtime">,
  request: Pick<PlanRequest, "owner" | "leaseMilliseconds" | "hasEnded">,
): Promise<Head> {
  const { runtime } = ports;
  const attempt = (takeOver: { takeOverEpoch?: number }) =>
    ports.ledger.acquire({
      pipeline,
      owner: request.owner,
      now: runtime.now(),
      leaseMilliseconds: request.leaseMilliseconds,
      newIncarnation: runtime.newId(),
      ...takeOver,
    });
  let result = await attempt({});
  const holder = result.head.lease?.owner;
  if (!result.acquired && holder !== undefined && (await request.hasEnded(holder))) {
    result = await attempt({ takeOverEpoch: result.head.epoch });
  }
  if (result.acquired) return result.head;
  const { lease } = result.head;
  throw new MillraceError(
    "LEASE_HELD",
    `pipeline "${pipeline}" is being run by ${lease?.owner.description ?? "another run"}`,
    {
      where: { pipeline },
      hint: "Wait until that run has ended, or stop it. One that is certainly dead: `millrace unlock`.",
    },
  );
}

/**
 * Returns the batch that an earlier run left open, or `undefined`. Starts a new attempt if the
 * batch was aborted, or if it is so old that its task records may have expired.
 */
async function resume(
  sessions: Sessions,
  ports: Ports,
  fence: Fence,
  head: Head,
): Promise<Batch | undefined> {
  if (head.openBatchId === undefined) return undefined;
  const batch = await ports.ledger.batch(head.pipeline, head.openBatchId);
  if (batch === undefined) {
    throw new MillraceError(
      "LEDGER_FAILED",
      `the ledger has no batch ${head.openBatchId}, which it says is open`,
      {
        where: { pipeline: head.pipeline, batchId: head.openBatchId },
      },
    );
  }
  const now = ports.runtime.now();
  const tasksExpired = now - batch.plannedAt > TASKS_KEPT_MILLISECONDS;
  if (tasksExpired && (batch.state === "committing" || batch.state === "aborting")) {
    const days = TASKS_KEPT_MILLISECONDS / 86_400_000;
    throw new MillraceError(
      "BATCH_TOO_OLD",
      `batch ${batch.batchId} was decided (${batch.state}) more than ${days} days ago and never ended`,
      {
        where: { pipeline: head.pipeline, batchId: batch.batchId, attempt: batch.attempt },
        hint: "Its commit messages may be gone. Look in the sink whether the batch landed before you go on.",
      },
    );
  }
  if (batch.state !== "aborted" && !(batch.state === "planned" && tasksExpired)) return batch;
  const plan = await planOfNextAttempt(sessions, ports, fence, batch);
  return await callOrReadBack(
    () => ports.ledger.replan(fence, batch, now, plan),
    async () => {
      const recorded = await ports.ledger.batch(fence.pipeline, batch.batchId);
      return recorded?.attempt === batch.attempt + 1 && recorded.state === "planned" ? recorded : undefined;
    },
  );
}

/**
 * Returns the plan of the next attempt: the same offsets and partitions, but the current schema. A
 * wrong schema may be why the last attempt failed. Returns `undefined` to keep the old plan if the
 * schema has not changed, or if the rows of a simple reader are already stored with the old schema.
 */
async function planOfNextAttempt(
  { source }: Sessions,
  ports: Ports,
  fence: Fence,
  batch: Batch,
): Promise<PlanOfAttempt | undefined> {
  const schema = await source.schema();
  const encoded = encodeSchema(schema);
  if (encoded === batch.schema) return undefined;
  const planned = await readPartitionsFile(ports.store, batch.partitionsKey);
  if (planned.rowsKey !== undefined) return undefined;
  const key = partitionsKey(batch.batchId, fence.epoch, ports.runtime.newId());
  await writePartitionsFile(ports.store, key, { ...planned, schema });
  return { partitionsKey: key, schema: encoded };
}

/** Result of planning the next batch. */
interface NextBatch {
  /** `undefined` when there is no new data. */
  readonly batch?: Batch;
  readonly latest?: Offset;
  readonly warning?: MillraceError;
  readonly targetExists?: boolean;
  readonly durationMs: Planning["durationMs"];
}

/** Asks the source for the next batch and records it. */
async function planNext(
  { source, sink }: Sessions,
  ports: Ports,
  fence: Fence,
  head: Head,
  { limit, maxTasks }: { readonly limit: ReadLimit | undefined; readonly maxTasks: number },
): Promise<NextBatch> {
  const stopwatch = new Stopwatch(ports.runtime);
  const { durationMs } = stopwatch;
  if (sink.dependsOnTarget && !(await sink.shouldWriteTarget(await source.schema(), head.incarnation)))
    return { targetExists: true, durationMs };
  const planner = await source.planner();
  // As in Spark, the reader is asked even if the run sets its own limit.
  const ownLimit = await planner.defaultReadLimit();
  const start = head.offset ?? (await planner.initialOffset());
  const askEnd = () => planner.latestOffset(start, limit ?? ownLimit);
  const { latest, reported } = await stopwatch.time("latestOffset", async () => ({
    latest: await askEnd(),
    reported: optional("latest", await planner.reportLatestOffset()),
  }));
  if (sameOffset(start, latest.end)) {
    // A source that starts at "now" would otherwise miss the rows that arrive before the next run.
    if (head.offset === undefined) await ports.ledger.initialize(fence, start);
    return { ...reported, durationMs };
  }
  const partitions = await stopwatch.time("queryPlanning", () => planner.partitions(start, latest.end));
  checkPartitions(partitions, maxTasks);
  const isFirst = head.lastCommittedBatchId === undefined;
  const warning = isFirst ? await findClockWarning(planner, ports, latest, askEnd) : undefined;
  const schema = await source.schema();
  const batch = await stopwatch.time("walCommit", () =>
    recordBatch(ports, fence, head, { schema, partitions, start, latest, reported }),
  );
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

/** Everything that is known about a batch before it is recorded. */
interface Draft {
  readonly schema: Schema;
  readonly partitions: readonly unknown[];
  readonly start: Offset;
  readonly latest: Latest;
  readonly reported: { readonly latest?: Offset };
}

/** Records a batch: first its partitions in the store, then the batch in the ledger. */
async function recordBatch(ports: Ports, fence: Fence, head: Head, draft: Draft): Promise<Batch> {
  const { schema, partitions, start, latest, reported } = draft;
  const { end, rows } = latest;
  const batchId = head.nextBatchId;
  const key = partitionsKey(batchId, fence.epoch, ports.runtime.newId());
  const storedRows =
    rows === undefined ? {} : { rowsKey: await storeRows(ports, rowsKey(key), schema, rows) };
  await writePartitionsFile(ports.store, key, { schema, partitions, start, end, ...storedRows });
  const batch = {
    incarnation: head.incarnation,
    batchId,
    start,
    end,
    ...reported,
    partitionsKey: key,
    // As in Spark, a batch without partitions runs one task without rows, so that the sink sees
    // every batch.
    tasks: Math.max(1, partitions.length),
    schema: encodeSchema(schema),
    now: ports.runtime.now(),
  };
  return await callOrReadBack(
    () => ports.ledger.plan(fence, batch),
    async () => {
      const recorded = await ports.ledger.batch(fence.pipeline, batchId);
      return recorded?.partitionsKey === key ? recorded : undefined;
    },
  );
}

/**
 * Stores the rows that a simple reader returned while planning. They are stored before the batch is
 * recorded, so that its task and every replay find them. They are few, so they are put in one
 * piece.
 */
async function storeRows(
  ports: Ports,
  key: string,
  schema: Schema,
  rows: AsyncIterable<RecordBatch>,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of encodeFile(schema, rows)) chunks.push(chunk);
  // The result of `put` is ignored. The key contains a unique id, so it can only exist if an
  // earlier try of this call wrote it.
  await ports.store.put(key, Buffer.concat(chunks));
  return key;
}

async function unfinishedTasks(ports: Ports, batch: Batch): Promise<readonly number[]> {
  const done = new Set((await ports.ledger.tasks(batch)).map((task) => task.partition));
  return range(batch.tasks).filter((partition) => !done.has(partition));
}

function batchRunOf(batch: Batch, fence: Fence, { lastCommit }: Head, planning: Planning): BatchRun {
  return {
    pipeline: batch.pipeline,
    incarnation: batch.incarnation,
    epoch: fence.epoch,
    batchId: batch.batchId,
    attempt: batch.attempt,
    partitionsKey: batch.partitionsKey,
    ...(lastCommit === undefined ? {} : { lastCommit }),
    planning,
  };
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
