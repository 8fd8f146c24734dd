import { type PipelineDefinition, triggerKind, triggerOf } from "../shared/contract/pipeline.ts";

/**
 * The trigger of an execution: as its input, the construct or the pipeline says, in this order. The schedule is what a processing time is on AWS: each
 * execution has one batch, under the reader's own limit.
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
