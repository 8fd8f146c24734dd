import type { Data, RecordBatch, Schema } from "apache-arrow";
import { ColumnEncoder } from "./ipc/column-encoder.ts";
import { fileSchema } from "./ipc/file-schema.ts";

/**
 * Yields a record batch in pieces of at most about `maxBytes`, in the order of its rows. A single
 * row is never split, nor is a batch with columns of views, whose slices would repeat all values.
 */
export function* splitBatch(schema: Schema, batch: RecordBatch, maxBytes: number): Generator<RecordBatch> {
  const { numRows } = batch;
  const pieces = Math.min(numRows, Math.ceil(sizeOf(schema, batch, maxBytes) / maxBytes));
  if (pieces <= 1) {
    yield batch;
    return;
  }
  const rows = Math.ceil(numRows / pieces);
  for (let from = 0; from < numRows; from += rows)
    yield* splitBatch(schema, batch.slice(from, Math.min(numRows, from + rows)), maxBytes);
}

/** Returns the size in a file, or 0 if the batch is certainly small enough or cannot be split. */
function sizeOf(schema: Schema, batch: RecordBatch, maxBytes: number): number {
  // Of a slice this counts too much, so it only decides whether to look closer.
  if (batch.data.byteLength <= maxBytes || batch.data.children.some(hasViews)) return 0;
  const encoder = new ColumnEncoder();
  return fileSchema(schema).fields.reduce(
    (sum, { type, name }, i) => sum + encoder.encode(type, batch.data.children[i] as Data, name).byteLength,
    0,
  );
}

function hasViews({ variadicBuffers, children }: Data): boolean {
  return (variadicBuffers?.length ?? 0) > 0 || children.some(hasViews);
}
