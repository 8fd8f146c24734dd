import { MillraceError } from "../contract/errors.ts";
import { optional } from "../contract/optional.ts";
import { batchLocation } from "./messages.ts";
import { tasksOfPlan } from "./plan-tasks.ts";
import type { Batch, BatchRun, Outcome } from "./ports/ledger.ts";
import type { BatchProgress } from "./ports/records.ts";
import type { Ports } from "./ports/runtime.ts";
import { isBeforeWrite } from "./ports/stages.ts";
import type { Task } from "./ports/tasks.ts";
import type { Sessions } from "./sessions/open-sessions.ts";
import type { WrittenRows } from "./sessions/sink-write.ts";

/** Returns the batch of a run. Throws `RUN_IS_STALE` if the run is over. */
export async function readBatch(ports: Ports, run: BatchRun): Promise<Batch> {
  const batch = await ports.ledger.batch(run.pipeline, run.batchId);
  // A ledger that was put back may have planned another batch under this id since.
  const isSamePlan = run.planId === undefined || batch?.planId === run.planId;
  if (batch?.incarnation === run.incarnation && isSamePlan) return sameAttempt(batch, run.attempt);
  throw stale(run.pipeline, run.batchId, run.attempt, "the ledger has another batch of that id, or none");
}

/** Returns the batch if it is still in this attempt. Throws `RUN_IS_STALE`. */
export function sameAttempt(batch: Batch, attempt: number): Batch {
  if (batch.attempt === attempt) return batch;
  throw stale(batch.pipeline, batch.batchId, attempt, `the batch is in attempt ${batch.attempt} by now`);
}

function stale(pipeline: string, batchId: number, attempt: number, problem: string): MillraceError {
  return new MillraceError("RUN_IS_STALE", `attempt ${attempt} of batch ${batchId} is over: ${problem}`, {
    where: { pipeline, batchId, attempt },
    hint: "Nothing is lost and nothing was done: another run has gone on with the batch.",
  });
}

/** The error of an attempt of which tasks are not recorded. */
export function missingTasks(batch: Batch, tasks: readonly Task[]): MillraceError {
  const problem =
    batch.state === "planned" ? "tasks did not finish" : "records of its tasks are gone from the ledger";
  return new MillraceError("TASKS_MISSING", `${batch.tasks - tasks.length} of ${batch.tasks} ${problem}`, {
    where: batchLocation(batch),
  });
}

function sumOf(tasks: readonly Task[], figure: "rows" | "bytes"): number {
  return tasks.reduce((sum, task) => sum + task[figure], 0);
}

/**
 * Returns the tasks that read the rows of a batch. If the rows were exchanged, they are others than
 * those that wrote.
 */
export async function readersOf(
  { ledger }: Pick<Ports, "ledger">,
  run: BatchRun,
  { exchanges }: Batch,
  writers: readonly Task[],
): Promise<readonly Task[]> {
  return exchanges === undefined ? writers : await tasksOfPlan(ledger, { ...run, stage: 0 });
}

/**
 * Returns how many rows the source delivered. Empty without steps, because the sink received the
 * same rows then.
 */
export function rowsReadOf(
  { pipeline }: Pick<Sessions, "pipeline">,
  readers: readonly Task[],
): Pick<BatchProgress, "rowsRead"> {
  return pipeline.source.steps === undefined ? {} : optional("rowsRead", rowsReadBy(readers));
}

function rowsReadBy(tasks: readonly Task[]): number | undefined {
  if (tasks.every((task) => task.rowsRead === undefined)) return undefined;
  return tasks.reduce((sum, { rows, rowsRead = rows }) => sum + rowsRead, 0);
}

/** Returns what the tasks wrote. */
export function writtenBy(tasks: readonly Task[]): WrittenRows {
  return { rows: sumOf(tasks, "rows"), counts: countsOf(tasks) };
}

/** Adds up what the writers of all tasks counted. */
function countsOf(tasks: readonly Task[]): Readonly<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const { counts = {} } of tasks)
    for (const [name, count] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}

/** Returns the figures of an attempt that ends. `refused` rows of the tasks are not in the sink. */
export function outcomeOf(
  ports: Ports,
  tasks: readonly Task[],
  further: Omit<BatchProgress, "rows" | "bytes"> = {},
  refused = 0,
): Pick<Outcome, "progress" | "now"> {
  return {
    progress: {
      ...further,
      rows: sumOf(tasks, "rows") - refused,
      bytes: sumOf(tasks, "bytes"),
    },
    now: ports.runtime.now(),
  };
}

/** Returns the recorded tasks that wrote; none while tasks exchange rows. */
export async function writersOf(
  { ledger }: Ports,
  { stage: _stage, ...run }: BatchRun,
  batch: Batch,
): Promise<readonly Task[]> {
  return isBeforeWrite(batch) ? [] : await tasksOfPlan(ledger, run);
}
