import { Chance } from "../engine/row-level/model.ts";
import type { PostgresServer } from "../postgres/databases.ts";
import { DuckDb } from "./duckdb.ts";
import { Difference, described, type Engines, runHistory, shrunk, type Taken } from "./history.ts";
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
      await runOne(planOf(seed), { duckDb, postgres: inPostgres }, options);
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

async function runOne(plan: HistoryPlan, engines: Engines, options: HistoriesOptions): Promise<void> {
  const { onHistory, findsAll = false, onDifference } = options;
  try {
    onHistory?.(plan.seed, await runHistory(plan, engines));
  } catch (error) {
    if (!(error instanceof Difference)) throw new Error(described(plan), { cause: error });
    const least = await shrunk(plan, error, (one) => runHistory(one, engines));
    const text = `${described(least.plan)}\n${least.difference.message}`;
    if (!findsAll) throw new Error(text, { cause: error });
    onDifference?.(text);
  }
}
