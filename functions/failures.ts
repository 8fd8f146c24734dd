import type { ErrorRecord } from "../shared/contract/errors.ts";
import { partitionDigits } from "../shared/contract/keys.ts";
import type { ObjectStore } from "../shared/contract/object-store.ts";
import { BATCH_FILE } from "../shared/contract/store-layout.ts";
import { batchFolder } from "../shared/engine/partitions-file.ts";
import type { BatchRun } from "../shared/engine/ports/ledger.ts";

/**
 * Errors of tasks that failed for good, from which Finalize learns why a batch is aborted: the
 * state of ten thousand tasks has no room for them. Each is a small object, which is written on
 * failure only, and which vacuum removes with the batch's other files.
 */

function folder(run: BatchRun): string {
  return `${batchFolder(run.batchId)}${BATCH_FILE.failure}${run.attempt}-`;
}

export async function putFailure(
  store: ObjectStore,
  run: BatchRun,
  partition: number,
  id: string,
  failure: ErrorRecord,
): Promise<void> {
  const key = `${folder(run)}${partitionDigits(partition)}-${id}.json`;
  await store.put(key, Buffer.from(JSON.stringify(failure)));
}

/** The failure of the lowest partition that left one. */
export async function firstFailure(store: ObjectStore, run: BatchRun): Promise<ErrorRecord | undefined> {
  for await (const { key } of store.list(folder(run))) {
    const bytes = await store.get(key);
    if (bytes !== undefined) return JSON.parse(Buffer.from(bytes).toString()) as ErrorRecord;
  }
  return undefined;
}
