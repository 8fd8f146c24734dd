import type { Pipeline } from "../shared/contract/pipeline.ts";

/**
 * The trigger of an execution: as its input, the construct or the pipeline says, in this order. The schedule is what a processing time is on AWS: each
 * execution has one batch, under the reader's own limit.
 */
export function triggerOf(
  input: "once" | "availableNow" | undefined,
  construct: "once" | "availableNow" | undefined,
  { triggered }: Pick<Pipeline, "triggered">,
): "once" | "availableNow" | "processingTime" {
  if (input === "once" || input === "availableNow") return input;
  if (construct !== undefined) return construct;
  if (triggered === undefined || "availableNow" in triggered) return "availableNow";
  return "once" in triggered ? "once" : "processingTime";
}
