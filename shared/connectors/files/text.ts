import { MalformedFileError } from "../kit/malformed.ts";
import type { FileBytes } from "./bytes.ts";
import { strictDecoder } from "./encoding.ts";
import { encodingOf, HEAD_BYTES } from "./file-head.ts";
import { compressionOf } from "./names.ts";
import { gunzip } from "./node.ts";
import { unzstd } from "./zstd.ts";

/**
 * Text is passed on in smaller pieces because the rows parsed from it take many times its memory.
 */
const TEXT_BYTES = 1024 * 1024;

/**
 * Yields the text of a file without its byte order mark. Files named `.gz` or `.zst` are
 * decompressed. Bytes that are not valid in the encoding are a `MalformedFileError`.
 */
export async function* textOf(file: FileBytes, encoding: string | undefined): AsyncGenerator<string> {
  let decode: ((bytes?: Uint8Array) => Promise<string>) | undefined;
  for await (const piece of pieces(file)) {
    decode ??= decoderOf(file, encodingOf(piece, encoding));
    yield await decode(piece);
  }
  if (decode !== undefined) yield await decode();
}

function decoderOf(file: FileBytes, encoding: string): (bytes?: Uint8Array) => Promise<string> {
  const decoder = strictDecoder(encoding);
  return async (bytes) => {
    try {
      return decoder.decode(bytes);
    } catch {
      throw await invalidText(file, encoding);
    }
  };
}

/**
 * Yields pieces of the decompressed file. The first one has at least `HEAD_BYTES`, or all bytes.
 */
async function* pieces(file: FileBytes): AsyncGenerator<Uint8Array> {
  let head: Uint8Array | undefined = new Uint8Array();
  for await (const chunk of decompressed(file)) {
    const bytes: Uint8Array = head === undefined ? chunk : Buffer.concat([head, chunk]);
    if (head !== undefined && bytes.length < HEAD_BYTES) {
      head = bytes;
      continue;
    }
    head = undefined;
    for (let start = 0; start < bytes.length; start += TEXT_BYTES) {
      yield bytes.subarray(start, start + TEXT_BYTES);
    }
  }
  if (head !== undefined && head.length > 0) yield head;
}

/**
 * Returns the error for the first bytes that are not valid, with their line. It reads the file
 * again: a second decoder follows one piece behind, and decodes the piece that failed byte by byte.
 */
async function invalidText(file: FileBytes, encoding: string): Promise<MalformedFileError> {
  const ahead = strictDecoder(encoding);
  const behind = strictDecoder(encoding);
  const lines = new LineCounter();
  let last: Uint8Array | undefined;
  try {
    for await (const piece of pieces(file)) {
      if (last !== undefined) lines.add(behind.decode(last));
      last = piece;
      ahead.decode(piece);
    }
  } catch {
    // `last` is the piece with the invalid bytes. Of an invalid end it is the last piece.
  }
  try {
    for (let i = 0; i < (last?.length ?? 0); i++) lines.add(behind.decode(last?.subarray(i, i + 1)));
  } catch {
    // The line is found.
  }
  const name = encoding.toUpperCase();
  const other = name === "UTF-8" ? "windows-1252" : "utf-8";
  return new MalformedFileError(`line ${lines.line} is not ${name}`, {
    hint: `If its program wrote another encoding, set it, such as \`encoding: "${other}"\`; if not, take the file away, set \`ignoreMissingFiles: true\`, and run again.`,
  });
}

/** Counts lines that end in `\n`, `\r\n` or `\r`. */
class LineCounter {
  line = 1;
  #afterReturn = false;

  add(text: string): void {
    for (const [symbol] of text.matchAll(/[\r\n]/g)) {
      // A `\r` may be counted before its `\n` is known, because the text arrives in pieces.
      if (!(symbol === "\n" && this.#afterReturn)) this.line++;
      this.#afterReturn = symbol === "\r";
    }
    if (text !== "" && !/[\r\n]$/.test(text)) this.#afterReturn = false;
  }
}

function decompressed(file: FileBytes): AsyncIterable<Uint8Array> {
  // A file of zero bytes is accepted as empty text, even if its name ends in `.gz` or `.zst`.
  const compression = file.size > 0 ? compressionOf(file.path) : undefined;
  if (compression === "gzip") return gunzip(file.chunks());
  return compression === "zstd" ? unzstd(file.chunks()) : file.chunks();
}
