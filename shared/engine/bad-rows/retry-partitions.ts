import type { Ports } from "../ports/runtime.ts";
import { quarantinedBatches, quarantineFiles } from "./quarantine.ts";

/** Files of quarantined rows that one task sends again. */
export interface RetryPartition {
  readonly files: readonly { readonly batchId: number; readonly key: string }[];
}

/** More files than this share tasks. */
const MAX_TASKS = 1_000;

/** Returns the quarantined rows of a pipeline as partitions. */
export async function retryPartitions(ports: Ports, pipeline: string): Promise<readonly RetryPartition[]> {
  const files: RetryPartition["files"][number][] = [];
  for (const batch of await quarantinedBatches(ports.ledger, pipeline))
    for (const key of await quarantineFiles(ports.store, batch)) files.push({ batchId: batch.batchId, key });
  const size = Math.ceil(files.length / MAX_TASKS);
  return Array.from({ length: Math.ceil(files.length / Math.max(1, size)) }, (_, i) => ({
    files: files.slice(i * size, (i + 1) * size),
  }));
}
