import type { Schema } from "apache-arrow";
import { parseOptions } from "../../contract/options/parse.ts";
import type { Configured, Pipeline } from "../../contract/pipeline.ts";
import type { Ports } from "../ports/runtime.ts";
import { guard } from "./guard.ts";
import { SinkSession } from "./sink-session.ts";
import { SourceSession, type SourceSessionOptions } from "./source-session.ts";

/** A pipeline in a process that runs a part of it. */
export interface Sessions {
  readonly pipeline: Pipeline;
  readonly source: SourceSession;
  readonly sink: SinkSession;
}

export interface SessionsOptions extends SourceSessionOptions {
  /** Of the rows, if the caller knows it; otherwise the pipeline, or the source itself, tells it. */
  readonly schema?: Schema;
}

/** Checks the options of source and sink, and makes the source. Errors: `OPTIONS_INVALID`, `SOURCE_FAILED`. */
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
  const sourceOptions = await parsed(pipeline.source);
  const sink = new SinkSession(pipeline, ports, await parsed(pipeline.sink));
  const source = await SourceSession.open(pipeline, ports, sourceOptions, options);
  return { pipeline, source, sink };
}

/** Tells early, before anything is planned, that a sink cannot use its options. */
export async function checkSinkOptions({ source, sink }: Sessions): Promise<Schema> {
  const schema = await source.schema();
  await sink.writer(schema);
  return schema;
}
