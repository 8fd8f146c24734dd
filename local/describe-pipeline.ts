import { causeOf, MillraceError } from "../shared/contract/errors.ts";
import { parseOptions } from "../shared/contract/options/parse.ts";
import type { DescriptionAnswer } from "../shared/contract/pipeline-description.ts";
import { loadPipeline } from "./load-pipeline.ts";

/**
 * `node describe-pipeline ENTRY`: prints, as JSON, what the construct has to know of a pipeline. It
 * is a process of its own because the construct cannot wait for a module, and because what the
 * user's module does when it is loaded must not happen to the CDK app.
 */
const write = process.stdout.write.bind(process.stdout);
// What the user's code prints is not the answer.
process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write;

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
