import { MillraceError } from "../../shared/contract/errors.ts";
import { type DuckDb, type Outcome, ReferenceTable } from "./duckdb.ts";
import { Difference } from "./shrink.ts";
import type { HistoryPlan, Step } from "./steps.ts";
import type { TableShape } from "./tables.ts";
import { MemoryTarget, type PostgresDatabase, PostgresTarget, type Target } from "./targets.ts";

/** What a history did: how many steps, by how they ended. */
export interface Taken {
  readonly kind: "commands" | "changes";
  steps: number;
  violations: number;
  duplicates: number;
  /** True if PostgreSQL took part. */
  hasPostgres: boolean;
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
  const taken: Taken = {
    kind: "commands",
    steps: 0,
    violations: 0,
    duplicates: 0,
    hasPostgres: inPostgres !== undefined,
  };
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
  const byKey =
    shape.keys.length === 0 ? [] : [new MemoryTarget(shape, { rowLevel: "delta", rowId: shape.keys })];
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
