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
/** How much of the end of a file is read at first. Most footers are smaller. */
const FOOTER_BYTES = 64 * 1024;
/**
 * Record batches that follow each other are read together up to this size, so that many small ones
 * do not cost a request each.
 */
const READ_BYTES = 8 * 1024 * 1024;
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

/**
 * Opens an Arrow IPC file. Reads only its footer at first, and then the record batches one after
 * the other. Errors: `ArrowFormatError`, `TYPE_NOT_SUPPORTED`.
 */
export async function openFile(source: ByteSource, codecs: Codecs = {}): Promise<IpcReader> {
  const footer = await readFooter(source);
  const decoder = new BatchDecoder(footer.schema, codecs);
  return {
    schema: decoder.schema,
    async *batches() {
      addDictionaries(decoder, await Array.fromAsync(readBlocks(source, footer.dictionaries)));
      for await (const framed of readBlocks(source, footer.batches)) yield batchOf(decoder, framed);
    },
  };
}

async function readFooter(source: ByteSource): Promise<Footer> {
  const { size } = source;
  const tailStart = Math.max(0, size - FOOTER_BYTES);
  const tail = await source.range(tailStart, size);
  const { start, end } = footerRange(tail.subarray(-TAIL_BYTES), size);
  const bytes =
    start >= tailStart ? tail.subarray(start - tailStart, end - tailStart) : await source.range(start, end);
  return checkedFooter(bytes, start);
}

/** Reads blocks in their order, several in one request if they follow each other. */
async function* readBlocks(source: ByteSource, blocks: readonly Block[]): AsyncGenerator<Framed> {
  for (let at = 0; at < blocks.length; ) {
    const group = blocks.slice(at, endOfGroup(blocks, at));
    const start = (group[0] as Block).offset;
    const bytes = await source.range(start, endOf(group.at(-1) as Block));
    for (const block of group)
      yield messageIn(bytes.subarray(block.offset - start, endOf(block) - start), block);
    at += group.length;
  }
}

/** Returns the index of the first block after `first` that is not read together with it. */
function endOfGroup(blocks: readonly Block[], first: number): number {
  const start = (blocks[first] as Block).offset;
  let next = first + 1;
  for (; next < blocks.length; next++) {
    const block = blocks[next] as Block;
    const isNext = block.offset >= endOf(blocks[next - 1] as Block);
    if (!isNext || endOf(block) - start > READ_BYTES) break;
  }
  return next;
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
