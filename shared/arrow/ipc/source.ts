import type { RecordBatch, Schema } from "apache-arrow";

/** A file or stream whose bytes can be read in any order. `range` excludes `end`. */
export interface ByteSource {
  readonly size: number;
  range(start: number, end: number): Promise<Uint8Array>;
}

/** The record batches of a file or stream, read one after the other, and their schema. */
export interface IpcReader {
  readonly schema: Schema;
  batches(): AsyncGenerator<RecordBatch>;
}
