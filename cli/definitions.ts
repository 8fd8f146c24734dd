import { statSync } from "node:fs";
import { exists, type Home } from "../local/home.ts";
import { loadPipeline } from "../local/load-pipeline.ts";
import { pipelineOfBackfill } from "../shared/contract/backfill.ts";
import { asBackfill } from "../shared/contract/backfill-pipeline.ts";
import { MillraceError } from "../shared/contract/errors.ts";
import type { Pipeline } from "../shared/contract/pipeline.ts";
import { rangeOfBackfill } from "../shared/engine/backfill/claim.ts";

/** A pipeline and the file that defines it. */
export interface Definition {
  readonly pipeline: Pipeline;
  readonly entry: string;
}

/**
 * Loads a pipeline by its file, or by its name if it has run in this home. A file wins over a name.
 * Errors: `PIPELINE_NOT_FOUND`, and those of `loadPipeline`.
 */
export async function loadDefinition(home: Home, nameOrFile: string): Promise<Definition> {
  if (isFile(nameOrFile)) return { pipeline: await loadPipeline(nameOrFile), entry: nameOrFile };
  const entry = home.entryOf(nameOrFile);
  if (entry === undefined) {
    throw new MillraceError(
      "PIPELINE_NOT_FOUND",
      `there is no file ${nameOrFile}, and no pipeline of that name has run in ${home.root}`,
      { hint: "Check the name and --home, or name the pipeline's file, as in `millrace run pipeline.ts`." },
    );
  }
  if (!exists(entry)) {
    throw new MillraceError(
      "PIPELINE_FILE_NOT_FOUND",
      `the file ${entry}, which defined "${nameOrFile}" in its last run, is gone`,
      {
        where: { pipeline: nameOrFile, path: entry },
        hint: "Put it back, or name the file that defines the pipeline now.",
      },
    );
  }
  const pipeline = await loadPipeline(entry);
  if (pipeline.name === nameOrFile) return { pipeline, entry };
  if (pipeline.name === pipelineOfBackfill(nameOrFile))
    return { pipeline: await backfillIn(home, pipeline, nameOrFile), entry };
  throw new MillraceError(
    "PIPELINE_NOT_FOUND",
    `${entry}, which defined "${nameOrFile}", now defines "${pipeline.name}"`,
    {
      where: { pipeline: nameOrFile, path: entry },
      hint: "Name the file that defines it now.",
    },
  );
}

/** Returns the backfill of this name, with the range that the ledger has. */
export async function backfillIn(home: Home, pipeline: Pipeline, name: string): Promise<Pipeline> {
  const ledger = await home.openLedger({ create: false });
  try {
    return asBackfill(pipeline, name, await rangeOfBackfill(ledger, name));
  } finally {
    ledger.close();
  }
}

/** True for a path, and for the name of a file that is there. */
function isFile(nameOrFile: string): boolean {
  if (/[/\\]|\.[cm]?[jt]s$/.test(nameOrFile)) return true;
  return statSync(nameOrFile, { throwIfNoEntry: false })?.isFile() === true;
}
