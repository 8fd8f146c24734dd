import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generator } from "../../faults/chance.ts";
import { sqliteCatalog } from "../support/catalog-address.ts";
import { PythonReaders, SparkReader } from "../support/readers.ts";
import { startRestCatalog } from "../support/servers.ts";
import { History } from "./history.ts";
import type { Tools } from "./table.ts";
import { Worker } from "./worker.ts";

export interface HistoriesOptions {
  /** Histories have the seeds `seed`, `seed + 1` and so on. */
  readonly seed: number;
  readonly count: number;
  /** Steps of each history. */
  readonly steps: number;
  readonly withSpark: boolean;
  readonly onHistory?: (seed: number, steps: number) => void;
}

/**
 * Runs random histories, each on a table of its own. Throws at the first one whose table differs
 * from the model; the error has its seed and its steps.
 */
export async function runHistories(options: HistoriesOptions): Promise<void> {
  const warehouse = mkdtempSync(join(tmpdir(), "millrace-histories-"));
  const catalog = sqliteCatalog(warehouse);
  const python = new PythonReaders();
  const worker = new Worker();
  const spark = options.withSpark ? new SparkReader() : undefined;
  const rest = await startRestCatalog(warehouse, catalog);
  const tools = { catalog, python, worker, restPort: rest.port, ...(spark && { spark }) };
  try {
    for (let i = 0; i < options.count; i++) await runOne(tools, options.seed + i, options);
  } finally {
    await Promise.all([python.stop(), worker.stop(), spark?.stop(), rest.stop()]);
    rmSync(warehouse, { recursive: true, force: true });
  }
}

async function runOne(tools: Tools, seed: number, { steps, onHistory }: HistoriesOptions): Promise<void> {
  const history = new History(tools, `h.t${seed}`, generator(seed));
  try {
    await history.run(steps);
  } catch (error) {
    const log = history.steps.map((step, i) => `  ${i + 1}. ${step}`).join("\n");
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    throw new Error(`the history of seed ${seed} fails after these steps:\n${log}\n${reason}`, {
      cause: error,
    });
  }
  onHistory?.(seed, history.steps.length);
}
