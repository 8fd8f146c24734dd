import type { Pipeline } from "../../contract/pipeline.ts";
import { secretMissing } from "../../contract/secret-missing.ts";
import type { Ports } from "../ports/runtime.ts";
import { dataSourceRuntime } from "./data-source-runtime.ts";
import { guard } from "./guard.ts";

/**
 * Checks that the environment variables are set which the source or the sink needs. Throws
 * `SECRET_MISSING`, which names all that are missing.
 */
export async function checkEnvironmentOf(
  pipeline: Pipeline,
  role: "source" | "sink",
  options: object,
  ports: Ports,
): Promise<void> {
  const { dataSource } = pipeline[role];
  const where = { pipeline: pipeline.name };
  const code = role === "source" ? "SOURCE_FAILED" : "SINK_FAILED";
  const made = await guard(
    code,
    `making the ${role} "${dataSource.name}" failed`,
    where,
    () => new dataSource(options as never, dataSourceRuntime(ports)),
  );
  const names = await guard(code, "requiredEnvironment() failed", where, () => made.requiredEnvironment?.());
  const { env } = ports.runtime;
  const missing = (names ?? []).filter((name) => (env[name] ?? "") === "");
  if (missing.length > 0) throw secretMissing(missing, dataSource.name).with({ where });
}
