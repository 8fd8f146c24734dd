import { worldProblem } from "./judge.ts";
import { Recovery } from "./recovery.ts";
import type { RunStates } from "./runs.ts";
import { scenarioOf } from "./scenarios.ts";
import { type Action, callOf, type Kind, type Scenario, type State, System } from "./system.ts";

/*
 * A schedule names its scenario and then each step: the run and the number of its process, as in
 * `two-runs A0 A0 B0 A1!`. `L0` is the first call on its way.
 */

const SIGNS: Readonly<Record<Exclude<Kind, "land">, string>> = {
  answer: "",
  error: "?",
  "error for good": "!",
  retry: "~",
  fail: "x",
};
const LANDS = "L";

/** What a fault does, for people. */
const MEANINGS: Readonly<Record<Exclude<Kind, "answer" | "land">, string>> = {
  error: "fails with an error that may be retried",
  "error for good": "fails with an error that is final",
  retry: "takes too long: the run tries the step again, and the old process may go on",
  fail: "takes too long: the run goes on without the task, and the process may go on",
};

/** Returns the argument of `--replay`. */
export function scheduleOf({ name, runs }: Scenario, actions: readonly Action[]): string {
  const steps = actions.map(({ kind, run, process }) =>
    kind === "land" ? `${LANDS}${process}` : `${runs[run]?.name}${process}${SIGNS[kind]}`,
  );
  return [name, ...steps].join(" ");
}

function actionOf(step: string, { runs }: Scenario): Action {
  const [, name = "", process = "", sign = ""] = /^([A-Z])(\d+)(\D?)$/.exec(step) ?? [];
  if (name === LANDS) return { kind: "land", run: 0, process: Number(process) };
  const run = runs.findIndex((each) => each.name === name);
  const kind = (Object.keys(SIGNS) as (keyof typeof SIGNS)[]).find((each) => SIGNS[each] === sign);
  if (run < 0 || kind === undefined) throw new Error(`"${step}" is not a step of the scenario`);
  return { kind, run, process: Number(process) };
}

/** Carries out a schedule. Yields a line for each step, and at last what is broken, if anything. */
export async function* replay(schedule: string): AsyncGenerator<string> {
  const [name = "", ...steps] = schedule.trim().split(/\s+/);
  const scenario = scenarioOf(name);
  const system = new System(scenario);
  const recovery = new Recovery(system);
  const state = await system.start();
  for (const step of steps) {
    const action = actionOf(step, scenario);
    yield `${step.padEnd(5)} ${await lineOf(system, action, state)}`;
    const broken = (await system.make(action, state)) ?? worldProblem(system.snapshot(state));
    if (broken !== undefined) {
      yield `✗ ${broken}`;
      return;
    }
  }
  const broken = await recovery.problem(state);
  yield broken === undefined ? "✓ nothing was broken" : `✗ ${broken}`;
}

/** Says what a step does in a state. */
async function lineOf(system: System, action: Action, state: State): Promise<string> {
  const { kind, run, process } = action;
  const isPossible = system.actions(state, true).some((each) => sameAction(each, action));
  if (!isPossible) throw new Error("this step is not possible here");
  if (kind === "land") {
    const { part, method } = system.onWay(state)[process] as ReturnType<typeof callOf>;
    return `the call ${part}.${method} that had failed takes effect`;
  }
  const { plan } = system.runs[run] as RunStates;
  const before = system.run(state, run);
  const { program } = before.processes[process]?.state ?? {};
  const task = program?.step === "write" ? ` of task ${program.partition}` : "";
  const who = `${plan.vacuum !== undefined ? "vacuum" : `run ${plan.name}`}: ${program?.step}${task}`;
  const again = (program?.tries ?? 0) > 0 ? `, try ${program?.tries}` : "";
  const call = callOf(before, process);
  const [arg] = call.args;
  const named = typeof arg === "string" ? ` ${call.folder}${arg}` : "";
  const what = kind === "answer" ? await answerOf(system, call, state) : MEANINGS[kind];
  return `${who}${again}: ${call.part}.${call.method}${named} ${what}`;
}

async function answerOf(system: System, call: ReturnType<typeof callOf>, state: State): Promise<string> {
  const { answer } = await system.effect(call, state);
  const { error } = answer;
  return error === undefined ? "" : `→ ${error.code}`;
}

function sameAction(a: Action, b: Action): boolean {
  return a.kind === b.kind && a.run === b.run && a.process === b.process;
}
