import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parentPort, workerData } from "node:worker_threads";
import type { Edit } from "../faults/mutate.ts";
import { ROOT } from "../support/root.ts";

/** A scenario to search, with the engine as it is or with edits. */
export interface Job {
  readonly scenario: string;
  readonly edits: readonly Edit[];
}

/** What a search found. */
export interface Found {
  readonly lines: readonly string[];
  /** The rule that is broken, if one is. */
  readonly problem?: string;
}

/**
 * Replaces text of the sources that this thread loads. The thread has modules of its own, so the
 * engine must be loaded after this.
 */
function edit(edits: readonly Edit[]): void {
  const sources = new Map<string, string>();
  for (const { file, find, replace } of edits) {
    const url = pathToFileURL(join(ROOT, file)).href;
    const source = sources.get(url) ?? readFileSync(fileURLToPath(url), "utf8");
    if (source.split(find).length !== 2)
      throw new Error(`"${find}" is not in ${file} exactly once: correct the mutant`);
    sources.set(
      url,
      source.replace(find, () => replace),
    );
  }
  registerHooks({
    load: (url, context, nextLoad) => {
      const loaded = nextLoad(url, context);
      const source = sources.get(url);
      return source === undefined ? loaded : { ...loaded, source };
    },
  });
}

async function search({ scenario: name, edits }: Job): Promise<Found> {
  if (edits.length > 0) edit(edits);
  const { scenarioOf } = await import("./scenarios.ts");
  const { Search } = await import("./search.ts");
  const { linesOf } = await import("./report.ts");
  const scenario = scenarioOf(name);
  const startedAt = performance.now();
  const result = await new Search(scenario).run();
  const lines = await linesOf(scenario, result, (performance.now() - startedAt) / 1000);
  return result.violation === undefined ? { lines } : { lines, problem: result.violation.problem };
}

parentPort?.postMessage(await search(workerData as Job));
