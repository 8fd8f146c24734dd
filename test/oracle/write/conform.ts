import type { Result } from "../result.ts";
import { compareSteps } from "./compare.ts";
import { type Gone, isStep, replayable } from "./left-out.ts";
import { normalise, rankQueries } from "./normalise.ts";
import { Replay } from "./replay.ts";
import { rewrittenSteps } from "./rewrites.ts";
import { type Recording, type Step, stepsOf } from "./trace.ts";

/**
 * Replays a recording of Spark's package connector.write with the engine, and compares the calls.
 */
export async function conformWrite({ scenario, trace }: Recording): Promise<Result> {
  const steps = stepsOf(trace);
  const missing = steps.map(missingFor).find((reason) => reason !== undefined);
  const none = { scenario, calls: 0, exceptions: [] };
  if (missing !== undefined) return { ...none, verdict: "not built", detail: missing };
  const { kept, leftOut } = replayable(steps);
  const outOfScope = [...new Set(leftOut)].join("; ");
  if (!kept.some(({ kind }) => kind === "run")) {
    if (outOfScope !== "") return { ...none, verdict: "out of scope", detail: outOfScope };
    return { ...none, verdict: "no trace", detail: "no statement in it" };
  }
  const { expected, used } = rewrittenSteps(normalise(kept.filter(isStep)));
  const actual = normalise(await replayed(kept, expected.length));
  const { calls, used: tolerated, difference } = compareSteps(rankQueries(expected), rankQueries(actual));
  const result = { scenario, calls, exceptions: [...tolerated, ...used] };
  if (difference !== undefined) return { ...result, verdict: "differs", detail: difference };
  return { ...result, verdict: "same", ...(outOfScope === "" ? {} : { detail: `left out: ${outOfScope}` }) };
}

async function replayed(kept: readonly (Step | Gone)[], count: number): Promise<Step[]> {
  const replay = new Replay();
  try {
    const steps: Step[] = [];
    for (const step of kept) {
      if (steps.length === count) break;
      if (step.kind === "gone") replay.drop(step.table);
      else steps.push(await replay.take(step));
    }
    return steps;
  } finally {
    await replay.end();
  }
}

/** Returns the feature that a step needs and that Millrace does not have, or `undefined`. */
function missingFor(step: Step): string | undefined {
  if (step.kind === "given") return missingIn(step.op.properties);
  if (step.kind !== "run") return undefined;
  const { op } = step;
  return "options" in op ? missingIn(op.options) : undefined;
}

function missingIn(settings: Readonly<Record<string, string>>): string | undefined {
  if (settings["kind"] === "deleteV1") return "SupportsDelete in no recording";
  return undefined;
}
