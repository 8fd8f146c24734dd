import type { Pipeline } from "../../contract/pipeline.ts";
import type { Ports } from "../ports/runtime.ts";
import { dataSourceRuntime } from "./data-source-runtime.ts";
import { guard } from "./guard.ts";

/** Returns the columns by which a person knows a row: those of a merge, or of the sink. */
export async function keyColumnsOf(
  { name, sink: { dataSource }, mergesStream }: Pipeline,
  ports: Ports,
  options: object,
): Promise<readonly string[]> {
  if (mergesStream !== undefined) return mergesStream.keys;
  // A sink that names no key is not made only to be asked.
  if (dataSource.prototype.keyColumns === undefined) return [];
  return await guard("SINK_FAILED", "keyColumns() failed", { pipeline: name }, () => {
    const made = new dataSource(options as never, dataSourceRuntime(ports));
    return made.keyColumns?.() ?? [];
  });
}
