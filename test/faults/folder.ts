import { randomUUID } from "node:crypto";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ObjectStore } from "../../shared/contract/object-store.ts";
import { DirectoryStore } from "../../shared/platform/embedded/directory-store.ts";
import { SqliteLedger } from "../../shared/platform/embedded/sqlite-ledger.ts";
import { SHAPE } from "./cases.ts";
import { judge, RealWorld, type Sight } from "./real.ts";

const PIPELINE = "numbers";
const SIGHTS = "sights.jsonl";

/**
 * Opens the ledger, the store and the observations in a folder. The clock stands at `now`. The runs
 * use the store that `wrap` returns.
 */
export function openFolder(
  folder: string,
  now: number,
  wrap: (store: ObjectStore) => ObjectStore = (store) => store,
): { readonly world: RealWorld; close(): void } {
  const ledger = new SqliteLedger(join(folder, "ledger.sqlite"));
  const store = new DirectoryStore(join(folder, PIPELINE));
  const world = new RealWorld({
    pipeline: PIPELINE,
    shape: SHAPE,
    ledger,
    store: wrap(store),
    judged: store,
    runtime: {
      now: () => now,
      monotonic: () => now,
      random: () => 0.5,
      newId: randomUUID,
      env: {},
      sleep: async () => undefined,
    },
    note: (sight: Sight) => appendFileSync(join(folder, SIGHTS), `${JSON.stringify(sight)}\n`),
  });
  return { world, close: () => ledger.close() };
}

/** Judges the content of a folder after all runs, and returns the violations. */
export async function judgeFolder(folder: string): Promise<readonly string[]> {
  const ledger = new SqliteLedger(join(folder, "ledger.sqlite"));
  const judged = new DirectoryStore(join(folder, PIPELINE));
  try {
    return await judge({ pipeline: PIPELINE, shape: SHAPE, ledger, judged }, readSights(folder));
  } finally {
    ledger.close();
  }
}

function readSights(folder: string): readonly Sight[] {
  const file = join(folder, SIGHTS);
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Sight);
}
