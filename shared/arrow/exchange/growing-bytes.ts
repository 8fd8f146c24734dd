const FIRST_BYTES = 1024;

/** Bytes that grow at their end. */
export class GrowingBytes {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** All bytes so far. They are another array after the next `reserve`. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  /** Makes room for more bytes, and returns where they begin. They may be what was here before. */
  reserve(more: number): number {
    const at = this.#length;
    this.#length += more;
    if (this.#length > this.#bytes.length) {
      const capacity = Math.max(FIRST_BYTES, this.#length, Math.ceil(this.#bytes.length * 1.5));
      // The old memory is given back at once, and not when the garbage collector comes by.
      this.#bytes = new Uint8Array(this.#bytes.buffer.transfer((capacity + 7) & ~7));
    }
    return at;
  }

  append(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** Starts anew, and keeps the memory. */
  clear(): void {
    this.#length = 0;
  }

  /** Gives the memory back. Arrays over it are empty then. */
  release(): void {
    this.#bytes.buffer.transfer(0);
    this.#bytes = new Uint8Array(0);
    this.#length = 0;
  }
}
