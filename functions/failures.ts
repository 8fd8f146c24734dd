import type { ErrorRecord } from "../shared/contract/errors.ts";
import { partitionDigits } from "../shared/contract/keys.ts";
import type { ObjectStore } from "../shared/contract/object-store.ts";
import { BATCH_FILE } from "../shared/contract/store-layout.ts";
import { batchFolder } from "../shared/engine/partitions-file.ts";
import { boundedError } from "../shared/engine/ports/bounded-error.ts";
import type { BatchRun } from "../shared/engine/ports/ledger.ts";

/**
 * Stores the errors of failed tasks, so that Finalize can report why a batch is aborted. They are
 * stored in S3 because the state machine's state has no room for those of ten thousand tasks. Each
 * error is a small object that is written only on failure; `vacuum` removes it with the batch's
 * other files.
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
  await store.put(key, Buffer.from(JSON.stringify(boundedError(failure))));
}

/** Returns the stored failure of the lowest partition, or `undefined` if there is none. */
export async function firstFailure(store: ObjectStore, run: BatchRun): Promise<ErrorRecord | undefined> {
  for await (const { key } of store.list(folder(run))) {
    const bytes = await store.get(key);
    if (bytes !== undefined) return JSON.parse(Buffer.from(bytes).toString()) as ErrorRecord;
  }
  return undefined;
}
