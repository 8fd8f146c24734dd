import type { BatchContext } from "../../shared/contract/context.ts";

type Fields = Pick<
  BatchContext,
  "incarnation" | "batchId" | "planId" | "start" | "end" | "follows" | "continuity" | "formerIncarnations"
>;

/** Returns the id of the plan that a batch has in tests of sinks. */
export function planOf(batchId: number): string {
  return `plan-${batchId}`;
}

/**
 * Returns what a context says about a batch of ten numbers, which follows the batch before it in
 * the same incarnation.
 */
export function batchFields({
  incarnation = "life-1",
  batchId = 0,
}: Partial<Pick<BatchContext, "incarnation" | "batchId">> = {}): Fields {
  const before = { incarnation, batchId: batchId - 1, planId: planOf(batchId - 1) };
  return {
    incarnation,
    batchId,
    planId: planOf(batchId),
    start: { n: batchId * 10 },
    end: { n: (batchId + 1) * 10 },
    ...(batchId === 0 ? {} : { follows: before }),
    continuity: "strict",
    formerIncarnations: [],
  };
}
