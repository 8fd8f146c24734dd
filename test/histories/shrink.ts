import { optional } from "../../shared/contract/optional.ts";
import { type ChangesPlan, optionsOf } from "./changes.ts";
import { changeSql, mergeSql } from "./duckdb.ts";
import type { HistoryPlan, Step } from "./steps.ts";
import { canonical, ddlOf, type TableShape } from "./tables.ts";

/** A step after which a table does not have the rows that SQL says. */
export class Difference extends Error {
  readonly target: string;
  /** The index of the step. */
  readonly at: number;
  /** The problem, without values: shrinking keeps it. */
  readonly kind: string;

  constructor(target: string, at: number, kind: string, details: string, cause?: unknown) {
    super(`step ${at + 1}, ${target}: ${kind}\n${details}`, { cause });
    this.target = target;
    this.at = at;
    this.kind = kind;
  }
}

/** Returns a shorter history with the same kind of difference. */
export function shrunk(
  plan: HistoryPlan,
  found: Difference,
  run: (plan: HistoryPlan) => Promise<unknown>,
): Promise<Shrunk<HistoryPlan>> {
  const until = (one: HistoryPlan, at: number) => ({ ...one, steps: one.steps.slice(0, at + 1) });
  return least({ plan: until(plan, found.at), difference: found }, run, {
    until,
    smaller: (one) => smaller(one.steps).map((steps) => ({ ...one, steps })),
  });
}

/** Like `shrunk`, for merges of a stream. */
export function shrunkChanges(
  plan: ChangesPlan,
  found: Difference,
  run: (plan: ChangesPlan) => Promise<unknown>,
): Promise<Shrunk<ChangesPlan>> {
  const until = (one: ChangesPlan, at: number) => ({ ...one, batches: one.batches.slice(0, at + 1) });
  return least({ plan: until(plan, found.at), difference: found }, run, { until, smaller: smallerChanges });
}

interface Shrunk<P> {
  readonly plan: P;
  readonly difference: Difference;
}

async function least<P>(
  first: Shrunk<P>,
  run: (plan: P) => Promise<unknown>,
  by: { smaller(plan: P): Iterable<P>; until(plan: P, at: number): P },
): Promise<Shrunk<P>> {
  const found = first.difference;
  let best = first;
  for (let isShorter = true; isShorter; ) {
    isShorter = false;
    for (const one of by.smaller(best.plan)) {
      const difference = await run(one).then(
        () => undefined,
        (error: unknown) => (error instanceof Difference ? error : undefined),
      );
      if (difference?.kind !== found.kind || difference.target !== found.target) continue;
      best = { plan: by.until(one, difference.at), difference };
      isShorter = true;
      break;
    }
  }
  return best;
}

/** Returns histories that have a step, a row or a clause less, or run in plainer circumstances. */
function* smaller(steps: readonly Step[]): Generator<readonly Step[]> {
  for (let i = steps.length - 1; i >= 0; i--) yield steps.toSpliced(i, 1);
  for (const [i, step] of steps.entries()) for (const one of smallerStep(step)) yield steps.with(i, one);
}

function* smallerStep(step: Step): Generator<Step> {
  const { kill: _, repartition: __, ...how } = step.how;
  if (step.how.kill !== undefined || step.how.repartition !== undefined) yield { ...step, how };
  if (step.how.failsOnce || step.how.numPartitions > 1)
    yield { ...step, how: { ...step.how, failsOnce: false, numPartitions: 1 } };
  if ("rows" in step)
    for (let i = 0; i < step.rows.length; i++) yield { ...step, rows: step.rows.toSpliced(i, 1) };
  if (step.kind !== "merge") return;
  for (const list of ["matched", "notMatched", "notMatchedBySource"] as const)
    for (let i = 0; i < step[list].length; i++) yield { ...step, [list]: step[list].toSpliced(i, 1) };
}

function* smallerChanges(plan: ChangesPlan): Generator<ChangesPlan> {
  const { batches, maxRowsPerBatch, deletes, ...others } = plan;
  for (let i = batches.length - 1; i >= 0; i--) yield { ...plan, batches: batches.toSpliced(i, 1) };
  if (maxRowsPerBatch !== undefined) yield { ...others, batches, ...optional("deletes", deletes) };
  if (deletes !== undefined) yield { ...others, batches, ...optional("maxRowsPerBatch", maxRowsPerBatch) };
  if (plan.numPartitions > 1) yield { ...plan, numPartitions: 1 };
  if (plan.exceptColumns.length > 0) yield { ...plan, exceptColumns: [] };
  for (const [i, { rows, failsOnce, kill }] of batches.entries()) {
    const having = (one: ChangesPlan["batches"][number]) => ({ ...plan, batches: batches.with(i, one) });
    if (failsOnce || kill !== undefined) yield having({ rows, failsOnce: false });
    for (let k = 0; k < rows.length; k++)
      yield having({ rows: rows.toSpliced(k, 1), failsOnce, ...optional("kill", kill) });
  }
}

/** Returns the feed and its batches as text. */
export function describedChanges(plan: ChangesPlan): string {
  const { seed, shape, deletes, batches } = plan;
  const { applyAsDeletes: _, ...merge } = optionsOf(plan);
  const { numPartitions, maxRowsPerBatch } = plan;
  return [
    `seed ${seed}: changes (${ddlOf(shape.columns)})`,
    `  merge ${JSON.stringify({ ...merge, numPartitions, maxRowsPerBatch })}, deletes: ${deletes?.sql ?? "none"}`,
    ...batches.map((batch, i) => `  ${i + 1}. ${JSON.stringify(batch, shown)}`),
  ].join("\n");
}

/** Returns the table and the steps of a history as text: what ran in SQL, and how it ran here. */
export function described({ seed, shape, steps }: HistoryPlan): string {
  const lines = steps.map((step, i) => `  ${i + 1}. ${sqlText(step, shape)}\n     ${settings(step)}`);
  return [`seed ${seed}: t (${ddlOf(shape.columns)}), keys (${shape.keys.join(", ")})`, ...lines].join("\n");
}

function sqlText(step: Step, shape: TableShape): string {
  if (step.kind !== "merge")
    return [step.kind, changeSql(step)].filter((text) => text !== undefined).join(": ");
  return `s (${ddlOf(step.columns)}): ${mergeSql(step, shape)}`;
}

function settings(step: Step): string {
  const rows = "rows" in step ? step.rows : undefined;
  return JSON.stringify({ rows, how: step.how }, shown);
}

/** Values that JSON lacks. */
function shown(_: string, value: unknown): unknown {
  if (typeof value === "bigint") return `${value}n`;
  return typeof value === "number" && (Object.is(value, -0) || !Number.isFinite(value))
    ? canonical(value, "double")
    : value;
}
