import type { Fence, Unacknowledged } from "./ports/ledger.ts";
import type { Ports } from "./ports/runtime.ts";
import type { Planner } from "./sessions/planner.ts";

/**
 * Tells the source that it may forget the rows of a committed batch. The ledger remembers until it
 * succeeded: an error fails the run, the batch stays committed, and the next run calls again before
 * anything else.
 */
export async function acknowledge(
  planner: Planner,
  ports: Ports,
  fence: Fence,
  batch: Unacknowledged,
): Promise<void> {
  await planner.commit(batch.end);
  await ports.ledger.acknowledge(fence, batch.batchId);
}
