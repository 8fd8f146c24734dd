import { MillraceError } from "../../shared/contract/errors.ts";
import { changeSql, type DuckDb, mergeSql, type Outcome, ReferenceTable } from "./duckdb.ts";
import type { HistoryPlan, Step } from "./steps.ts";
import { MemoryTarget, type PostgresDatabase, PostgresTarget, type Target } from "./targets.ts";
import { ddlOf, type TableShape } from "./tables.ts";

/** What a history did: how many steps, by how they ended. */
export interface Taken {
  steps: number;
  violations: number;
  duplicates: number;
  /** True if PostgreSQL took part. */
  hasPostgres: boolean;
}

/** A step after which a table does not have the rows that SQL says. */
export class Difference extends Error {
  readonly target: string;
  /** The index of the step. */
  readonly at: number;
  /** What is wrong, without values: shrinking keeps it. */
  readonly kind: string;

  constructor(target: string, at: number, kind: string, details: string, cause?: unknown) {
    super(`step ${at + 1}, ${target}: ${kind}\n${details}`, { cause });
    this.target = target;
    this.at = at;
    this.kind = kind;
  }
}

export interface Engines {
  readonly duckDb: DuckDb;
  readonly postgres: PostgresDatabase | undefined;
}

/** Runs a history. Throws a `Difference`. */
export async function runHistory(plan: HistoryPlan, { duckDb, postgres }: Engines): Promise<Taken> {
  const { shape, steps } = plan;
  const reference = await ReferenceTable.create(duckDb, shape);
  const isKeyed = shape.keys.length > 0;
  const inPostgres =
    isKeyed && postgres !== undefined ? await PostgresTarget.create(postgres, shape) : undefined;
  const targets: readonly Target[] = [...memoryTargets(shape), ...(inPostgres ? [inPostgres] : [])];
  const taken: Taken = { steps: 0, violations: 0, duplicates: 0, hasPostgres: inPostgres !== undefined };
  for (const [at, step] of steps.entries()) {
    const outcome = await reference.apply(step);
    const expected = await reference.rows();
    for (const target of targets) await check(target, at, step, outcome, expected);
    taken.steps++;
    if (outcome === "violation") taken.violations++;
    if (outcome === "duplicates") taken.duplicates++;
  }
  await inPostgres?.drop();
  return taken;
}

function memoryTargets(shape: TableShape): readonly Target[] {
  const byKey = shape.keys.length === 0 ? [] : [new MemoryTarget(shape, { rowLevel: "delta", rowId: shape.keys })];
  return [
    new MemoryTarget(shape, { rowLevel: "delta" }),
    ...byKey,
    new MemoryTarget(shape, { rowLevel: "group" }),
  ];
}

async function check(
  target: Target,
  at: number,
  step: Step,
  outcome: Outcome,
  expected: readonly string[],
): Promise<void> {
  // A table without unique keys would take the rows, and later steps would have another meaning.
  if (outcome === "duplicates" && !target.refusesDuplicates) return;
  const error = await target.run(step).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  const code = MillraceError.is(error) ? error.code : undefined;
  if (outcome === "done" && error !== undefined)
    throw new Difference(target.name, at, `fails with ${code ?? String(error)}`, textOf(error), error);
  if (outcome === "violation" && code !== "MERGE_CARDINALITY_VIOLATION")
    throw new Difference(target.name, at, "finds no cardinality violation", textOf(error), error);
  if (outcome === "duplicates" && error === undefined)
    throw new Difference(target.name, at, "takes two rows of one key", "");
  const found = await target.rows();
  if (found.join("\n") === expected.join("\n")) return;
  const details = `expected:\n  ${expected.join("\n  ")}\nfound:\n  ${found.join("\n  ")}`;
  throw new Difference(target.name, at, "has other rows", details);
}

function textOf(error: unknown): string {
  if (MillraceError.is(error)) return `${error.code}: ${error.message} ${JSON.stringify(error.where)}`;
  return error instanceof Error ? (error.stack ?? error.message) : "";
}

/** Returns a shorter history with the same kind of difference. */
export async function shrunk(
  plan: HistoryPlan,
  found: Difference,
  run: (plan: HistoryPlan) => Promise<unknown>,
): Promise<{ readonly plan: HistoryPlan; readonly difference: Difference }> {
  let best = { plan: { ...plan, steps: plan.steps.slice(0, found.at + 1) }, difference: found };
  for (let isShorter = true; isShorter; ) {
    isShorter = false;
    for (const steps of smaller(best.plan.steps)) {
      const one = { ...plan, steps };
      const difference = await run(one).then(
        () => undefined,
        (error: unknown) => (error instanceof Difference ? error : undefined),
      );
      if (difference?.kind !== found.kind || difference.target !== found.target) continue;
      best = { plan: { ...one, steps: steps.slice(0, difference.at + 1) }, difference };
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

/** Returns the table and the steps of a history as text: what ran in SQL, and how it ran here. */
export function described({ seed, shape, steps }: HistoryPlan): string {
  const lines = steps.map((step, i) => `  ${i + 1}. ${sqlText(step, shape)}\n     ${settings(step)}`);
  return [
    `seed ${seed}: t (${ddlOf(shape.columns)}), keys (${shape.keys.join(", ")})`,
    ...lines,
  ].join("\n");
}

function sqlText(step: Step, shape: TableShape): string {
  if (step.kind !== "merge") return [step.kind, changeSql(step)].filter((text) => text !== undefined).join(": ");
  return `s (${ddlOf(step.columns)}): ${mergeSql(step, shape)}`;
}

function settings(step: Step): string {
  const rows = "rows" in step ? step.rows : undefined;
  const shown = (_: string, value: unknown) =>
    typeof value === "bigint" ? `${value}n` : Number.isNaN(value) ? "NaN" : Object.is(value, -0) ? "-0" : value;
  return JSON.stringify({ rows, how: step.how }, shown);
}
