import { MillraceError } from "../contract/errors.ts";
import { optional } from "../contract/optional.ts";
import { batchLocation, messagesOf } from "./messages.ts";
import { planName, readPlanHeader, writePartitionsFile } from "./partitions-file.ts";
import { tasksOfPlan } from "./plan-tasks.ts";
import type { Batch, BatchRun, Fence, PlanOfStage } from "./ports/ledger.ts";
import { fenced, isHeldBy } from "./ports/refusals.ts";
import type { Ports } from "./ports/runtime.ts";
import type { Task } from "./ports/tasks.ts";
import { range } from "./resume.ts";
import { callOrReadBack } from "./retry.ts";
import type { Sessions } from "./sessions/open-sessions.ts";
import { planShuffled } from "./shuffle/segments.ts";
import type { ShuffledPartition, ShuffleOutput } from "./shuffle/spec.ts";
import { runOfStage } from "./stage.ts";
import { exchangedRows, specOf } from "./write/exchange-task.ts";

/** The stage of a batch whose tasks must run next. */
export interface PlannedStage {
  readonly batch: Batch;
  readonly run: BatchRun;
  readonly todo: readonly number[];
}

/**
 * Plans the next stage of a batch whose tasks have exchanged their rows, from what they have
 * recorded. Throws `TASKS_MISSING` if a task is not recorded, `STAGED_FILE_MISSING` if its message
 * is gone, `FENCED`, and the errors of the sink.
 */
export async function planStage(sessions: Sessions, ports: Ports, run: BatchRun): Promise<PlannedStage> {
  const batch = await ports.ledger.batch(run.pipeline, run.batchId);
  const fence: Fence = { pipeline: run.pipeline, incarnation: run.incarnation, epoch: run.epoch };
  // An earlier call of this step has planned the stage, and its answer was lost.
  if (batch !== undefined && isAfter(batch, run)) {
    const head = await ports.ledger.head(run.pipeline);
    if (!isHeldBy(fence, head)) throw fenced(fence, head);
    return await stageToRun(ports, run, batch);
  }
  if (batch === undefined || !isAt(batch, run)) throw stale(run);
  const plan = await planOf(sessions, ports, run, batch);
  const planned = await callOrReadBack(
    () => ports.ledger.planStage(fence, batch, plan),
    async () => {
      const current = await ports.ledger.batch(run.pipeline, run.batchId);
      return current?.partitionsKey === plan.partitionsKey ? current : undefined;
    },
  );
  // Another call of this step, whose answer was lost, may have planned the stage first.
  if (planned.attempt !== run.attempt || planned.state !== "planned") throw stale(run);
  return await stageToRun(ports, run, planned);
}

async function stageToRun(ports: Ports, run: BatchRun, planned: Batch): Promise<PlannedStage> {
  const next = runOfStage(run, planned);
  const tasks = await tasksOfPlan(ports.ledger, next);
  const done = new Set(tasks.map(({ partition }) => partition));
  return { batch: planned, run: next, todo: range(planned.tasks).filter((one) => !done.has(one)) };
}

function isAt(batch: Batch, run: BatchRun): boolean {
  return isOfAttempt(batch, run) && batch.partitionsKey === run.partitionsKey;
}

function isAfter(batch: Batch, run: BatchRun): boolean {
  return isOfAttempt(batch, run) && batch.exchanges?.done === (run.stage ?? 0) + 1;
}

function isOfAttempt({ incarnation, planId, attempt, state }: Batch, run: BatchRun): boolean {
  const isSame = incarnation === run.incarnation && planId === run.planId && attempt === run.attempt;
  return isSame && state === "planned";
}

async function planOf(sessions: Sessions, ports: Ports, run: BatchRun, batch: Batch): Promise<PlanOfStage> {
  const header = await readPlanHeader(ports.store, batch.partitionsKey);
  const { exchange } = header;
  if (exchange === undefined) throw stale(run);
  const { stage, specs, isTransformed, ordering, plannedAt } = exchange;
  const tasks = await tasksOfPlan(ports.ledger, run);
  const outputs = await outputsOf(ports, batch, tasks);
  const write = await sessions.sink.writeOfStage(header.schema, { ...batch, plannedAt });
  const transform = exchangedRows(write, exchange, header.schema);
  const partitions: readonly ShuffledPartition[] = planShuffled(specOf(exchange), outputs);
  const isLast = stage + 1 === specs.length;
  const name = planName(batch.batchId, run.epoch, ports.runtime.newId());
  const key = await writePartitionsFile(ports.store, name, {
    schema: header.schema,
    ...optional("sourceSchema", header.sourceSchema),
    ...optional("start", header.start),
    ...optional("end", header.end),
    exchangedSchema: transform.schema,
    ...(isLast ? { isTransformed, ordering } : { exchange: { ...exchange, stage: stage + 1 } }),
    partitions,
  });
  const planned = isLast ? await write?.plan(partitions.length) : undefined;
  return { partitionsKey: key, tasks: partitions.length, ...optional("write", planned) };
}

/** Reads what the tasks of the stage have recorded, in their order. */
async function outputsOf(
  ports: Ports,
  batch: Batch,
  tasks: readonly Task[],
): Promise<readonly ShuffleOutput[]> {
  if (tasks.length < batch.tasks)
    throw new MillraceError(
      "TASKS_MISSING",
      `${batch.tasks - tasks.length} of ${batch.tasks} tasks did not exchange their rows`,
      { where: batchLocation(batch) },
    );
  const { messages, lost } = await messagesOf(ports, batch, tasks);
  const [first] = lost;
  if (first !== undefined) throw first.error;
  return messages as unknown as readonly ShuffleOutput[];
}

function stale({ pipeline, batchId, attempt }: BatchRun): MillraceError {
  return new MillraceError("RUN_IS_STALE", `attempt ${attempt} of batch ${batchId} is at another stage`, {
    where: { pipeline, batchId, attempt },
    hint: "Nothing is lost and nothing was done: another run has gone on with the batch.",
  });
}
