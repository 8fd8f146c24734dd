import type { RecordBatch } from "apache-arrow";
import type { Codecs } from "../../../shared/arrow/ipc/compression.ts";
import { openIpc } from "../../../shared/arrow/ipc/read-ipc.ts";

/** Reads the record batches of a file or stream that is in memory. */
export async function readBytes(bytes: Uint8Array, codecs: Codecs = {}): Promise<RecordBatch[]> {
  const range = async (start: number, end: number) => bytes.subarray(start, end);
  const reader = await openIpc({ size: bytes.length, range }, codecs);
  return await Array.fromAsync(reader.batches());
}
