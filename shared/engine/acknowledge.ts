import type { OpenPipeline } from "./open-pipeline.ts";
import type { Fence, Unacknowledged } from "./ports/ledger.ts";
import type { Ports } from "./ports/runtime.ts";

/**
 * Tells the source that it may forget the rows of a committed batch. The ledger remembers until it succeeded: an error fails the
 * run, the batch stays committed, and the next run calls again before anything else.
 */
export async function acknowledge(
  open: OpenPipeline,
  ports: Ports,
  fence: Fence,
  batch: Unacknowledged,
): Promise<void> {
  await open.commitOffset(batch.end);
  await ports.ledger.acknowledge(fence, batch.batchId);
}
