import type { Schema } from "apache-arrow";
import { encodeFile } from "../arrow/ipc-file.ts";
import type { BadRowPolicy } from "../contract/bad-rows.ts";
import type { MillraceError } from "../contract/errors.ts";
import type { Offset } from "../contract/offset.ts";
import { optional } from "../contract/optional.ts";
import type { TimeRangeJson } from "../contract/time-range.ts";
import { BadRowCollector } from "./bad-rows/task-bad-rows.ts";
import { recordedSchema } from "./batch-schema.ts";
import { misfitsPrefix, planName, rowsKey, writePartitionsFile } from "./partitions-file.ts";
import type { Batch, Fence, Head } from "./ports/ledger.ts";
import type { Planning } from "./ports/records.ts";
import type { Ports } from "./ports/runtime.ts";
import type { TaskBadRows } from "./ports/tasks.ts";
import { callOrReadBack } from "./retry.ts";
import type { Latest } from "./sessions/latest.ts";
import type { PlannedWrite } from "./sessions/sink-session.ts";
import type { Schemas } from "./sessions/source-session.ts";
import { exchangesOf, plannedStages } from "./stage.ts";

/** Result of planning the next batch. */
export interface NextBatch {
  /** `undefined` when there is no new data. */
  readonly batch?: Batch;
  readonly latest?: Offset;
  readonly warning?: MillraceError;
  readonly targetExists?: boolean;
  readonly durationMs: Planning["durationMs"];
}

/** Everything that is known about a batch before it is recorded. */
export interface Draft {
  readonly schemas: Schemas;
  readonly partitions: readonly unknown[];
  readonly start: Offset;
  readonly latest: Latest;
  readonly reported: { readonly latest?: Offset };
  /** The range of time that the partitions of a batch pipeline cover. */
  readonly range?: TimeRangeJson | undefined;
  readonly code: string | undefined;
  readonly planId: string;
  readonly plannedAt: number;
  readonly planned: PlannedWrite;
  /** What happens to rows that a simple reader returned and that do not fit. */
  readonly badRows?: BadRowPolicy | undefined;
  /** True if the partitions are quarantined rows. */
  readonly isRetry?: boolean;
}

/** Records a batch: first its partitions in the store, then the batch in the ledger. */
export async function recordBatch(ports: Ports, fence: Fence, head: Head, draft: Draft): Promise<Batch> {
  const {
    schemas,
    partitions,
    start,
    latest,
    reported,
    code,
    planId,
    plannedAt,
    planned: write,
    isRetry,
  } = draft;
  const { schema, sourceSchema = schema } = schemas;
  const { end, rows } = latest;
  const batchId = head.nextBatchId;
  const name = planName(batchId, fence.epoch, ports.runtime.newId());
  const storedRows = rows === undefined ? {} : await storeRows(ports, name, sourceSchema, rows, draft);
  const stages = plannedStages(write, partitions.length, plannedAt);
  const kind = isRetry === true ? { isRetry } : {};
  const planned = { ...schemas, partitions, start, end, ...storedRows, ...stages, ...kind };
  const key = await writePartitionsFile(ports.store, name, planned);
  const batch = {
    incarnation: head.incarnation,
    batchId,
    planId,
    ...optional("code", code),
    start,
    end,
    ...reported,
    ...optional("range", draft.range),
    ...kind,
    partitionsKey: key,
    // As in Spark, a batch without partitions runs one task without rows, so that the sink sees
    // every batch.
    tasks: Math.max(1, partitions.length),
    ...recordedSchema(ports, schema),
    ...optional("write", write.write),
    ...exchangesOf(write, key, partitions.length),
    now: plannedAt,
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
 * recorded, so that its task and every replay find them. Those that do not fit are stored beside
 * them if the pipeline has a choice for bad rows: the task counts and keeps them.
 */
async function storeRows(
  { store }: Ports,
  name: string,
  schema: Schema,
  rows: Required<Latest>["rows"],
  { badRows }: Draft,
): Promise<{ readonly rowsKey: string; readonly misfits?: TaskBadRows }> {
  const options = { store, prefix: misfitsPrefix(name), where: {} };
  const isFailure = badRows === undefined || badRows.policy === "fail";
  const misfits = isFailure ? undefined : new BadRowCollector({ policy: "quarantine" }, options);
  const key = rowsKey(name);
  // The result of `put` is ignored. The key contains a unique id, so it can only exist if an
  // earlier try of this call wrote it.
  await store.put(key, encodeFile(schema, rows(misfits)));
  return { rowsKey: key, ...optional("misfits", await misfits?.finish()) };
}
