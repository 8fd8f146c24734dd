import { snappyUncompressor } from "hysnappy";
import { MalformedFileError } from "../malformed.ts";
import { unbrotli, unzip, unzstd } from "../zlib.ts";
import { lz4OrUndefined } from "./lz4.ts";
import { NotSupportedError } from "./unsupported.ts";

/** Returns `size` bytes, or fails. */
type Decompress = (bytes: Uint8Array, size: number) => Uint8Array;

const CODECS: ReadonlyMap<number, Decompress> = new Map<number, Decompress>([
  [0, (bytes) => bytes],
  [1, snappy],
  [2, unzip],
  [4, unbrotli],
  [5, lz4Hadoop],
  [6, unzstd],
  [7, lz4],
]);

/**
 * A larger page is refused, because it would not fit the memory that a task has. Writers make pages
 * of about 1 MiB. JavaScript has no longer strings.
 */
const MAX_PAGE_BYTES = 512 * 1024 * 1024;

/** An element of Snappy has at most 64 bytes and takes at least 3. */
const MAX_RATIO = 22;

/** Decompresses a page. Errors: `MalformedFileError`, `NotSupportedError`. */
export function decompress(codec: number, bytes: Uint8Array, size: number): Uint8Array {
  if (size > MAX_PAGE_BYTES)
    throw new NotSupportedError(
      `it has ${size} bytes, more than ${MAX_PAGE_BYTES} in one page`,
      "Write the file again with smaller pages, or leave the column out of .schema(…).",
    );
  const decode = CODECS.get(codec);
  if (decode === undefined)
    throw new NotSupportedError(
      codec === 3 ? "it is compressed with LZO" : `it has the compression codec ${codec}`,
      "Write the file again with another codec, such as zstd.",
    );
  let result: Uint8Array;
  try {
    result = decode(bytes, size);
  } catch (error) {
    if (error instanceof MalformedFileError) throw error;
    throw new MalformedFileError("its data cannot be decompressed", { cause: error });
  }
  if (result.length !== size)
    throw new MalformedFileError(`it has ${result.length} bytes, and its header says ${size}`);
  return result;
}

/** WebAssembly is compiled when the first page needs it. */
let uncompressSnappy: Decompress | undefined;

function snappy(bytes: Uint8Array, size: number): Uint8Array {
  // The decoder writes as many bytes as the data says, so this must be the size we expect.
  let said = 0;
  for (let i = 0, factor = 1; i < 5; i++, factor *= 128) {
    const byte = bytes[i] ?? 0;
    said += (byte & 0x7f) * factor;
    if (byte < 0x80) break;
  }
  if (said !== size) throw new MalformedFileError(`it has ${said} bytes, and its header says ${size}`);
  if (size > bytes.length * MAX_RATIO) throw new MalformedFileError("its data ends too early");
  uncompressSnappy ??= snappyUncompressor();
  return uncompressSnappy(bytes, size);
}

/**
 * The codec `LZ4` is that of Hadoop: blocks with their two lengths in front of them. Some writers
 * stored one block without lengths under this name.
 */
function lz4Hadoop(bytes: Uint8Array, size: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const blocks: Uint8Array[] = [];
  let offset = 0;
  let total = 0;
  while (offset + 8 <= bytes.length) {
    const length = view.getUint32(offset);
    const end = offset + 8 + view.getUint32(offset + 4);
    total += length;
    if (end > bytes.length || total > size) return lz4(bytes, size);
    const block = lz4OrUndefined(bytes.subarray(offset + 8, end), length);
    if (block === undefined) return lz4(bytes, size);
    blocks.push(block);
    offset = end;
  }
  return offset === bytes.length && total === size ? Buffer.concat(blocks) : lz4(bytes, size);
}

function lz4(bytes: Uint8Array, size: number): Uint8Array {
  const block = lz4OrUndefined(bytes, size);
  if (block === undefined) throw new MalformedFileError("its data cannot be decompressed");
  return block;
}
