import type { Schema } from "apache-arrow";
import type { Configured } from "../../contract/configured.ts";
import { optional } from "../../contract/optional.ts";
import { parseOptions } from "../../contract/options/parse.ts";
import type { Pipeline } from "../../contract/pipeline.ts";
import type { PipelineIdentity } from "../ports/ledger.ts";
import type { Ports } from "../ports/runtime.ts";
import { openCommand } from "../row-level/open-command.ts";
import { guard } from "./guard.ts";
import { SinkSession } from "./sink-session.ts";
import { SourceSession, type SourceSessionOptions } from "./source-session.ts";

/** A pipeline whose source and sink are opened in this process. */
export interface Sessions {
  readonly pipeline: Pipeline;
  readonly source: SourceSession;
  readonly sink: SinkSession;
}

export interface SessionsOptions extends SourceSessionOptions {
  /**
   * Schema of the source's rows, if the caller knows it. Otherwise the pipeline or the source
   * defines it.
   */
  readonly schema?: Schema;
}

/**
 * Checks the options of source and sink, and creates the source. Throws `OPTIONS_INVALID` or
 * `SOURCE_FAILED`.
 */
export async function openSessions(
  pipeline: Pipeline,
  ports: Ports,
  options: SessionsOptions = {},
): Promise<Sessions> {
  const parsed = async ({ dataSource, options: given }: Configured) =>
    (await guard(
      "OPTIONS_INVALID",
      `checking the options of "${dataSource.name}" failed`,
      { pipeline: pipeline.name },
      () => parseOptions(dataSource, given),
    )) as object;
  if (pipeline.command !== undefined) {
    const command = await openCommand(pipeline, pipeline.command, ports, parsed);
    const sink = new SinkSession(command.pipeline, ports, command.options);
    const source = await SourceSession.open(command.pipeline, ports, command.options, options);
    return { pipeline, source, sink };
  }
  const sourceOptions = await parsed(pipeline.source);
  const sink = new SinkSession(pipeline, ports, await parsed(pipeline.sink));
  const source = await SourceSession.open(pipeline, ports, sourceOptions, options);
  return { pipeline, source, sink };
}

/**
 * Creates a writer before anything is planned, so that a sink with unusable options, or steps that
 * do not fit the source's rows, fail early. Returns the schema of the source's rows.
 */
export async function checkSinkOptions({ source, sink }: Sessions): Promise<Schema> {
  await sink.checkOptions(await source.schema());
  return await source.sourceSchema();
}

/** Returns what the pipeline's name stands for, apart from the file that defines it. */
export async function identityOf({ pipeline, source, sink }: Sessions): Promise<PipelineIdentity> {
  return {
    kind: pipeline.saveMode === undefined ? "stream" : "batch",
    source: pipeline.source.dataSource.name,
    sink: pipeline.sink.dataSource.name,
    ...optional("target", await sink.targetName(await source.schema())),
  };
}
