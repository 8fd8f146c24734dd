import type { Home } from "../local/home.ts";
import { loadPipeline } from "../local/load-pipeline.ts";
import { MillraceError } from "../shared/contract/errors.ts";
import type { Pipeline } from "../shared/contract/pipeline.ts";

/** A pipeline and the file that defines it. */
export interface Definition {
  readonly pipeline: Pipeline;
  readonly entry: string;
}

/**
 * Loads a pipeline by its file, or by its name if it has run in this home. Errors:
 * `PIPELINE_NOT_FOUND`, and those of `loadPipeline`.
 */
export async function loadDefinition(home: Home, nameOrFile: string): Promise<Definition> {
  if (/\.[cm]?[jt]s$/.test(nameOrFile))
    return { pipeline: await loadPipeline(nameOrFile), entry: nameOrFile };
  const entry = home.entryOf(nameOrFile);
  if (entry === undefined) {
    throw new MillraceError("PIPELINE_NOT_FOUND", `no pipeline "${nameOrFile}" has run in ${home.root}`, {
      hint: "Check the name and --home, or name the pipeline's file.",
    });
  }
  const pipeline = await loadPipeline(entry);
  if (pipeline.name === nameOrFile) return { pipeline, entry };
  throw new MillraceError(
    "PIPELINE_NOT_FOUND",
    `${entry}, which defined "${nameOrFile}", now defines "${pipeline.name}"`,
    {
      where: { pipeline: nameOrFile, path: entry },
      hint: "Name the file that defines it now.",
    },
  );
}
