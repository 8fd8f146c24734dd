import type { Fence } from "./ports/ledger.ts";
import type { Unacknowledged } from "./ports/records.ts";
import type { Ports } from "./ports/runtime.ts";
import type { Planner } from "./sessions/planner.ts";

/**
 * Tells the source that it may delete the rows of a committed batch, then notes in the ledger that
 * this is done. If the source throws, the run fails and the batch stays committed; the next run
 * calls the source again before it does anything else.
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
