import { syncBuiltinESMExports } from "node:module";
import { causeOf, MillraceError } from "../shared/contract/errors.ts";
import { optional } from "../shared/contract/optional.ts";
import { parseOptions } from "../shared/contract/options/parse.ts";
import type { DescriptionAnswer, IcebergDescription } from "../shared/contract/pipeline-description.ts";
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
    const { name, source, sink, mergesStream } = await loadPipeline(entry);
    const sourcePath = textOf(await parseOptions(source.dataSource, source.options), "path");
    const sinkOptions = await parseOptions(sink.dataSource, sink.options);
    // The name is compared, because importing the class would load the AWS SDK.
    const { name: format } = sink.dataSource;
    const sinkTable = format === "dynamodb" ? textOf(sinkOptions, "table") : undefined;
    return {
      name,
      ...optional("path", textOf(sinkOptions, "path")),
      ...optional("sourcePath", sourcePath),
      ...optional("sinkTable", sinkTable),
      ...(mergesStream === undefined ? {} : { merges: true }),
      ...(format === "iceberg" ? { iceberg: icebergOf(sinkOptions as IcebergDescription) } : {}),
    };
  } catch (error) {
    if (!MillraceError.is(error)) return { error: { message: String(error) } };
    const cause = causeOf(error);
    return { error: { ...error.toRecord(), ...(cause === undefined ? {} : { cause }) } };
  }
}

function icebergOf({ table, location, catalog }: IcebergDescription): IcebergDescription {
  return { table, ...optional("location", location), ...optional("catalog", catalog) };
}

/** Returns the option, if it is text. */
function textOf(options: unknown, option: string): string | undefined {
  const value = (options as Readonly<Record<string, unknown>>)[option];
  return typeof value === "string" ? value : undefined;
}
