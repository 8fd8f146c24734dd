import { MillraceError } from "../../contract/errors.ts";
import { ArrowFormatError } from "./format-error.ts";
import { decompressLz4Frame } from "./lz4-frame.ts";
import { CODEC } from "./messages.ts";

/** Decompresses a buffer that has `size` bytes when it is not compressed. */
export type Decompress = (bytes: Uint8Array, size: number) => Uint8Array;

/** Codecs that the caller brings along. LZ4 is always there. */
export interface Codecs {
  readonly zstd?: Decompress;
}

const PREFIX_BYTES = 8;
/** The length that marks a buffer of a compressed message that is not compressed itself. */
const NOT_COMPRESSED = -1;

/**
 * How much larger the result can be than the input, by codec: a byte of LZ4 stands for at most 255,
 * and four bytes of zstd for a block of 128 KiB. Larger claims would only reserve memory.
 */
const MAX_RATIO: Readonly<Record<number, number>> = { [CODEC.LZ4_FRAME]: 256, [CODEC.ZSTD]: 32_768 };
const SLACK_BYTES = 131_072;
const MAX_BYTES = 2 ** 31 - 1;

/**
 * Returns the content of a buffer in a compressed message. Errors: `TYPE_NOT_SUPPORTED` for an
 * unknown codec; `ArrowFormatError`.
 */
export function decompressed(buffer: Uint8Array, codec: number, codecs: Codecs): Uint8Array {
  const decompress = codec === CODEC.LZ4_FRAME ? decompressLz4Frame : codecs.zstd;
  if (decompress === undefined || (codec !== CODEC.LZ4_FRAME && codec !== CODEC.ZSTD)) {
    const name = codec === CODEC.ZSTD ? "zstd" : `an unknown codec (${codec})`;
    throw new MillraceError("TYPE_NOT_SUPPORTED", `it is compressed with ${name}, which is not supported`, {
      hint: "Write it again with LZ4 or zstd, or not compressed.",
    });
  }
  if (buffer.length === 0) return buffer;
  if (buffer.length < PREFIX_BYTES) throw new ArrowFormatError("a compressed buffer is cut off");
  const size = Number(new DataView(buffer.buffer, buffer.byteOffset).getBigInt64(0, true));
  const bytes = buffer.subarray(PREFIX_BYTES);
  if (size === NOT_COMPRESSED) return bytes;
  const limit = Math.min(MAX_BYTES, bytes.length * (MAX_RATIO[codec] ?? 1) + SLACK_BYTES);
  if (size < 0 || size > limit) {
    throw new ArrowFormatError(`a buffer of ${bytes.length} compressed bytes cannot have ${size} bytes`);
  }
  if (size === 0) return new Uint8Array();
  const result = tried(() => decompress(bytes, size));
  if (result.length !== size) {
    throw new ArrowFormatError(`a compressed buffer has ${result.length} bytes instead of ${size}`);
  }
  return result;
}

function tried(body: () => Uint8Array): Uint8Array {
  try {
    return body();
  } catch (error) {
    if (error instanceof ArrowFormatError) throw error;
    throw new ArrowFormatError("a compressed buffer is damaged", { cause: error });
  }
}
