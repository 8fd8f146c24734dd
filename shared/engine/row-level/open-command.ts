import type { Configured } from "../../contract/configured.ts";
import { BatchPipeline, type Pipeline } from "../../contract/pipeline.ts";
import type { RowCommand } from "../../contract/row-command.ts";
import type { Ports } from "../ports/runtime.ts";
import { dataSourceRuntime } from "../sessions/data-source-runtime.ts";
import { CommandSession } from "./command-session.ts";
import { commandSource } from "./command-source.ts";
import { openTable } from "./command-table.ts";

/** A pipeline with a command, as an ordinary batch pipeline. */
export interface OpenedCommand {
  readonly pipeline: Pipeline;
  /** The parsed options of the table. */
  readonly options: object;
}

/**
 * Returns the batch pipeline that carries out a command: its source and its sink are both made of
 * the table. Errors: those of `parseOptions`.
 */
export async function openCommand(
  pipeline: Pipeline,
  command: RowCommand,
  ports: Ports,
  parseOptions: (configured: Configured) => Promise<object>,
): Promise<OpenedCommand> {
  const { name, sink, stall } = pipeline;
  const table = { configured: sink, options: await parseOptions(sink) };
  const source =
    command.command === "MERGE"
      ? { configured: command.source, options: await parseOptions(command.source) }
      : undefined;
  const where = { pipeline: name };
  const runtime = dataSourceRuntime(ports);
  const session = new CommandSession({ command, table, source, runtime, where }, ports);
  const opened = async () => (await openTable(table, runtime, where)).table;
  const both: Configured = { dataSource: commandSource(sink.dataSource.name, session, opened), options: {} };
  const made = new BatchPipeline<never>({
    name,
    source: both,
    sink: both,
    saveMode: "append",
    ...(stall === undefined ? {} : { stall }),
  });
  return { pipeline: made as unknown as Pipeline, options: table.options };
}
