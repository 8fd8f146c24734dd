import { Chance } from "../engine/row-level/model.ts";
import type { PostgresServer } from "../postgres/databases.ts";
import { type ChangesPlan, changesPlan, runChanges } from "./changes.ts";
import { DuckDb } from "./duckdb.ts";
import { type Engines, runHistory, type Taken } from "./history.ts";
import { Difference, described, describedChanges, shrunk, shrunkChanges } from "./shrink.ts";
import { type HistoryPlan, stepsOf } from "./steps.ts";
import { SHAPES } from "./tables.ts";
import type { PostgresDatabase } from "./targets.ts";

export interface HistoriesOptions {
  /** Histories have the seeds `seed`, `seed + 1` and so on. */
  readonly seed: number;
  readonly count: number;
  /** PostgreSQL takes part in each history whose seed is a multiple of this. Default 1. */
  readonly postgresEvery?: number;
  /** Without a server PostgreSQL takes no part. */
  readonly server?: PostgresServer;
  /** Default: every third history is one of changes. */
  readonly only?: "changes" | "commands";
  /** True if the run goes on after a difference. */
  readonly findsAll?: boolean;
  readonly onHistory?: (seed: number, taken: Taken) => void;
  readonly onDifference?: (text: string) => void;
}

export function planOf(seed: number): HistoryPlan {
  const chance = new Chance(seed);
  const shape = chance.pick(SHAPES);
  return { seed, shape, steps: stepsOf(chance, shape) };
}

/** Runs random histories. Throws at the first one with a difference, unless `findsAll` is set. */
export async function runHistories(options: HistoriesOptions): Promise<void> {
  const { seed: first, count, server, postgresEvery = 1 } = options;
  const duckDb = await DuckDb.open();
  const postgres = server === undefined ? undefined : await databaseOf(server);
  try {
    for (let seed = first; seed < first + count; seed++) {
      const inPostgres = seed % postgresEvery === 0 ? postgres : undefined;
      await runOne(seed, { duckDb, postgres: inPostgres }, options);
    }
  } finally {
    duckDb.close();
    await postgres?.session.end();
  }
}

async function databaseOf(server: PostgresServer): Promise<PostgresDatabase> {
  const database = await server.database();
  return { database, session: await database.session() };
}

async function runOne(seed: number, engines: Engines, options: HistoriesOptions): Promise<void> {
  // Every third history merges a stream of changes.
  const kind = options.only ?? (seed % 3 === 0 ? "changes" : "commands");
  const text = await (kind === "changes" ? mergesOf : commandsOf)(seed, engines, options);
  if (text === undefined) return;
  if (options.findsAll !== true) throw new Error(text);
  options.onDifference?.(text);
}

/** Returns the difference that a history of commands finds. */
async function commandsOf(seed: number, engines: Engines, { onHistory }: HistoriesOptions) {
  const plan = planOf(seed);
  try {
    onHistory?.(seed, await runHistory(plan, engines));
    return undefined;
  } catch (error) {
    if (!(error instanceof Difference)) throw new Error(described(plan), { cause: error });
    const least = await shrunk(plan, error, (one) => runHistory(one, engines));
    return `${described(least.plan)}\n${least.difference.message}`;
  }
}

/** Returns the difference that a history of merges of a stream finds. */
async function mergesOf(seed: number, engines: Engines, { onHistory }: HistoriesOptions) {
  const run = (one: ChangesPlan) => runChanges(one, engines, (...found) => new Difference(...found));
  const plan = changesPlan(seed, new Chance(seed));
  try {
    const { steps, errors } = await run(plan);
    const hasPostgres = engines.postgres !== undefined;
    onHistory?.(seed, { kind: "changes", steps, violations: errors, duplicates: 0, hasPostgres });
    return undefined;
  } catch (error) {
    if (!(error instanceof Difference)) throw new Error(describedChanges(plan), { cause: error });
    const least = await shrunkChanges(plan, error, run);
    return `${describedChanges(least.plan)}\n${least.difference.message}`;
  }
}
