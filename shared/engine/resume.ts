import type { Schema } from "apache-arrow";
import { encodeSchema } from "../arrow/ipc-file.ts";
import { MillraceError } from "../contract/errors.ts";
import { optional } from "../contract/optional.ts";
import { retryPartitions } from "./bad-rows/retry-partitions.ts";
import { recordedSchema, schemaOrCurrent } from "./batch-schema.ts";
import { finishedExchanges, finishedTasks } from "./lost-tasks.ts";
import { batchLocation } from "./messages.ts";
import { otherCodeWarning } from "./other-code.ts";
import {
  checkPartitions,
  type PlannedPartitions,
  planName,
  readPartitionsFile,
  readPlanHeader,
  rowsKey,
  writePartitionsFile,
} from "./partitions-file.ts";
import type { Batch, Fence, Head, PlanOfAttempt } from "./ports/ledger.ts";
import type { Ports } from "./ports/runtime.ts";
import { stageOf } from "./ports/stages.ts";
import type { Task } from "./ports/tasks.ts";
import { callOrReadBack, transitionOrReadBack } from "./retry.ts";
import { findRowsProblem, rowsFile } from "./rows-file.ts";
import type { Sessions } from "./sessions/open-sessions.ts";
import type { PlannedWrite } from "./sessions/sink-session.ts";
import type { Schemas } from "./sessions/source-session.ts";
import { checkSinkPosition } from "./sink-position.ts";
import { checkExchanges, exchangesOf, plannedStages } from "./stage.ts";
import { lossWarning } from "./staged-files.ts";

/**
 * Task records are kept for at least 90 days. A batch that is open for longer cannot be resumed
 * from them.
 */
export const TASKS_KEPT_MILLISECONDS: number = 90 * 86_400_000;

/** What a new plan depends on, besides the source and the sink. */
export interface PlanOptions {
  /** Most tasks that a batch may have here. */
  readonly maxTasks: number;
  /** The code that plans. */
  readonly code: string | undefined;
}

/** The open batch, and what is left to do for it. */
export interface Resumed {
  readonly batch: Batch;
  /** Partitions without a recorded task. Empty if only Finalize is left. */
  readonly todo: readonly number[];
  readonly warning?: MillraceError;
  /** Says which files are gone or damaged, so that their rows are written or read again. */
  readonly loss?: MillraceError;
}

/**
 * Returns the batch that an earlier run left open, or `undefined`. Starts a new attempt if the
 * batch was aborted, or if it is so old that its task records may have expired, or if the file with
 * its partitions is gone.
 */
export async function resume(
  sessions: Sessions,
  ports: Ports,
  fence: Fence,
  head: Head,
  options: PlanOptions,
): Promise<Resumed | undefined> {
  const batch = await readOpenBatch(ports, head);
  if (batch === undefined) return undefined;
  const found = await checkSinkPosition(sessions, head, {
    batch,
    schema: await schemaOrCurrent(sessions, ports, batch),
  });
  const isOver = isAttemptOver(batch, ports.runtime.now()) || (await lacksWrite(sessions, ports, batch));
  // A new attempt writes rows of the current schema.
  if (isOver && found !== "landed") await sessions.sink.checkTarget(await sessions.source.schema(), head);
  // The rows that a command found may have changed since, so it looks for them again.
  const isCommand = sessions.pipeline.command !== undefined;
  const isSame = !isCommand || found === "landed";
  const next = isSame ? nextAttempt : planAnew;
  const current = isOver ? await next(sessions, ports, fence, batch, options) : batch;
  if (current.state !== "planned") return { batch: current, todo: [] };
  // The ledger is older than the sink's commit. Tasks that ran again could fail, and the abort
  // would delete what the commit names. The batch only has to be finished.
  if (found === "landed") return { batch: await decideToCommit(ports, fence, current), todo: [] };
  const finished = stageOf(current).stage === undefined ? finishedTasks : finishedExchanges;
  const { tasks, warning: loss } = await finished(sessions, ports, fence, head, current);
  const known = { isOver, code: options.code, loss };
  const { resumed, problem } = await unfinishedWork(ports, current, tasks, known);
  if (problem === undefined) return resumed;
  // A late commit of a command would be this batch, whatever is planned.
  const mayLandLate = current.lastTriedAttempt > 0 && found === undefined && !isCommand;
  if (mayLandLate) throw problem;
  const planned = await planAnew(sessions, ports, fence, current, options);
  return { batch: planned, todo: range(planned.tasks), warning: plannedAnew(planned, problem) };
}

/** Facts about an open batch that is resumed. */
interface Known {
  readonly isOver: boolean;
  readonly code: string | undefined;
  readonly loss: MillraceError | undefined;
}

/** Returns what is left to do. `problem` says why its plan cannot be read. */
async function unfinishedWork(
  ports: Ports,
  batch: Batch,
  tasks: readonly Task[],
  { isOver, code, loss }: Known,
): Promise<{ readonly resumed: Resumed; readonly problem?: MillraceError }> {
  const todo = unfinished(batch, tasks);
  // A large schema is only in the file, so the commit needs it, too.
  const needsPlan = todo.length > 0 || batch.schema === undefined;
  const plan = needsPlan ? await readPlan(ports, batch) : undefined;
  if (MillraceError.is(plan)) return { resumed: { batch, todo }, problem: plan };
  const warning = isOver || todo.length === 0 ? undefined : otherCodeWarning(batch, code);
  const lost = loss ?? (await findRowsLoss(ports, batch, plan));
  return { resumed: { batch, todo, ...optional("warning", warning), ...optional("loss", lost) } };
}

/**
 * True if the attempt cannot be resumed, because it was aborted or its tasks may have expired.
 * Throws `BATCH_TOO_OLD` if it was decided and can be neither resumed nor repeated.
 */
function isAttemptOver(batch: Batch, now: number): boolean {
  const isExpired = now - batch.plannedAt > TASKS_KEPT_MILLISECONDS;
  if (isExpired && (batch.state === "committing" || batch.state === "aborting")) throw tooOld(batch);
  return batch.state === "aborted" || (batch.state === "planned" && isExpired);
}

/**
 * True if the tasks cannot run because nothing is recorded of their write: the batch was planned by
 * other code, whose sink had writers in the form of PySpark's API.
 */
async function lacksWrite(sessions: Sessions, ports: Ports, batch: Batch): Promise<boolean> {
  if (batch.state !== "planned" || batch.write !== undefined || stageOf(batch).stage !== undefined)
    return false;
  return await sessions.sink.recordsWrite(await schemaOrCurrent(sessions, ports, batch));
}

async function readOpenBatch({ ledger }: Ports, head: Head): Promise<Batch | undefined> {
  const { pipeline, openBatchId } = head;
  if (openBatchId === undefined) return undefined;
  const batch = await ledger.batch(pipeline, openBatchId);
  if (batch !== undefined) return batch;
  throw new MillraceError("LEDGER_FAILED", `the ledger has no batch ${openBatchId}, which it says is open`, {
    where: { pipeline, batchId: openBatchId },
    hint: `Somebody deleted it. Restore the ledger, or go on after the newest batch in the sink: \`millrace adopt ${pipeline}\`.`,
  });
}

function tooOld({ pipeline, batchId, attempt, state }: Batch): MillraceError {
  const days = TASKS_KEPT_MILLISECONDS / 86_400_000;
  return new MillraceError(
    "BATCH_TOO_OLD",
    `batch ${batchId} was decided (${state}) more than ${days} days ago and never ended`,
    {
      where: { pipeline, batchId, attempt },
      hint: `Its commit messages may be gone. Look in the sink whether the batch landed. To end it: \`millrace skip ${pipeline}\`; if the sink can tell that the batch landed, nothing is lost by it, otherwise its rows are left out.`,
    },
  );
}

async function decideToCommit({ ledger }: Ports, fence: Fence, batch: Batch): Promise<Batch> {
  return await transitionOrReadBack(ledger, batch, "committing", () =>
    ledger.decide(fence, batch, { to: "committing" }),
  );
}

/** Starts the next attempt. */
async function replan(
  { ledger, runtime }: Ports,
  fence: Fence,
  batch: Batch,
  plan: PlanOfAttempt | undefined,
): Promise<Batch> {
  return await callOrReadBack(
    () => ledger.replan(fence, batch, runtime.now(), plan),
    async () => {
      const recorded = await ledger.batch(fence.pipeline, batch.batchId);
      return recorded?.attempt === batch.attempt + 1 && recorded.state === "planned" ? recorded : undefined;
    },
  );
}

/** Starts the next attempt, with a write of its own. */
async function nextAttempt(
  sessions: Sessions,
  ports: Ports,
  fence: Fence,
  batch: Batch,
  { code, maxTasks }: PlanOptions,
): Promise<Batch> {
  const input = inputOf(batch);
  const planned = await planOfNextAttempt(sessions, ports, fence, input, code);
  const { write: _ofLastAttempt, exchanges: _before, ...plan } = planned;
  const schema = await schemaOrCurrent(sessions, ports, { ...input, ...plan });
  const write = await planWrite(sessions, input, schema, await countOfInput(ports, input, plan));
  checkExchanges(write, maxTasks, batchLocation(batch));
  return await replan(ports, fence, batch, await withStages(ports, fence, input, plan, write));
}

/** Returns the batch as it was before its tasks exchanged rows. */
function inputOf(batch: Batch): Batch {
  const { exchanges } = batch;
  if (exchanges === undefined) return batch;
  return { ...batch, partitionsKey: exchanges.inputKey, tasks: exchanges.inputTasks };
}

/** Returns the number of the source's partitions. If the plan is gone, it is planned anew later. */
async function countOfInput(
  { store }: Ports,
  input: Batch,
  { partitionsKey }: Pick<Batch, "partitionsKey">,
): Promise<number> {
  const recorded = input.exchanges === undefined ? input.write?.inputPartitions : undefined;
  if (recorded !== undefined) return recorded;
  try {
    return (await readPlanHeader(store, partitionsKey)).count;
  } catch (error) {
    if (MillraceError.is(error) && error.code === "PARTITIONS_MISSING") return input.tasks;
    throw error;
  }
}

/**
 * Adds to the plan of an attempt how its tasks write, and how they exchange rows before. The
 * partitions file says that too, so it is written again if this has changed.
 */
async function withStages(
  ports: Ports,
  fence: Fence,
  input: Batch,
  plan: Omit<PlanOfAttempt, "write" | "exchanges">,
  planned: PlannedWrite,
): Promise<PlanOfAttempt> {
  const write = optional("write", planned.write);
  const file = await readPlan(ports, { ...input, ...plan });
  if (MillraceError.is(file)) return { ...plan, ...write };
  const { exchange, ordering, ...before } = file;
  const stages = plannedStages(planned, before.partitions.length, writtenAt(input));
  const isSame =
    JSON.stringify(stages) ===
    JSON.stringify({ ...optional("exchange", exchange), ...optional("ordering", ordering) });
  const name = planName(input.batchId, fence.epoch, ports.runtime.newId());
  const partitionsKey = isSame
    ? plan.partitionsKey
    : await writePartitionsFile(ports.store, name, { ...before, ...stages });
  return {
    ...plan,
    partitionsKey,
    ...write,
    ...exchangesOf(planned, partitionsKey, before.partitions.length),
  };
}

/** Returns when the write of the batch was planned first. */
function writtenAt(batch: Batch): number {
  return batch.write?.plannedAt ?? batch.firstPlannedAt;
}

/** Makes the write of a batch that is planned again. The decision to write it stands. */
async function planWrite(
  { sink }: Sessions,
  batch: Batch,
  schema: Schema,
  inputPartitions: number,
): Promise<PlannedWrite> {
  const request = { ...batch, plannedAt: writtenAt(batch) };
  // Only in the first attempt may the sink decide that there is nothing to write.
  return (await sink.planWrite(schema, request, inputPartitions)) as PlannedWrite;
}

/**
 * Returns the plan of the next attempt: the same offsets and partitions, but the current schema and
 * code. A wrong schema may be why the last attempt failed. The source's schema stays if the rows of
 * a simple reader are already stored with it; both stay if the partitions file is gone.
 */
async function planOfNextAttempt(
  { source }: Sessions,
  ports: Ports,
  fence: Fence,
  batch: Batch,
  code: string | undefined,
): Promise<PlanOfAttempt> {
  const { code: _plannedBy, schema: recorded, ...same } = batch;
  const byThisCode = { ...same, ...optional("schema", recorded), ...optional("code", code) };
  const current = await source.currentSchemas();
  const planned = await readPlan(ports, batch);
  if (MillraceError.is(planned)) return byThisCode;
  const { schema: _before, sourceSchema: ofSource, ...others } = planned;
  const schemas = planned.rowsKey === undefined ? current : source.schemasFrom(ofSource ?? planned.schema);
  if (areSame(planned, schemas)) return byThisCode;
  const name = planName(batch.batchId, fence.epoch, ports.runtime.newId());
  const key = await writePartitionsFile(ports.store, name, { ...others, ...schemas });
  return { ...same, partitionsKey: key, ...recordedSchema(ports, schemas.schema), ...optional("code", code) };
}

function areSame(one: Schemas, other: Schemas): boolean {
  const texts = ({ schema, sourceSchema = schema }: Schemas) =>
    [schema, sourceSchema].map(encodeSchema).join(" ");
  return texts(one) === texts(other);
}

/** Reads the batch's partitions file. Returns `PARTITIONS_MISSING` if it is gone or damaged. */
async function readPlan(
  { store }: Ports,
  { pipeline, batchId, attempt, partitionsKey: key }: Batch,
): Promise<PlannedPartitions | MillraceError> {
  try {
    return await readPartitionsFile(store, key);
  } catch (error) {
    if (!MillraceError.is(error) || error.code !== "PARTITIONS_MISSING") throw error;
    return error.with({
      where: { pipeline, batchId, attempt },
      hint: `Somebody deleted or changed it in the pipeline's store. A commit of this batch was tried and may have landed, so its partitions are not asked for anew: restore the file, or end the batch without them: \`millrace skip ${pipeline}\`.`,
    });
  }
}

/**
 * Asks the source for the partitions of the recorded range anew. They may be cut in another way, so
 * the plan gets another id: a commit of the old plan is then told from one of the new plan. Each
 * attempt of a command carries out all of it, so whichever commit lands, the batch has landed.
 */
async function planAnew(
  sessions: Sessions,
  ports: Ports,
  fence: Fence,
  batch: Batch,
  { code, maxTasks }: PlanOptions,
): Promise<Batch> {
  const { source, pipeline } = sessions;
  const { batchId, start, end } = batch;
  const planner = await source.planner();
  const partitions =
    batch.isRetry === true
      ? await retryPartitions(ports, batch.pipeline)
      : await planner.partitions(start, end);
  checkPartitions(partitions, maxTasks);
  const schemas = await source.currentSchemas();
  const { schema } = schemas;
  const name = planName(batchId, fence.epoch, ports.runtime.newId());
  // The rows that a simple reader returned while planning may be gone, too, and may have had
  // another schema. Its task finds no file under this key, and reads the rows again.
  const rows = planner.canRepeatLatestOffset ? {} : { rowsKey: rowsKey(name) };
  const planId = pipeline.command === undefined ? ports.runtime.newId() : batch.planId;
  const request = { ...batch, ...optional("planId", planId) };
  const planned = await planWrite(sessions, request, schema, partitions.length);
  checkExchanges(planned, maxTasks, batchLocation(batch));
  const stages = plannedStages(planned, partitions.length, writtenAt(batch));
  const retry = batch.isRetry === true ? { isRetry: true } : {};
  const file = { ...schemas, partitions, start, end, ...rows, ...stages, ...retry };
  const key = await writePartitionsFile(ports.store, name, file);
  return await replan(ports, fence, batch, {
    partitionsKey: key,
    ...recordedSchema(ports, schema),
    ...optional("write", planned.write),
    ...exchangesOf(planned, key, partitions.length),
    tasks: Math.max(1, partitions.length),
    ...optional("planId", planId),
    ...optional("code", code),
  });
}

function plannedAnew({ pipeline, batchId, attempt }: Batch, problem: MillraceError): MillraceError {
  return new MillraceError(
    "PARTITIONS_MISSING",
    `${problem.message}: the source was asked for the partitions of batch ${batchId} anew`,
    {
      where: { pipeline, batchId, attempt },
      hint: "Nothing is lost: no commit of the batch was tried, or the sink says that none landed. Find out who deletes files in the pipeline's store.",
    },
  );
}

function unfinished(batch: Batch, tasks: readonly Task[]): readonly number[] {
  const done = new Set(tasks.map((task) => task.partition));
  return range(batch.tasks).filter((partition) => !done.has(partition));
}

/** Returns a warning if the rows of a simple reader are lost. Its task reads them again. */
async function findRowsLoss(
  { store }: Ports,
  batch: Batch,
  plan: PlannedPartitions | undefined,
): Promise<MillraceError | undefined> {
  if (plan?.rowsKey === undefined) return undefined;
  const where = { pipeline: batch.pipeline, batchId: batch.batchId, attempt: batch.attempt };
  const problem = await findRowsProblem(rowsFile(store, plan.rowsKey, where));
  return problem && lossWarning(problem, "the source is asked for the rows again");
}

/** Returns the numbers from 0 up to `count`, exclusive. */
export function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
