import type { RecordBatch } from "apache-arrow";
import { BatchDecoder } from "./batch-decoder.ts";
import type { Codecs } from "./compression.ts";
import { ArrowFormatError } from "./format-error.ts";
import { type Block, decodeFooter, decodeMessage, type Footer, type Message } from "./messages.ts";
import { openStream } from "./read-stream.ts";
import type { ByteSource, IpcReader } from "./source.ts";

const MAGIC = "ARROW1";
/** The magic, and padding to 8 bytes. */
const HEAD_BYTES = 8;
/** The length of the footer, and the magic. */
const TAIL_BYTES = 10;
/** The first four bytes of a message since version 0.15 of the format. */
const CONTINUATION = -1;

/**
 * Opens an Arrow IPC file or stream. We read it ourselves because the readers of apache-arrow trust
 * all lengths, end without a word at a message that is cut off, and do not read dictionaries in all
 * their forms. Errors: `ArrowFormatError`, `TYPE_NOT_SUPPORTED`.
 */
export async function openIpc(source: ByteSource, codecs: Codecs = {}): Promise<IpcReader> {
  if (source.size === 0) throw new ArrowFormatError("it is empty");
  const head = await source.range(0, Math.min(HEAD_BYTES, source.size));
  return isMagic(head.subarray(0, MAGIC.length))
    ? await openFile(source, codecs)
    : await openStream(source, codecs);
}

/** Reads the record batches of an Arrow IPC file that is in memory. Error: `ArrowFormatError`. */
export function* readFileBytes(bytes: Uint8Array): Generator<RecordBatch> {
  const { start, end } = footerRange(bytes.subarray(-TAIL_BYTES), bytes.length);
  const footer = checkedFooter(bytes.subarray(start, end), start);
  const read = (block: Block) => messageIn(bytes.subarray(block.offset, endOf(block)), block);
  const decoder = new BatchDecoder(footer.schema, {});
  addDictionaries(decoder, footer.dictionaries.map(read));
  for (const block of footer.batches) yield batchOf(decoder, read(block));
}

async function openFile(source: ByteSource, codecs: Codecs): Promise<IpcReader> {
  const tail = await source.range(Math.max(0, source.size - TAIL_BYTES), source.size);
  const { start, end } = footerRange(tail, source.size);
  const footer = checkedFooter(await source.range(start, end), start);
  const read = async (block: Block) => messageIn(await source.range(block.offset, endOf(block)), block);
  const decoder = new BatchDecoder(footer.schema, codecs);
  return {
    schema: decoder.schema,
    async *batches() {
      const dictionaries: Framed[] = [];
      for (const block of footer.dictionaries) dictionaries.push(await read(block));
      addDictionaries(decoder, dictionaries);
      for (const block of footer.batches) yield batchOf(decoder, await read(block));
    },
  };
}

function isMagic(bytes: Uint8Array): boolean {
  return Buffer.from(bytes).toString("latin1") === MAGIC;
}

function endOf({ offset, metadataLength, bodyLength }: Block): number {
  return offset + metadataLength + bodyLength;
}

/** Returns where the footer is. `tail` has the last bytes of the file. */
function footerRange(tail: Uint8Array, size: number): { readonly start: number; readonly end: number } {
  if (size < HEAD_BYTES + TAIL_BYTES || !isMagic(tail.subarray(-MAGIC.length)))
    throw new ArrowFormatError("it is cut off: an Arrow file ends with ARROW1");
  const length = new DataView(tail.buffer, tail.byteOffset).getInt32(tail.length - TAIL_BYTES, true);
  const end = size - TAIL_BYTES;
  if (length <= 0 || end - length < HEAD_BYTES)
    throw new ArrowFormatError("its footer cannot have the length it says");
  return { start: end - length, end };
}

/** Decodes the footer, and checks that its blocks lie in the file and do not overlap. */
function checkedFooter(bytes: Uint8Array, footerStart: number): Footer {
  const footer = decodeFooter(bytes);
  const blocks = [...footer.dictionaries, ...footer.batches].sort((a, b) => a.offset - b.offset);
  let end = HEAD_BYTES;
  for (const block of blocks) {
    const isValid = block.offset >= end && block.metadataLength > 0 && block.bodyLength >= 0;
    end = endOf(block);
    if (!isValid || end > footerStart)
      throw new ArrowFormatError("its footer names bytes that are not there, or twice");
  }
  return footer;
}

/** A message and its body. */
interface Framed {
  readonly message: Message;
  readonly body: Uint8Array;
}

function messageIn(bytes: Uint8Array, block: Block): Framed {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 8) throw new ArrowFormatError("a message is cut off");
  const prefix = view.getInt32(0, true) === CONTINUATION ? 8 : 4;
  const length = view.getInt32(prefix - 4, true);
  if (length <= 0 || prefix + length > block.metadataLength)
    throw new ArrowFormatError("a message is longer than the footer says");
  const message = decodeMessage(bytes.subarray(prefix, prefix + length));
  if (message.bodyLength > block.bodyLength)
    throw new ArrowFormatError("a message is longer than the footer says");
  return { message, body: bytes.subarray(block.metadataLength) };
}

/** Loads dictionaries whose values have dictionaries themselves after these. */
function addDictionaries(decoder: BatchDecoder, framed: readonly Framed[]): void {
  const found = framed.map(({ message, body }) => {
    if (message.kind !== "dictionary")
      throw new ArrowFormatError("its footer names a message of another kind");
    return { message, body, depth: decoder.depthOf(message.id) };
  });
  const seen = new Set<number>();
  for (const { message, body } of found.sort((a, b) => a.depth - b.depth)) {
    // The footer does not tell which record batches an earlier dictionary is for.
    if (seen.has(message.id) && !message.isDelta)
      throw new ArrowFormatError(`it replaces the dictionary ${message.id}, which only a stream can do`);
    seen.add(message.id);
    decoder.addDictionary(message, body);
  }
}

function batchOf(decoder: BatchDecoder, { message, body }: Framed): RecordBatch {
  if (message.kind !== "batch") throw new ArrowFormatError("its footer names a message of another kind");
  return decoder.recordBatch(message, body);
}
