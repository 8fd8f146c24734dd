import { replay, scheduleOf } from "./schedule.ts";
import type { Result } from "./search.ts";
import type { Scenario } from "./system.ts";

/** Returns the lines that say what a search saw and found. */
export async function linesOf(
  scenario: Scenario,
  result: Result,
  seconds: number,
): Promise<readonly string[]> {
  const { states, transitions, depth, worlds, locals, violation } = result;
  const count = (number: number) => number.toLocaleString("en-US");
  const line =
    `${scenario.name}: ${count(states)} states, ${count(transitions)} transitions, depth ${depth}, ` +
    `${count(worlds)} crashes of everything, ${count(locals)} states of processes, ${seconds.toFixed(1)} s`;
  if (violation === undefined) return [`✓ ${line}`];
  const schedule = scheduleOf(scenario, violation.actions);
  const steps = await Array.fromAsync(replay(schedule));
  return [
    `✗ ${line}`,
    `  ${violation.problem}`,
    ...steps.map((step) => `    ${step}`),
    `  --replay '${schedule}'`,
  ];
}
