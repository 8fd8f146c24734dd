import type { RecordBatch, Schema } from "apache-arrow";
import { FrameDecoder } from "../../arrow/exchange/parts.ts";
import { PlainRows } from "../../arrow/exchange/plain-rows.ts";
import { ArrowFormatError } from "../../arrow/ipc/format-error.ts";
import { SortKeys } from "../../arrow/sort-keys.ts";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import type { ShuffledPartition, ShuffleSegment } from "./spec.ts";

/** What `readShuffled` needs besides the partition. */
export interface ReadShuffledOptions {
  readonly signal: AbortSignal;
  readonly where: ErrorLocation;
}

/** Most bytes that are read in one request. */
const PIECE_BYTES = 4 * 1024 * 1024;
/** How many bytes are requested before their turn, and in how many requests. */
const AHEAD_BYTES = 16 * 1024 * 1024;
const AHEAD_PIECES = 16;

/**
 * Yields the rows of a partition: segment by segment, each in the order of its file. Errors:
 * `SHUFFLE_FILE_MISSING` with the path of a file that is gone, cut off or damaged.
 */
export async function* readShuffled(
  store: ObjectStore,
  schema: Schema,
  partition: ShuffledPartition,
  options: ReadShuffledOptions,
): AsyncGenerator<RecordBatch> {
  const rows = new PlainRows(schema);
  const inRange = rangeFilter(rows.schema, partition);
  for await (const batch of segmentBatches(store, rows.schema, partition.segments, options)) {
    options.signal.throwIfAborted();
    const some = inRange(batch);
    if (some.numRows > 0) yield* rows.restored(some);
  }
}

/** Decodes segments. A segment has whole frames; a piece of it may end within one. */
async function* segmentBatches(
  store: ObjectStore,
  schema: Schema,
  segments: readonly ShuffleSegment[],
  options: ReadShuffledOptions,
): AsyncGenerator<RecordBatch> {
  const decoder = new FrameDecoder(schema);
  let left: Uint8Array = new Uint8Array();
  for await (const { bytes, piece } of readAhead(store, piecesOf(segments), options)) {
    left = left.length === 0 ? bytes : Buffer.concat([left, bytes]);
    try {
      for (let frame = decoder.next(left); frame !== undefined; frame = decoder.next(left)) {
        yield frame.batch;
        left = left.subarray(frame.size);
      }
      if (piece.isLast && left.length > 0)
        throw new ArrowFormatError("its rows do not end where they should");
    } catch (error) {
      if (!(error instanceof ArrowFormatError)) throw error;
      throw damaged(store, piece, `is damaged: ${error.message}`, options.where, error);
    }
  }
}

/** A part of a segment that is read in one request. */
interface Piece extends ShuffleSegment {
  /** True if the segment ends with it. */
  readonly isLast: boolean;
}

function* piecesOf(segments: readonly ShuffleSegment[]): Generator<Piece> {
  for (const segment of segments) {
    for (let start = segment.start; start < segment.end; start += PIECE_BYTES) {
      const end = Math.min(segment.end, start + PIECE_BYTES);
      yield { ...segment, start, end, isLast: end === segment.end };
    }
  }
}

/** Reads pieces in their order, and requests the next ones in the meantime. */
async function* readAhead(
  store: ObjectStore,
  pieces: Iterator<Piece>,
  { signal, where }: ReadShuffledOptions,
): AsyncGenerator<{ readonly bytes: Uint8Array; readonly piece: Piece }> {
  const asked: { readonly bytes: Promise<Uint8Array>; readonly piece: Piece }[] = [];
  let ahead = 0;
  const ask = (): void => {
    while (ahead < AHEAD_BYTES && asked.length < AHEAD_PIECES) {
      const { done, value: piece } = pieces.next();
      if (done) return;
      ahead += piece.end - piece.start;
      const bytes = read(store, piece, where);
      // An error is thrown when its turn comes.
      bytes.catch(() => undefined);
      asked.push({ bytes, piece });
    }
  };
  try {
    ask();
    for (let next = asked.shift(); next !== undefined; next = asked.shift()) {
      signal.throwIfAborted();
      const { piece } = next;
      const bytes = await next.bytes;
      ahead -= piece.end - piece.start;
      ask();
      yield { bytes, piece };
    }
  } finally {
    // No request goes on in the background.
    await Promise.allSettled(asked.map(({ bytes }) => bytes));
  }
}

async function read(store: ObjectStore, piece: Piece, where: ErrorLocation): Promise<Uint8Array> {
  const bytes = await store.getRange(piece.key, piece.start, piece.end);
  if (bytes === undefined) throw damaged(store, piece, "is gone", where);
  if (bytes.length === piece.end - piece.start) return bytes;
  throw damaged(store, piece, `has fewer bytes than the ${piece.fileBytes} that were written`, where);
}

function damaged(
  store: ObjectStore,
  { key }: Piece,
  problem: string,
  where: ErrorLocation,
  cause?: unknown,
): MillraceError {
  return new MillraceError("SHUFFLE_FILE_MISSING", `the file ${key} of exchanged rows ${problem}`, {
    where: { ...where, path: `${store.location}/${key}` },
    hint: "Find out who deletes or changes files in the pipeline's store. The rows are read from the source again.",
    cause,
  });
}

/** Returns a function that leaves out rows beyond the bounds of a range. Batches must be sorted. */
function rangeFilter(
  schema: Schema,
  { from, to, ordering }: ShuffledPartition,
): (batch: RecordBatch) => RecordBatch {
  if (ordering === undefined || (from === undefined && to === undefined)) return (batch) => batch;
  const keys = new SortKeys(schema, ordering);
  const [low, high] = [from, to].map((bound) => bound && Buffer.from(bound, "base64"));
  return (batch) => {
    const keyAt = keys.of(batch);
    const start = low === undefined ? 0 : firstFrom(keyAt, batch.numRows, low as Buffer);
    const end = high === undefined ? batch.numRows : firstFrom(keyAt, batch.numRows, high as Buffer);
    return start === 0 && end === batch.numRows ? batch : batch.slice(start, Math.max(start, end));
  };
}

/** Returns the first row whose key is not below a bound. */
function firstFrom(keyAt: (row: number) => Uint8Array, rows: number, bound: Buffer): number {
  let [low, high] = [0, rows];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (Buffer.compare(keyAt(middle), bound) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
