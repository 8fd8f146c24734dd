import type { JsonValue } from "../../../shared/contract/json.ts";
import type { Args, Attempt, Call, Run, Step } from "./trace.ts";

/**
 * Gives ids names that both sides share. A query id becomes its rank. A task id becomes the place of
 * its attempt, because only that each attempt has another one is promised. Throws if two attempts
 * have the same task id.
 */
export function normalise(steps: readonly Step[]): Step[] {
  const queries = new Map<JsonValue, string>();
  const tasks = taskNames(steps);
  const renamed = (value: JsonValue): JsonValue => {
    if (Array.isArray(value)) return value.map(renamed);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, of]) => [
        name,
        name === "taskId" ? (tasks.get(of as number) ?? `unknown task`) : renamed(of as JsonValue),
      ]),
    );
  };
  const call = ({ call: name, args }: Call): Call => {
    if (name !== "Table.newWriteBuilder") return { call: name, args: renamed(args as JsonValue) as Args };
    const { queryId = null, options, ...others } = args;
    if (!queries.has(queryId)) queries.set(queryId, `Q${queries.size}`);
    const { checkpointLocation: _, ...kept } = options as Args;
    return { call: name, args: { ...others, queryId: queries.get(queryId) ?? "", options: kept } };
  };
  return steps.map((step) => (step.kind === "run" ? inOrder(step, call) : step));
}

function inOrder(run: Run, change: (call: Call) => Call): Run {
  const driver = run.driver.map(change);
  const attempts = run.attempts.map((attempt) => ({ ...attempt, calls: attempt.calls.map(change) }));
  return { ...run, driver, attempts: attempts.sort(byPlace) };
}

function byPlace(a: Attempt, b: Attempt): number {
  return a.epoch - b.epoch || a.partition - b.partition || a.attempt - b.attempt;
}

function taskNames(steps: readonly Step[]): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const [i, step] of steps.entries()) {
    if (step.kind !== "run") continue;
    for (const { epoch, partition, attempt, calls } of step.attempts) {
      const created = calls.find(({ call }) => call.endsWith("Factory.createWriter"));
      if (created === undefined) continue;
      const taskId = Number(created.args["taskId"]);
      if (names.has(taskId)) throw new Error(`two attempts have the task id ${taskId}`);
      names.set(taskId, `task ${i}.${epoch}.${partition}.${attempt}`);
    }
  }
  return names;
}
