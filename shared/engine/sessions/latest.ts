import type { RecordBatch } from "apache-arrow";
import type { BadRowSink } from "../../contract/bad-rows.ts";
import type { Offset } from "../../contract/offset.ts";

/** The end of the next batch and, for a simple reader, its rows. */
export interface Latest {
  readonly end: Offset;
  /**
   * Returns the rows of the batch. Only a simple reader has them, because it must read rows to find
   * an end. Without `badRows`, a row that does not fit throws.
   */
  rows?(badRows?: BadRowSink): AsyncIterable<RecordBatch>;
}
