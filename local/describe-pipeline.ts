import { syncBuiltinESMExports } from "node:module";
import { causeOf, MillraceError } from "../shared/contract/errors.ts";
import { parseOptions } from "../shared/contract/options/parse.ts";
import type { DescriptionAnswer } from "../shared/contract/pipeline-description.ts";
import { forbidExit } from "../shared/engine/run/process-guard.ts";
import { loadPipeline } from "./load-pipeline.ts";

/**
 * `node describe-pipeline ENTRY` prints, as JSON, what the construct needs to know about a
 * pipeline. It is a separate process because the construct's constructor cannot await an import,
 * and because loading the user's module must not affect the CDK app.
 */
const write = process.stdout.write.bind(process.stdout);
// Keeps output of the user's code out of stdout, which has only the result.
process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write;

// Otherwise a pipeline whose file ends the process would give no answer.
forbidExit(process, syncBuiltinESMExports);

write(JSON.stringify(await answer(process.argv[2] ?? "")));

async function answer(entry: string): Promise<DescriptionAnswer> {
  try {
    const { name, source, sink } = await loadPipeline(entry);
    const sourcePath = pathOf(await parseOptions(source.dataSource, source.options));
    const path = pathOf(await parseOptions(sink.dataSource, sink.options));
    return {
      name,
      ...(path === undefined ? {} : { path }),
      ...(sourcePath === undefined ? {} : { sourcePath }),
    };
  } catch (error) {
    if (!MillraceError.is(error)) return { error: { message: String(error) } };
    const cause = causeOf(error);
    return { error: { ...error.toRecord(), ...(cause === undefined ? {} : { cause }) } };
  }
}

function pathOf(options: unknown): string | undefined {
  const { path } = options as { readonly path?: unknown };
  return typeof path === "string" ? path : undefined;
}
