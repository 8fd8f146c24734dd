import type { Schema } from "apache-arrow";
import type { Configured } from "../../contract/configured.ts";
import { optional } from "../../contract/optional.ts";
import { parseOptions } from "../../contract/options/parse.ts";
import type { Pipeline } from "../../contract/pipeline.ts";
import type { PipelineIdentity } from "../ports/ledger.ts";
import type { Ports } from "../ports/runtime.ts";
import { openCommand } from "../row-level/open-command.ts";
import { checkEnvironmentOf } from "./check-environment.ts";
import { guard } from "./guard.ts";
import { SinkSession } from "./sink-session.ts";
import { SourceSession, type SourceSessionOptions } from "./source-session.ts";

/** A pipeline whose source and sink are opened in this process. */
export interface Sessions {
  readonly pipeline: Pipeline;
  readonly source: SourceSession;
  readonly sink: SinkSession;
  /** Throws `SECRET_MISSING` if an environment variable that source or sink need is not set. */
  checkEnvironment(): Promise<void>;
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
    const checkEnvironment = () => checkEnvironmentOf(pipeline, "sink", command.options, ports);
    return { pipeline, source, sink, checkEnvironment };
  }
  const sourceOptions = await parsed(pipeline.source);
  const sinkOptions = await parsed(pipeline.sink);
  const sink = new SinkSession(pipeline, ports, sinkOptions);
  const source = await SourceSession.open(pipeline, ports, sourceOptions, options);
  const checkEnvironment = async () => {
    await checkEnvironmentOf(pipeline, "source", sourceOptions, ports);
    await checkEnvironmentOf(pipeline, "sink", sinkOptions, ports);
  };
  return { pipeline, source, sink, checkEnvironment };
}

/**
 * Checks before anything is planned what no batch could go without: environment variables, the
 * source's schema, the pipeline's steps, and the options of the sink, of which a writer is created.
 * Returns the schema of the source's rows.
 */
export async function checkBeforePlanning(sessions: Sessions): Promise<Schema> {
  await sessions.checkEnvironment();
  await sessions.sink.checkOptions(await sessions.source.schema());
  return await sessions.source.sourceSchema();
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
