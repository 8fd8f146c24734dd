import { unzstdFrame } from "./node.ts";

const FRAME_MAGIC = 0xfd2fb528;
/** The magic number of a skippable frame, without its lowest four bits. */
const SKIPPABLE_MAGIC = 0x184d2a5;
const RLE_BLOCK = 1;
const CHECKSUM_BYTES = 4;

/**
 * Decompresses a zstd file (RFC 8878), which may have several frames. Node's decoder checks the
 * checksums, but stops at the end of the first frame in silence, so it is handed one frame at a
 * time. Throws if the file is damaged or cut.
 */
export async function* unzstd(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const bytes = new ByteQueue(chunks);
  while (!(await bytes.isAtEnd())) {
    const magic = await bytes.take(4);
    const number = uint32(magic);
    if (number === FRAME_MAGIC) yield* unzstdFrame(frame(magic, bytes));
    else if (number >>> 4 === SKIPPABLE_MAGIC) await bytes.take(uint32(await bytes.take(4)));
    else throw new Error("there are bytes that are no zstd frame");
  }
}

/** Yields the bytes of a frame, whose end is found by the sizes of its blocks. */
async function* frame(magic: Uint8Array, bytes: ByteQueue): AsyncGenerator<Uint8Array> {
  yield magic;
  const head = await bytes.take(1);
  yield head;
  const descriptor = head[0] ?? 0;
  const rest = await bytes.take(headerBytes(descriptor));
  yield rest;
  for (let isLast = false; !isLast; ) {
    const header = await bytes.take(3);
    yield header;
    const [low = 0, middle = 0, high = 0] = header;
    isLast = (low & 1) === 1;
    const size = (low | (middle << 8) | (high << 16)) >>> 3;
    yield await bytes.take(((low >> 1) & 3) === RLE_BLOCK ? 1 : size);
  }
  if ((descriptor & 0b100) !== 0) yield await bytes.take(CHECKSUM_BYTES);
}

/**
 * Returns the size of a frame's header after its descriptor: window, dictionary and content size.
 */
function headerBytes(descriptor: number): number {
  const isSingleSegment = (descriptor & 0b10_0000) !== 0;
  const dictionary = [0, 1, 2, 4][descriptor & 0b11] ?? 0;
  const content = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  return (isSingleSegment ? 0 : 1) + dictionary + content;
}

function uint32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(0, true);
}

/** Takes pieces of any size from a stream of bytes. */
class ByteQueue {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest = new Uint8Array();

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async isAtEnd(): Promise<boolean> {
    return this.#rest.length === 0 && !(await this.#readMore());
  }

  /** Throws if the stream has fewer bytes. */
  async take(count: number): Promise<Uint8Array> {
    while (this.#rest.length < count) {
      if (!(await this.#readMore())) throw new Error("the file is cut off");
    }
    const taken = this.#rest.subarray(0, count);
    this.#rest = this.#rest.subarray(count);
    return taken;
  }

  async #readMore(): Promise<boolean> {
    const { done, value } = await this.#chunks.next();
    if (done === true) return false;
    this.#rest = this.#rest.length === 0 ? new Uint8Array(value) : Buffer.concat([this.#rest, value]);
    return true;
  }
}
