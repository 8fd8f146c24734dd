import { z } from "zod";
import type { VacuumEvent } from "../../shared/aws/state.ts";
import type { VacuumReport, VacuumRequest } from "../../shared/engine/vacuum.ts";
import { invoke, ofBackfill } from "./functions.ts";

const Result = z.object({ files: z.number(), bytes: z.number() });
// The function of an older deployment does not tell `more`.
const Report: z.ZodType<VacuumReport> = z.object({
  staged: Result,
  planned: Result,
  more: z.boolean().default(false),
});

/**
 * Invokes the pipeline's vacuum function. Errors: `DEPENDENCY_MISSING`, `FUNCTION_FAILED`,
 * `AWS_FAILED`.
 */
export async function vacuumDeployed(
  pipeline: string,
  functionName: string,
  request: VacuumRequest,
): Promise<VacuumReport> {
  const event: VacuumEvent = { ...request, ...ofBackfill(pipeline) };
  return await invoke(pipeline, functionName, event, Report);
}
