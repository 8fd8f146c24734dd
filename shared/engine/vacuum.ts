import { STORE_FOLDER } from "../contract/store-layout.ts";
import type { OpenBatch, SupportsVacuum, VacuumResult } from "../contract/stream-writer.ts";
import { schemaOrCurrent } from "./batch-schema.ts";
import { parseBatchKey, rowsKeyBeside } from "./partitions-file.ts";
import type { Head } from "./ports/ledger.ts";
import type { Ports } from "./ports/runtime.ts";
import { TASKS_KEPT_MILLISECONDS } from "./resume.ts";
import { guard } from "./sessions/guard.ts";
import type { Sessions } from "./sessions/open-sessions.ts";

export interface VacuumRequest {
  /** Minimum age of a file that may be deleted, in milliseconds. */
  readonly olderThan: number;
  readonly dryRun: boolean;
}

/**
 * Counts of the deleted files; in a dry run, of the files that a real run would delete. `staged`
 * are files of the sink; `planned` are the engine's own partitions files and large messages.
 */
export interface VacuumReport {
  readonly staged: VacuumResult;
  readonly planned: VacuumResult;
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
  const nothing = { files: 0, bytes: 0 };
  const head = await ledger.head(pipeline.name);
  if (head === undefined) return { staged: nothing, planned: nothing };
  const last = await ledger.batch(head.pipeline, head.nextBatchId - 1);
  // The recorded schema is preferred, so that vacuum also works when the source does not answer.
  const schema = last === undefined ? await source.schema() : await schemaOrCurrent({ source }, ports, last);
  const writer = (await sink.writer(schema)) as unknown as Partial<SupportsVacuum>;
  const staged = await guard("SINK_FAILED", "vacuum() failed", { pipeline: head.pipeline }, () =>
    writer.vacuum?.({
      ...sink.context(head.incarnation),
      ...request,
      formerIncarnations: head.formerIncarnations ?? [],
      now: runtime.now(),
      readOpenBatch: () => readOpenBatch(ports, head.pipeline),
    }),
  );
  const planned = await vacuumPlans(ports, head.pipeline, request);
  if (!request.dryRun) await ledger.expireTasks(runtime.now() - TASKS_KEPT_MILLISECONDS);
  return { staged: staged ?? nothing, planned };
}

async function readOpenBatch(ports: Ports, pipeline: string): Promise<OpenBatch | undefined> {
  const head = await ports.ledger.head(pipeline);
  if (head?.openBatchId === undefined) return undefined;
  const batch = await ports.ledger.batch(pipeline, head.openBatchId);
  if (batch === undefined) return undefined;
  const { batchId, attempt, lastTriedAttempt } = batch;
  return { batchId, attempt, aborted: batch.state === "aborted", lastTriedAttempt };
}

async function vacuumPlans(ports: Ports, pipeline: string, request: VacuumRequest): Promise<VacuumResult> {
  const cutOff = ports.runtime.now() - request.olderThan;
  const candidates = [];
  for await (const object of ports.store.list(`${STORE_FOLDER.batches}/`))
    if (object.modifiedAt <= cutOff) candidates.push(object);
  const uploads = [];
  for await (const upload of ports.store.listUnfinished(`${STORE_FOLDER.batches}/`))
    if (upload.startedAt <= cutOff) uploads.push(upload);

  // The head must be read after the listing: a file that is not needed now will not be needed
  // later.
  const head = await ports.ledger.head(pipeline);
  const openBatch =
    head?.openBatchId === undefined ? undefined : await ports.ledger.batch(pipeline, head.openBatchId);
  const isDeletable = (key: string) =>
    head !== undefined && isDeletablePlan(key, head, openBatch?.partitionsKey);
  const deletable = candidates.filter((object) => isDeletable(object.key));
  if (!request.dryRun) {
    await ports.store.delete(deletable.map((object) => object.key));
    for (const upload of uploads) if (isDeletable(upload.key)) await ports.store.abandon(upload);
  }
  return { files: deletable.length, bytes: deletable.reduce((sum, object) => sum + object.bytes, 0) };
}

/**
 * True if a plan's file can be deleted, because its batch is closed. Also true if the plan was
 * never recorded and its epoch is over: then no run can record it any more. Messages of an open
 * batch are always kept.
 */
function isDeletablePlan(key: string, head: Head, openPartitionsKey: string | undefined): boolean {
  const plan = parseBatchKey(key);
  if (plan === undefined) return false;
  if (openPartitionsKey !== undefined && [openPartitionsKey, rowsKeyBeside(openPartitionsKey)].includes(key))
    return false;
  const isClosed = plan.batchId < head.nextBatchId && plan.batchId !== head.openBatchId;
  return isClosed || (plan.epoch !== undefined && plan.epoch < head.epoch);
}
