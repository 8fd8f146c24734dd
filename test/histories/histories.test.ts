import { afterAll, beforeAll, expect, it } from "vitest";
import type { PostgresServer } from "../postgres/databases.ts";
import { borrowPostgres } from "../postgres/shared.ts";
import { runHistories } from "./run.ts";

/** A failed history prints its seed, with which `npm run test:row-histories` runs it again. */
const LIMIT = { timeout: 240_000 };

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

async function histories(seed: number, count: number, options: { postgresEvery: number }) {
  const kinds = new Set<string>();
  let onPostgres = 0;
  await runHistories({
    seed,
    count,
    server,
    ...options,
    onHistory: (_, { kind, hasPostgres }) => {
      kinds.add(kind);
      if (hasPostgres) onPostgres++;
    },
  });
  return { kinds: [...kinds].sort(), onPostgres };
}

it(
  "Histories of known seeds leave the rows that SQL leaves in DuckDB, on memory and postgres",
  LIMIT,
  async () => {
    const { kinds, onPostgres } = await histories(1, 18, { postgresEvery: 4 });
    expect(kinds).toEqual(["changes", "commands"]);
    expect(onPostgres).toBeGreaterThan(1);
  },
);

it("Histories of a random seed leave the rows that SQL leaves in DuckDB", LIMIT, async () => {
  const seed = Math.floor(Math.random() * 1_000_000_000);
  console.log(`npm run test:row-histories -- --seed ${seed} --count 12`);
  const { kinds } = await histories(seed, 12, { postgresEvery: 6 });
  expect(kinds).toHaveLength(2);
});
