import { runtime } from "../../local/home.ts";
import { type LoggedError, lastErrorOf } from "../../local/read-log.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import type { JsonValue } from "../../shared/contract/json.ts";
import type { ObjectStore } from "../../shared/contract/object-store.ts";
import { readPlannedTask } from "../../shared/engine/partitions-file.ts";
import type { Batch } from "../../shared/engine/ports/ledger.ts";
import { stageTasksOf } from "../../shared/engine/ports/stages.ts";
import type { RunningTask, Task } from "../../shared/engine/ports/tasks.ts";
import { clipped, clippedText } from "../../shared/engine/progress.ts";
import { batchTable, publicBatch } from "../render/batch.ts";
import { errorFields } from "../render/batch-error.ts";
import { fitTable } from "../render/fit-table.ts";
import { publicRunning, publicTask, runningOf } from "../render/partition.ts";
import { printable, printJson, printLine } from "../render/terminal.ts";
import {
  describeAction,
  formatBytes,
  formatCount,
  formatDuration,
  formatFields,
  formatOffset,
  formatRate,
  formatTime,
} from "../render/text.ts";
import { type TargetFlags, withTarget } from "../targets/open.ts";
import { findOnlyPipeline, findPipelines } from "../targets/target.ts";

/** Maximum number of characters of a partition in a table column. */
const MAX_VALUE = 60;

interface BatchFlags extends TargetFlags {
  readonly limit: number;
  readonly json?: boolean;
}

/** `millrace batches`: prints the latest batches, the newest last. */
export async function batchesCommand(pipeline: string | undefined, flags: BatchFlags): Promise<void> {
  await withTarget(flags, async (target) => {
    for (const { name, ledger } of await findPipelines(target, pipeline)) {
      const batches = [...(await ledger.batches(name, { limit: flags.limit }))].reverse();
      if (flags.json) for (const batch of batches) printJson(publicBatch(batch));
      else printLine(`${name}\n${batchTable(batches)}`);
    }
  });
}

/** `millrace batch`: prints everything that is known about one batch. */
export async function batchCommand(
  batchId: number,
  pipeline: string | undefined,
  flags: BatchFlags,
): Promise<void> {
  await withTarget(flags, async (target) => {
    const { name, ledger } = await findOnlyPipeline(target, pipeline);
    const batch = await ledger.batch(name, batchId);
    if (batch === undefined) throw batchNotFound(name, batchId);
    const stage = stageTasksOf(batch);
    const tasks = await ledger.tasks(stage);
    const running = await runningOf(ledger, stage, tasks);
    const shown = { tasks: tasks.slice(0, flags.limit), running: running.slice(0, flags.limit) };
    const numbers = [...shown.tasks, ...shown.running].map(({ partition }) => partition);
    const values = await valuesOf(target.storeOf(name), batch, numbers);
    const logPath = target.logPath(name);
    const logged =
      logPath === undefined || batch.error === undefined ? undefined : lastErrorOf(logPath, batchId);
    const details = { ...detailsOf(batch, tasks, shown, values, flags.limit), log: logged ?? null };
    if (flags.json) printJson(details);
    else printLine(describe(details, logged));
  });
}

/** Creates the error for a batch id that the ledger does not have. */
export function batchNotFound(pipeline: string, batchId: number): MillraceError {
  return new MillraceError("BATCH_NOT_FOUND", `pipeline "${pipeline}" has no batch ${batchId}`, {
    where: { pipeline },
    hint: "See `millrace batches` which there are.",
  });
}

/**
 * Returns these partitions by their numbers, or none if their file cannot be read or was removed.
 */
async function valuesOf(
  store: ObjectStore | undefined,
  { partitionsKey }: Batch,
  numbers: readonly number[],
): Promise<ReadonlyMap<number, unknown>> {
  if (store === undefined) return new Map();
  const value = async (number: number) => (await readPlannedTask(store, partitionsKey, number)).partition;
  try {
    return new Map(await Promise.all(numbers.map(async (each) => [each, await value(each)] as const)));
  } catch {
    return new Map();
  }
}

function detailsOf(
  batch: Batch,
  tasks: readonly Task[],
  shown: { readonly tasks: readonly Task[]; readonly running: readonly RunningTask[] },
  values: ReadonlyMap<number, unknown>,
  limit: number,
) {
  const now = runtime.now();
  const withValue = <T extends { readonly partition: number }>(task: T) => {
    const value = values.get(task.partition) as JsonValue | undefined;
    return { ...task, ...(value === undefined ? {} : { value: clipped(value) }) };
  };
  const done = new Set(tasks.map(({ partition }) => partition));
  // The tasks of old committed batches are no longer stored. That does not mean that they are
  // unfinished.
  const unfinished =
    batch.state === "committed"
      ? []
      : Array.from({ length: batch.tasks }, (_, partition) => partition).filter((each) => !done.has(each));
  return {
    ...publicBatch(batch),
    firstPlannedAt: new Date(batch.firstPlannedAt).toISOString(),
    tasksDone: tasks.length,
    tasks: shown.tasks.map((task) => withValue(publicTask(task))),
    running: shown.running.map((task) => withValue(publicRunning(task, now))),
    unfinished: unfinished.slice(0, limit),
    unfinishedCount: unfinished.length,
  };
}

function figuresOf({ rows, bytes, metrics }: ReturnType<typeof publicBatch>): [string, string][] {
  const fields: [string, string][] = [];
  if (rows !== null) fields.push(["rows", formatCount(rows)]);
  if (bytes !== null) fields.push(["bytes", formatBytes(bytes)]);
  for (const [name, value] of Object.entries(metrics ?? {})) fields.push([printable(name), printable(value)]);
  return fields;
}

function describe(batch: ReturnType<typeof detailsOf>, logged: LoggedError | undefined): string {
  const { error, finishedAt, tasks, running } = batch;
  const milliseconds = Date.parse(finishedAt ?? batch.plannedAt) - Date.parse(batch.plannedAt);
  const fields: [string, string][] = [
    ["state", `${batch.state}, attempt ${batch.attempt}`],
    ["from", batch.range?.from ?? formatOffset(batch.start)],
    ["to", batch.range?.to ?? formatOffset(batch.end)],
    ["planned", formatTime(batch.plannedAt)],
  ];
  if (batch.attempt > 1) fields.push(["first planned", formatTime(batch.firstPlannedAt)]);
  if (finishedAt !== null)
    fields.push(["finished", `${formatTime(finishedAt)}, after ${formatDuration(milliseconds)}`]);
  fields.push(...figuresOf(batch));
  if (batch.skipped !== null) fields.push(["skipped", describeAction(batch.skipped)]);
  if (error !== null) fields.push(...errorFields(error, logged));
  const partitions = `${batch.tasksDone} of ${batch.partitions}`;
  if (batch.exchanges !== null)
    fields.push(["exchanges", `${batch.exchanges.done} of ${batch.exchanges.count} done`]);
  fields.push(["tasks", batch.state === "committed" ? String(batch.partitions) : `${partitions} finished`]);
  if (batch.unfinishedCount > 0) {
    fields.push([
      "not finished",
      andMore(batch.unfinished.join(", "), batch.unfinishedCount - batch.unfinished.length),
    ]);
  }
  const lines = [`${batch.pipeline}: batch ${batch.batchId}`, formatFields(fields)];
  if (tasks.length > 0) lines.push("", taskTable(tasks));
  if (tasks.length < batch.tasksDone) lines.push(`and ${batch.tasksDone - tasks.length} more: --limit`);
  if (running.length > 0) lines.push("", runningTable(running));
  return lines.join("\n");
}

function andMore(text: string, more: number): string {
  return more === 0 ? text : `${text} and ${formatCount(more)} more`;
}

type Details = ReturnType<typeof detailsOf>;

function taskTable(tasks: Details["tasks"]): string {
  return fitTable(
    ["partition", "rows", "bytes", "time", "rows/s", "task attempt", "value"],
    tasks.map((task) => [...figureCells(task), formatValue(task.value)]),
    { cut: ["value"], drop: ["rows/s"] },
  );
}

/** Formats the running tasks with their last reported progress. */
function runningTable(running: Details["running"]): string {
  return fitTable(
    ["running", "rows", "bytes", "time", "rows/s", "task attempt", "waits for", "idle", "told", "value"],
    running.map((task) => [
      ...figureCells(task),
      task.waitsFor,
      formatDuration(task.idleMilliseconds),
      `${formatDuration(task.ageMilliseconds)} ago`,
      formatValue(task.value),
    ]),
    { cut: ["value"], drop: ["bytes", "task attempt", "rows/s"] },
  );
}

function figureCells(task: Details["tasks"][number] | Details["running"][number]): string[] {
  return [
    String(task.partition),
    formatCount(task.rows),
    formatBytes(task.bytes),
    formatDuration(task.milliseconds),
    formatRate(task.rowsPerSecond),
    String(task.attemptNumber),
  ];
}

/** Formats a partition for a table column. */
function formatValue(value: JsonValue | undefined): string {
  if (value === undefined) return "";
  const text = printable(typeof value === "string" ? value : clippedText(value));
  return text.length <= MAX_VALUE ? text : `${text.slice(0, MAX_VALUE - 1)}…`;
}
