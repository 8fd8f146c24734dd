import type { Result } from "../result.ts";
import { compareSteps } from "./compare.ts";
import { normalise } from "./normalise.ts";
import type { Op, UnsupportedOp } from "./op.ts";
import { Replay } from "./replay.ts";
import { rewrittenSteps } from "./rewrites.ts";
import { type Recording, type Run, type Step, stepsOf } from "./trace.ts";

/** Replays a recording of Spark's package connector.write with the engine, and compares the calls. */
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
  const { calls, used: tolerated, difference } = compareSteps(expected, actual);
  const result = { scenario, calls, exceptions: [...tolerated, ...used] };
  if (difference !== undefined) return { ...result, verdict: "differs", detail: difference };
  return { ...result, verdict: "same", ...(outOfScope === "" ? {} : { detail: `left out: ${outOfScope}` }) };
}

/** A table that a statement which is left out has removed. */
interface Gone {
  readonly kind: "gone";
  readonly table: string;
}

const isStep = (step: Step | Gone): step is Step => step.kind !== "gone";

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

/**
 * Leaves out the statements that a driver without Spark lacks. What follows one that succeeded is
 * left out, too, until its table is given anew.
 */
function replayable(steps: readonly Step[]): {
  readonly kept: readonly (Step | Gone)[];
  readonly leftOut: readonly string[];
} {
  const unknown = new Set<string>();
  const leftOut: string[] = [];
  const leaveOut = (run: Run, { why, op }: UnsupportedOp): readonly Gone[] => {
    leftOut.push(why);
    if (run.end?.failed !== true) unknown.add(op.table);
    else if (isGone(run, op)) return [{ kind: "gone", table: op.table }];
    return [];
  };
  const kept = steps.flatMap((step): readonly (Step | Gone)[] => {
    if (step.kind === "run" && step.op.kind === "unsupported") return leaveOut(step, step.op);
    if (step.kind === "given") unknown.delete(step.op.table);
    const table = step.kind === "rows" ? step.table : tableOf(step.op);
    return table !== undefined && unknown.has(table) ? [] : [step];
  });
  return { kept, leftOut };
}

function tableOf(op: Op): string | undefined {
  return "table" in op ? op.table : undefined;
}

/** A create or a replace without staging that failed while writing has dropped the table. */
function isGone({ driver }: Run, op: UnsupportedOp["op"]): boolean {
  const isStaged = "catalog" in op && op.catalog === "staging";
  return !isStaged && driver.some(({ call }) => call === "TableCatalog.createTable");
}

/** Returns the feature that a step needs and that Millrace does not have, or `undefined`. */
function missingFor(step: Step): string | undefined {
  if (step.kind === "given") return missingIn(step.op.properties);
  if (step.kind !== "run") return undefined;
  const { op } = step;
  if (op.kind === "update" || op.kind === "merge") return `row-level operations (${op.kind.toUpperCase()})`;
  return "options" in op ? missingIn(op.options) : undefined;
}

const DISTRIBUTION = ["distribute", "distribution", "ordering", "numPartitions", "advisorySize", "strict"];

function missingIn(settings: Readonly<Record<string, string>>): string | undefined {
  const { kind = "", ...others } = settings;
  if (kind.startsWith("rowLevel") || "delta" in others) return "row-level operations";
  if (kind === "deleteV1") return "SupportsDelete in no recording";
  return DISTRIBUTION.some((name) => name in others) ? "distribution and ordering of a write" : undefined;
}
