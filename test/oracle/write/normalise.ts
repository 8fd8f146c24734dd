import type { JsonValue } from "../../../shared/contract/json.ts";
import type { Args, Call } from "../trace.ts";
import { type Attempt, isCreateWriter, type Step } from "./trace.ts";

/**
 * Replaces task ids by names that both sides share: the place of the attempt. Spark promises only
 * that each attempt has another id. Leaves out where Spark's checkpoint is. Throws if two attempts
 * have the same task id.
 */
export function normalise(steps: readonly Step[]): Step[] {
  const tasks = taskNames(steps);
  const renamed = (value: JsonValue): JsonValue => {
    if (Array.isArray(value)) return value.map(renamed);
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).filter(([name]) => name !== "checkpointLocation");
    return Object.fromEntries(
      entries.map(([name, of]) => [name, name === "taskId" ? nameOf(tasks, of) : renamed(of)]),
    );
  };
  return changeCalls(steps, ({ call, args }) => ({ call, args: renamed(args) as Args }));
}

function nameOf(tasks: ReadonlyMap<number, string>, taskId: JsonValue): string {
  return tasks.get(Number(taskId)) ?? "unknown task";
}

/** Replaces each query id by its rank. */
export function rankQueries(steps: readonly Step[]): Step[] {
  const queries = new Map<JsonValue, string>();
  for (const step of steps) {
    if (step.kind !== "run") continue;
    for (const { args } of step.driver) {
      const { queryId } = args;
      if (queryId !== undefined && !queries.has(queryId)) queries.set(queryId, `Q${queries.size}`);
    }
  }
  return changeCalls(steps, ({ call, args }) => {
    const { queryId } = args;
    if (queryId === undefined) return { call, args };
    return { call, args: { ...args, queryId: queries.get(queryId) ?? "unknown query" } };
  });
}

function changeCalls(steps: readonly Step[], change: (call: Call) => Call): Step[] {
  return steps.map((step): Step => {
    if (step.kind !== "run") return step;
    const driver = step.driver.map(change);
    const attempts = step.attempts.map((attempt) => ({ ...attempt, calls: attempt.calls.map(change) }));
    return { ...step, driver, attempts: attempts.sort(byPlace) };
  });
}

function byPlace(a: Attempt, b: Attempt): number {
  return a.epoch - b.epoch || a.partition - b.partition || a.attempt - b.attempt;
}

function taskNames(steps: readonly Step[]): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const [i, step] of steps.entries()) {
    if (step.kind !== "run") continue;
    for (const { epoch, partition, attempt, calls } of step.attempts) {
      const created = calls.find(isCreateWriter);
      if (created === undefined) continue;
      const taskId = Number(created.args["taskId"]);
      if (names.has(taskId)) throw new Error(`two attempts have the task id ${taskId}`);
      names.set(taskId, `task ${i}.${epoch}.${partition}.${attempt}`);
    }
  }
  return names;
}
