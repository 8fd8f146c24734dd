import type { RecordBatch, Schema } from "apache-arrow";
import { storeScratch } from "../../arrow/sort/store-scratch.ts";
import { sortBatches } from "../../arrow/sort-batches.ts";
import type { ErrorLocation } from "../../contract/errors.ts";
import type { SortOrder } from "../../contract/write/distribution.ts";
import type { Ports } from "../ports/runtime.ts";
import { SHUFFLE_MEMORY_BYTES } from "./spec.ts";

export interface SortingOptions {
  readonly ports: Ports;
  /** Folder of the pipeline's store for runs that exceed the memory. No other attempt uses it. */
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly where: ErrorLocation;
}

/** Returns the rows sorted, in bounded memory. */
export function sortedRows(
  batches: AsyncIterable<RecordBatch>,
  schema: Schema,
  ordering: readonly SortOrder[],
  { ports, folder, signal, where }: SortingOptions,
): AsyncIterable<RecordBatch> {
  return sortBatches(batches, schema, ordering, {
    memoryBytes: SHUFFLE_MEMORY_BYTES,
    scratch: storeScratch(ports.store, folder),
    signal,
    where,
  });
}
