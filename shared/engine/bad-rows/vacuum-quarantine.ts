import type { ObjectInfo } from "../../contract/object-store.ts";
import { STORE_FOLDER } from "../../contract/store-layout.ts";
import type { VacuumResult } from "../../contract/stream-writer.ts";
import type { Head } from "../ports/ledger.ts";
import type { Ports } from "../ports/runtime.ts";
import { quarantineFiles } from "./quarantine.ts";

interface Request {
  readonly cutOff: number;
  readonly dryRun: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Deletes the files of quarantined rows that no batch names, and those of rows that were sent
 * again. The files of an open batch are kept.
 */
export async function vacuumQuarantine(
  ports: Ports,
  pipeline: string,
  { cutOff, dryRun, signal }: Request,
): Promise<VacuumResult> {
  let sum: VacuumResult = { files: 0, bytes: 0 };
  let batchId = -1;
  let files: ObjectInfo[] = [];
  const removeFiles = async () => {
    const kept = files.length === 0 ? new Set<string>() : await neededFiles(ports, pipeline, batchId);
    const unneeded = files.filter(({ key, modifiedAt }) => modifiedAt <= cutOff && !(kept?.has(key) ?? true));
    if (!dryRun) await ports.store.delete(unneeded.map(({ key }) => key));
    const bytes = unneeded.reduce((total, object) => total + object.bytes, sum.bytes);
    sum = { files: sum.files + unneeded.length, bytes };
    files = [];
  };
  for await (const object of ports.store.list(`${STORE_FOLDER.quarantine}/`)) {
    const folder = Number(object.key.split("/")[1]);
    if (folder !== batchId) await removeFiles();
    batchId = folder;
    files.push(object);
    if (signal?.aborted) return sum;
  }
  await removeFiles();
  return sum;
}

/** Returns the keys that are needed in the folder of a batch. `undefined` if all of them may be. */
async function neededFiles(
  ports: Ports,
  pipeline: string,
  batchId: number,
): Promise<ReadonlySet<string> | undefined> {
  // The head is read after the listing: what is not needed now will not be needed later.
  const head = await ports.ledger.head(pipeline);
  if (head === undefined || !isClosed(head, batchId)) return undefined;
  const batch = await ports.ledger.batch(pipeline, batchId);
  const key = batch?.state === "committed" ? batch.progress?.bad?.key : undefined;
  if (batch === undefined || key === undefined || batchId < (head.lastRetryBatchId ?? 0)) return new Set();
  // Another finalizer of the batch may have written a list that does not count.
  return new Set([key, ...(await quarantineFiles(ports.store, batch).catch(() => []))]);
}

function isClosed(head: Head, batchId: number): boolean {
  return batchId < head.nextBatchId && batchId !== head.openBatchId;
}
