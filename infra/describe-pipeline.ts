import { loadPipeline } from "../local/load-pipeline.ts";
import { causeOf, MillraceError } from "../shared/contract/errors.ts";
import { parseOptions } from "../shared/contract/options/parse.ts";

/**
 * `node describe-pipeline ENTRY`: prints, as JSON, what the construct has to know of a pipeline. A process of its own, because the construct cannot
 * wait for a module, and so that what the user's module does when it is loaded is not done to the CDK app.
 */
const print = process.stdout.write.bind(process.stdout);
// What the user's code prints is not the answer.
process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write;

try {
  const { name, source, sink } = await loadPipeline(process.argv[2] ?? "");
  const sourcePath = pathOf(await parseOptions(source.dataSource, source.options));
  const path = pathOf(await parseOptions(sink.dataSource, sink.options));
  print(
    JSON.stringify({
      name,
      ...(path === undefined ? {} : { path }),
      ...(sourcePath === undefined ? {} : { sourcePath }),
    }),
  );
} catch (error) {
  const told = MillraceError.is(error)
    ? { ...error.toRecord(), cause: causeOf(error) }
    : { message: String(error) };
  print(JSON.stringify({ error: told }));
}

function pathOf(options: unknown): string | undefined {
  const { path } = options as { readonly path?: unknown };
  return typeof path === "string" ? path : undefined;
}
