import type { Tracer } from "@aws-lambda-powertools/tracer";
import { POWERTOOLS } from "../shared/aws/names.ts";
import type { Runtime } from "../shared/contract/context.ts";
import { loadOptional } from "../shared/contract/optional-package.ts";

/** The tracer of a service; `undefined` unless the construct's option `tracing` is on. */
export async function tracerOf(serviceName: string, env: Runtime["env"]): Promise<Tracer | undefined> {
  if (env[POWERTOOLS.tracing] !== "true") return undefined;
  const { Tracer } = await loadOptional(
    "@aws-lambda-powertools/tracer",
    () => import("@aws-lambda-powertools/tracer"),
  );
  return new Tracer({ serviceName });
}
