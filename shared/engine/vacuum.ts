import type { ObjectInfo, UnfinishedUpload } from "../contract/object-store.ts";
import { STORE_FOLDER } from "../contract/store-layout.ts";
import type { OpenBatch, SupportsVacuum, VacuumResult } from "../contract/stream-writer.ts";
import { vacuumQuarantine } from "./bad-rows/vacuum-quarantine.ts";
import { schemaOrCurrent } from "./batch-schema.ts";
import { parseBatchKey, planNameOf } from "./partitions-file.ts";
import type { Head } from "./ports/ledger.ts";
import type { Ports } from "./ports/runtime.ts";
import { TASKS_KEPT_MILLISECONDS } from "./resume.ts";
import { guard } from "./sessions/guard.ts";
import type { Sessions } from "./sessions/open-sessions.ts";

/** Number of old plans that are listed before they are deleted. */
const PLANS_AT_ONCE = 10_000;

export interface VacuumRequest {
  /** Minimum age of a file that may be deleted, in milliseconds. */
  readonly olderThan: number;
  readonly dryRun: boolean;
  /** Aborts when the time is almost over. The next vacuum goes on. */
  readonly signal?: AbortSignal;
}

/**
 * Counts of the deleted files; in a dry run, of the files that a real run would delete. `staged`
 * are files of the sink; `planned` are the engine's own partitions files, large messages, and rows
 * of the quarantine that were sent again.
 */
export interface VacuumReport {
  readonly staged: VacuumResult;
  readonly planned: VacuumResult;
  /** True if the time was over before all files were looked at. */
  readonly more: boolean;
}

/**
 * Deletes files that no batch needs any more. Safe while the pipeline is running: files that an
 * unfinished attempt needs are kept, however old they are. Does nothing if the pipeline never ran.
 */
export async function vacuum(
  { pipeline, source, sink }: Sessions,
  ports: Ports,
  request: VacuumRequest,
): Promise<VacuumReport> {
  const { ledger, runtime } = ports;
  const nothing: VacuumResult = { files: 0, bytes: 0 };
  const head = await ledger.head(pipeline.name);
  if (head === undefined) return { staged: nothing, planned: nothing, more: false };
  const last = await ledger.batch(head.pipeline, head.nextBatchId - 1);
  // The recorded schema is preferred, so that vacuum also works when the source does not answer.
  const schema = last === undefined ? await source.schema() : await schemaOrCurrent({ source }, ports, last);
  // Old plans come first: they are few, and do not depend on the sink.
  const plans = await vacuumPlans(ports, head.pipeline, request);
  const cutOff = runtime.now() - request.olderThan;
  const quarantine = await vacuumQuarantine(ports, head.pipeline, { ...request, cutOff });
  const planned = { files: plans.files + quarantine.files, bytes: plans.bytes + quarantine.bytes };
  if (!request.dryRun) await ledger.expireTasks(runtime.now() - TASKS_KEPT_MILLISECONDS);
  const asked = (await sink.newAsked(schema)) as Partial<SupportsVacuum>;
  const staged = await guard("SINK_FAILED", "vacuum() failed", { pipeline: head.pipeline }, () =>
    asked.vacuum?.({
      ...sink.context(head.incarnation),
      ...request,
      formerIncarnations: head.formerIncarnations ?? [],
      now: runtime.now(),
      readOpenBatch: () => readOpenBatch(ports, head.pipeline),
    }),
  );
  const { files, bytes, more = false } = staged ?? nothing;
  return { staged: { files, bytes }, planned, more: more || request.signal?.aborted === true };
}

async function readOpenBatch(ports: Ports, pipeline: string): Promise<OpenBatch | undefined> {
  const head = await ports.ledger.head(pipeline);
  if (head?.openBatchId === undefined) return undefined;
  const batch = await ports.ledger.batch(pipeline, head.openBatchId);
  if (batch === undefined) return undefined;
  const { batchId, attempt, lastTriedAttempt } = batch;
  return { batchId, attempt, aborted: batch.state === "aborted", lastTriedAttempt };
}

/** Deletes old plans in pages. Few files are left, so each vacuum begins at the start. */
async function vacuumPlans(ports: Ports, pipeline: string, request: VacuumRequest): Promise<VacuumResult> {
  const cutOff = ports.runtime.now() - request.olderThan;
  const folder = `${STORE_FOLDER.batches}/`;
  let sum = { files: 0, bytes: 0 };
  let page: ObjectInfo[] = [];
  const removePage = async () => {
    const isDeletable = await judgePlans(ports, pipeline);
    const deletable = page.filter(({ key }) => isDeletable(key));
    if (!request.dryRun) await ports.store.delete(deletable.map(({ key }) => key));
    const bytes = deletable.reduce((total, object) => total + object.bytes, sum.bytes);
    sum = { files: sum.files + deletable.length, bytes };
    page = [];
  };
  for await (const object of ports.store.list(folder)) {
    if (object.modifiedAt <= cutOff) page.push(object);
    if (page.length >= PLANS_AT_ONCE) await removePage();
    if (request.signal?.aborted) return sum;
  }
  if (page.length > 0) await removePage();
  if (!request.dryRun) await abandonPlans(ports, pipeline, cutOff);
  return sum;
}

async function abandonPlans(ports: Ports, pipeline: string, cutOff: number): Promise<void> {
  const uploads: UnfinishedUpload[] = [];
  for await (const upload of ports.store.listUnfinished(`${STORE_FOLDER.batches}/`))
    if (upload.startedAt <= cutOff) uploads.push(upload);
  if (uploads.length === 0) return;
  const isDeletable = await judgePlans(ports, pipeline);
  for (const upload of uploads) if (isDeletable(upload.key)) await ports.store.abandon(upload);
}

/**
 * Returns a test for keys that were listed before. The head is read after the listing: a file that
 * is not needed now will not be needed later. The other order would be safe here, too, and only
 * keep files longer, because a later plan has a later batch or an epoch that is not over. It would
 * not be safe for staged files of a sink that cannot tell its newest batch
 * (connectors/kit/vacuum.ts).
 */
async function judgePlans({ ledger }: Ports, pipeline: string): Promise<(key: string) => boolean> {
  const head = await ledger.head(pipeline);
  const openBatch =
    head?.openBatchId === undefined ? undefined : await ledger.batch(pipeline, head.openBatchId);
  // The partitions of the source are needed again if the attempt is aborted.
  const needed = openBatch === undefined ? [] : [openBatch.partitionsKey, openBatch.exchanges?.inputKey];
  const open = new Set(needed.flatMap((key) => (key === undefined ? [] : [planNameOf(key)])));
  return (key) => head !== undefined && isDeletablePlan(key, head, open);
}

/**
 * True if a plan's file can be deleted, because its batch is closed. Also true if the plan was
 * never recorded and its epoch is over: then no run can record it any more. Messages of an open
 * batch are always kept.
 */
function isDeletablePlan(key: string, head: Head, open: ReadonlySet<string>): boolean {
  const plan = parseBatchKey(key);
  if (plan === undefined) return false;
  if (open.has(planNameOf(key))) return false;
  const isClosed = plan.batchId < head.nextBatchId && plan.batchId !== head.openBatchId;
  return isClosed || (plan.epoch !== undefined && plan.epoch < head.epoch);
}
