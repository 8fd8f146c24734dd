import type { PipelineDefinition } from "../shared/contract/pipeline-definition.ts";
import { triggerKind, triggerOf } from "../shared/contract/trigger.ts";

/**
 * Returns the trigger of an execution: that of its input, otherwise that of the construct,
 * otherwise that of the pipeline. With `processingTime`, each execution runs one batch with the
 * reader's own limit; the schedule provides the interval.
 */
export function triggerOfExecution(
  input: "once" | "availableNow" | undefined,
  construct: "once" | "availableNow" | undefined,
  pipeline: Pick<PipelineDefinition, "name" | "saveMode" | "triggered">,
): "once" | "availableNow" | "processingTime" {
  const asked = input === "once" || input === "availableNow" ? input : construct;
  return triggerKind(
    triggerOf(pipeline, asked === "once" ? { once: true } : asked && { availableNow: true }),
  );
}
