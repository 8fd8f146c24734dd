import { Data, RecordBatch } from "apache-arrow";

/** Size of a block, unless a buffer needs a larger one. */
const BLOCK_BYTES = 4 * 1024 * 1024;

/**
 * Keeps copies of record batches in large blocks of memory, which are used again after `clear`.
 * Many arrays of their own would stay in memory until the garbage collector comes by.
 */
export class Arena {
  #blocks: Uint8Array<ArrayBuffer>[] = [];
  #block = 0;
  #end = 0;
  #bytes = 0;

  /** Size of the copies so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Returns a copy of a record batch that is no slice, and has no dictionaries and views. */
  copy(batch: RecordBatch): RecordBatch {
    return new RecordBatch(batch.schema, this.#copyData(batch.data as Data) as never);
  }

  /** Starts anew, and keeps the memory. */
  clear(): void {
    this.#block = 0;
    this.#end = 0;
    this.#bytes = 0;
  }

  /** Frees the memory. */
  release(): void {
    for (const { buffer } of this.#blocks) buffer.transfer(0);
    this.#blocks = [];
    this.clear();
  }

  #copyData({ type, offset, length, nullCount, buffers, children }: Data): Data {
    const own = [0, 1, 2, 3].map((i) => this.#copyBuffer(buffers[i as 0]));
    const inner = children.map((child) => this.#copyData(child));
    return new Data(type, offset, length, nullCount, own as never, inner);
  }

  #copyBuffer(buffer: ArrayBufferView | undefined): ArrayBufferView | undefined {
    if (buffer === undefined || buffer === null) return undefined;
    const from = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    const to = this.#reserve(from.length);
    to.set(from);
    const make = buffer.constructor as new (
      bytes: ArrayBuffer,
      at: number,
      length: number,
    ) => ArrayBufferView;
    const { BYTES_PER_ELEMENT: size } = buffer as Uint8Array;
    return new make(to.buffer, to.byteOffset, from.length / size);
  }

  #reserve(bytes: number): Uint8Array<ArrayBuffer> {
    this.#bytes += bytes;
    let block = this.#blocks[this.#block];
    while (block !== undefined && this.#end + bytes > block.length) {
      block = this.#blocks[++this.#block];
      this.#end = 0;
    }
    if (block === undefined) {
      block = new Uint8Array(Math.max(BLOCK_BYTES, bytes));
      this.#block = this.#blocks.push(block) - 1;
      this.#end = 0;
    }
    const at = this.#end;
    this.#end = (at + bytes + 7) & ~7;
    return block.subarray(at, at + bytes);
  }
}
