import { randomUUID } from "node:crypto";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ObjectStore } from "../../shared/contract/object-store.ts";
import type { Ledger } from "../../shared/engine/ports/ledger.ts";
import { DirectoryStore } from "../../shared/platform/embedded/directory-store.ts";
import { SqliteLedger } from "../../shared/platform/embedded/sqlite-ledger.ts";
import { SHAPE } from "./cases.ts";
import { judge, RealWorld, type Sight } from "./real.ts";
import type { Shape } from "./setup.ts";

export const PIPELINE = "numbers";
export const LEDGER = "ledger.sqlite";
const SIGHTS = "sights.jsonl";

interface FolderOptions {
  readonly shape?: Shape;
  /** Returns the store that the runs use. */
  wrap?(store: ObjectStore): ObjectStore;
  /** Returns the ledger that the runs use. */
  wrapLedger?(ledger: Ledger): Ledger;
  /** Keeps an observation. By default it is appended to a file in the folder. */
  note?(sight: Sight): void;
}

/**
 * Opens the ledger, the store and the observations in a folder. The clock stands at `now`.
 */
export function openFolder(
  folder: string,
  now: number,
  {
    shape = SHAPE,
    wrap = (store) => store,
    wrapLedger = (ledger) => ledger,
    note = (sight) => appendFileSync(join(folder, SIGHTS), `${JSON.stringify(sight)}\n`),
  }: FolderOptions = {},
): { readonly world: RealWorld; close(): void } {
  const ledger = new SqliteLedger(join(folder, LEDGER));
  const store = new DirectoryStore(join(folder, PIPELINE));
  const world = new RealWorld({
    pipeline: PIPELINE,
    shape,
    ledger: wrapLedger(ledger),
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
    note,
  });
  return { world, close: () => ledger.close() };
}

/** Judges the content of a folder after all runs, and returns the violations. */
export async function judgeFolder(
  folder: string,
  shape: Shape = SHAPE,
  sights: readonly Sight[] = readSights(folder),
): Promise<readonly string[]> {
  const ledger = new SqliteLedger(join(folder, LEDGER));
  const judged = new DirectoryStore(join(folder, PIPELINE));
  try {
    return await judge({ pipeline: PIPELINE, shape, ledger, judged }, sights);
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
