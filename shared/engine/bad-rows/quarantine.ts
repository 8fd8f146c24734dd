import type { ErrorRecord } from "../../contract/errors.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { optional } from "../../contract/optional.ts";
import type { Batch, Ledger } from "../ports/ledger.ts";

/** A row that is kept beside its batch. Values are encoded by `encodeContent`. */
export interface QuarantinedRow {
  /** Id of the batch that left it out. */
  readonly batchId: number;
  /** Why it could not be written, and where it was found. */
  readonly reason: ErrorRecord;
  /** The row as the reader yielded it. */
  readonly row?: unknown;
  /** Number of steps that the row had passed. Absent for a row of the source. */
  readonly stepsBefore?: number;
  /** True if the row had passed all steps, and the sink refused it. */
  readonly afterSteps?: boolean;
  /** What the row was to be read from, if the reader could make no row of it. */
  readonly raw?: unknown;
}

const PAGE = 100;

/** Returns the batches whose quarantined rows were not sent again, the oldest first. */
export async function quarantinedBatches(
  ledger: Pick<Ledger, "head" | "batches">,
  pipeline: string,
): Promise<readonly Batch[]> {
  const head = await ledger.head(pipeline);
  const { quarantinedRows = 0, lastRetryBatchId = 0 } = head ?? {};
  const found: Batch[] = [];
  let left = quarantinedRows;
  let before: number | undefined;
  while (left > 0) {
    const page = await ledger.batches(pipeline, { limit: PAGE, ...optional("before", before) });
    const newer = page.filter(({ batchId }) => batchId >= lastRetryBatchId);
    const kept = newer.filter(hasQuarantine);
    found.push(...kept);
    left -= kept.reduce((sum, { progress }) => sum + (progress?.bad?.rows ?? 0), 0);
    before = page.at(-1)?.batchId;
    if (newer.length < PAGE) break;
  }
  return found.reverse();
}

function hasQuarantine({ state, progress }: Batch): boolean {
  return state === "committed" && progress?.bad?.key !== undefined;
}

/**
 * Returns the keys of the files with the quarantined rows of a batch. Throws
 * `QUARANTINE_FILE_MISSING`.
 */
export async function quarantineFiles(
  store: ObjectStore,
  { pipeline, batchId, progress }: Batch,
): Promise<readonly string[]> {
  const key = progress?.bad?.key;
  if (key === undefined) return [];
  const bytes = await store.get(key);
  if (bytes === undefined) throw fileMissing(store, key, { pipeline, batchId });
  return JSON.parse(Buffer.from(bytes).toString()) as readonly string[];
}

/** Yields the rows of a file. Throws `QUARANTINE_FILE_MISSING`. */
export async function* quarantineRows(
  store: ObjectStore,
  key: string,
  where: { readonly pipeline?: string; readonly batchId?: number },
): AsyncGenerator<Omit<QuarantinedRow, "batchId">> {
  const bytes = await store.get(key);
  if (bytes === undefined) throw fileMissing(store, key, where);
  for (const line of Buffer.from(bytes).toString().split("\n"))
    if (line !== "") yield JSON.parse(line) as Omit<QuarantinedRow, "batchId">;
}

/** Yields all rows that were not sent again, the oldest first. Throws `QUARANTINE_FILE_MISSING`. */
export async function* readQuarantine(
  ledger: Pick<Ledger, "head" | "batches">,
  store: ObjectStore,
  pipeline: string,
): AsyncGenerator<QuarantinedRow> {
  for (const batch of await quarantinedBatches(ledger, pipeline)) {
    const { batchId } = batch;
    for (const key of await quarantineFiles(store, batch))
      for await (const row of quarantineRows(store, key, { pipeline, batchId })) yield { batchId, ...row };
  }
}

function fileMissing(
  store: ObjectStore,
  key: string,
  where: { readonly pipeline?: string; readonly batchId?: number },
): MillraceError {
  return new MillraceError("QUARANTINE_FILE_MISSING", `the file of quarantined rows ${key} is gone`, {
    where: { ...where, path: `${store.location}/${key}` },
    hint: "Somebody deleted it in the pipeline's store. Restore it, or read its rows again from the source.",
  });
}
