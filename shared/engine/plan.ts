import { encodeSchema } from "../arrow/ipc-file.ts";
import { MillraceError } from "../contract/errors.ts";
import { sameOffset } from "../contract/offset.ts";
import type { ReadLimit } from "../contract/read-limit.ts";
import type { Action, Batch, BatchRun, Fence, Head, Owner } from "../ledger/ledger.ts";
import { acknowledge } from "./acknowledge.ts";
import type { OpenPipeline } from "./open-pipeline.ts";
import { checkPartitions, partitionsKey, writePartitions } from "./partitions-file.ts";
import type { Ports } from "./ports.ts";
import { confirmed } from "./retry.ts";

/** Task records are kept at least this long: a batch that is open for longer can no longer be resumed from them. */
export const TASKS_KEPT_MILLISECONDS: number = 90 * 86_400_000;

export interface PlanRequest {
  readonly owner: Owner;
  readonly leaseMilliseconds: number;
  readonly limit: ReadLimit;
  /** A batch of more partitions is refused before it is recorded. */
  readonly maxTasks?: number;
  /** Called before anything else is asked of the source: not where another run has the pipeline, or it is paused. */
  prepare?(): Promise<void>;
  /** True only where this owner has provably ended: its lease is then taken over at once. */
  hasEnded(owner: Owner): Promise<boolean>;
}

export type PlanResult =
  | { readonly kind: "idle"; readonly fence: Fence }
  | { readonly kind: "paused"; readonly fence: Fence; readonly paused: Action }
  | {
      readonly kind: "batch";
      readonly fence: Fence;
      readonly run: BatchRun;
      readonly batch: Batch;
      /** Partitions that have no finished task. Empty for a batch that was decided: only Finalize is left. */
      readonly todo: readonly number[];
      /** True where the batch was planned by an earlier run. */
      readonly resumed: boolean;
    };

/**
 * Takes the pipeline, finishes what an earlier run left, and records the next batch before any of its rows is read. Errors:
 * `LEASE_HELD`, and those of the reader's methods.
 */
export async function plan(open: OpenPipeline, ports: Ports, request: PlanRequest): Promise<PlanResult> {
  const head = await acquire(open.pipeline.name, ports, request);
  const fence: Fence = { pipeline: head.pipeline, epoch: head.epoch };
  if (head.paused !== undefined) return { kind: "paused", fence, paused: head.paused };
  try {
    return await planAs(open, ports, fence, head, request);
  } catch (error) {
    // So that the next run need not find out first that this one is over.
    await ports.ledger.release(fence).catch(() => undefined);
    throw error;
  }
}

async function planAs(
  open: OpenPipeline,
  ports: Ports,
  fence: Fence,
  head: Head,
  request: PlanRequest,
): Promise<PlanResult> {
  await request.prepare?.();
  if (head.unacknowledged !== undefined) await acknowledge(open, ports, fence, head.unacknowledged);

  const openBatch = await resume(ports, fence, head);
  if (openBatch !== undefined) {
    const todo = openBatch.state === "planned" ? await unfinishedTasks(ports, openBatch) : [];
    return {
      kind: "batch",
      fence,
      run: runOf(openBatch, fence, head),
      batch: openBatch,
      todo,
      resumed: true,
    };
  }
  const batch = await planNext(open, ports, fence, head, request);
  if (batch === undefined) return { kind: "idle", fence };
  return {
    kind: "batch",
    fence,
    run: runOf(batch, fence, head),
    batch,
    todo: range(batch.tasks),
    resumed: false,
  };
}

/** Takes the lease. Error: `LEASE_HELD`. */
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

/** The batch that an earlier run left open, ready to go on; a new attempt of it where it was aborted. */
async function resume(ports: Ports, fence: Fence, head: Head): Promise<Batch | undefined> {
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
  const isForgotten = now - batch.plannedAt > TASKS_KEPT_MILLISECONDS;
  if (isForgotten && (batch.state === "committing" || batch.state === "aborting")) {
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
  if (batch.state !== "aborted" && !(batch.state === "planned" && isForgotten)) return batch;
  return await confirmed(
    () => ports.ledger.replan(fence, batch, now),
    async () => {
      const there = await ports.ledger.batch(fence.pipeline, batch.batchId);
      return there?.attempt === batch.attempt + 1 && there.state === "planned" ? there : undefined;
    },
  );
}

/** Records the next batch; `undefined` where nothing is new. */
async function planNext(
  open: OpenPipeline,
  ports: Ports,
  fence: Fence,
  head: Head,
  { limit, maxTasks = Number.POSITIVE_INFINITY }: PlanRequest,
): Promise<Batch | undefined> {
  const start = head.offset ?? (await open.initialOffset());
  const end = await open.latestOffset(start, limit);
  if (sameOffset(start, end)) {
    // Rows that come before the next run must not be missed by a source whose initial offset is "now".
    if (head.offset === undefined) await ports.ledger.initialize(fence, start);
    return undefined;
  }
  const partitions = await open.partitions(start, end);
  checkPartitions(partitions, maxTasks);
  const schema = await open.schema();
  const key = partitionsKey(head.nextBatchId, fence.epoch, ports.runtime.newId());
  await writePartitions(ports.store, key, { schema, partitions });
  const batch = {
    incarnation: head.incarnation,
    batchId: head.nextBatchId,
    start,
    end,
    partitionsKey: key,
    // As in Spark, a batch without partitions runs as one task without rows: the sink sees each batch.
    tasks: Math.max(1, partitions.length),
    schema: encodeSchema(schema),
    now: ports.runtime.now(),
  };
  return await confirmed(
    () => ports.ledger.plan(fence, batch),
    async () => {
      const there = await ports.ledger.batch(fence.pipeline, batch.batchId);
      return there?.partitionsKey === key ? there : undefined;
    },
  );
}

async function unfinishedTasks(ports: Ports, batch: Batch): Promise<readonly number[]> {
  const done = new Set((await ports.ledger.tasks(batch)).map((task) => task.partition));
  return range(batch.tasks).filter((partition) => !done.has(partition));
}

function runOf(batch: Batch, fence: Fence, { lastCommit }: Head): BatchRun {
  return {
    pipeline: batch.pipeline,
    incarnation: batch.incarnation,
    epoch: fence.epoch,
    batchId: batch.batchId,
    attempt: batch.attempt,
    partitionsKey: batch.partitionsKey,
    ...(lastCommit === undefined ? {} : { lastCommit }),
  };
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
