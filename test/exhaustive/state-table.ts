const PAGE = 2 ** 16;

/** The numbers that a state has besides: the index of the state before it, and the step. */
const EXTRA = 2;

/**
 * The states that were seen. A state is a list of numbers, and has an index in the order in which
 * it was added. States are found by a hash and compared in full.
 */
export class StateTable {
  readonly #width: number;
  readonly #stride: number;
  readonly #pages: Int32Array[] = [];
  /** For each place, the index of a state plus 1. */
  #places = new Int32Array(PAGE);
  #count = 0;

  constructor(width: number) {
    this.#width = width;
    this.#stride = width + EXTRA;
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Adds a state, with the index of the state before it and the code of the step. Returns its
   * index, or -1 if it was added before.
   */
  add(state: Int32Array, before: number, step: number): number {
    if (this.#count * 2 > this.#places.length) this.#grow();
    const mask = this.#places.length - 1;
    let place = this.#hash(state) & mask;
    for (let found = this.#places[place] as number; found !== 0; found = this.#places[place] as number) {
      if (this.#isAt(found - 1, state)) return -1;
      place = (place + 1) & mask;
    }
    const index = this.#count++;
    this.#places[place] = index + 1;
    const page = this.#page(index);
    const at = (index % PAGE) * this.#stride;
    page.set(state, at);
    page[at + this.#width] = before;
    page[at + this.#width + 1] = step;
    return index;
  }

  /** Copies the state with this index to `state`. */
  read(index: number, state: Int32Array): void {
    const page = this.#page(index);
    const at = (index % PAGE) * this.#stride;
    for (let i = 0; i < this.#width; i++) state[i] = page[at + i] as number;
  }

  /** Returns the index of the state before the one with this index, and the code of the step. */
  wayTo(index: number): { readonly before: number; readonly step: number } {
    const at = (index % PAGE) * this.#stride + this.#width;
    const { [at]: before = -1, [at + 1]: step = -1 } = this.#page(index);
    return { before, step };
  }

  #page(index: number): Int32Array {
    const number = Math.floor(index / PAGE);
    let page = this.#pages[number];
    if (page === undefined) {
      page = new Int32Array(PAGE * this.#stride);
      this.#pages.push(page);
    }
    return page;
  }

  #isAt(index: number, state: Int32Array): boolean {
    const page = this.#page(index);
    const at = (index % PAGE) * this.#stride;
    for (let i = 0; i < this.#width; i++) if (page[at + i] !== state[i]) return false;
    return true;
  }

  #hash(state: Int32Array): number {
    let hash = 0x811c9dc5;
    for (let i = 0; i < this.#width; i++) {
      hash = Math.imul(hash ^ (state[i] as number), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    return hash >>> 0;
  }

  #grow(): void {
    this.#places = new Int32Array(this.#places.length * 4);
    const mask = this.#places.length - 1;
    const state = new Int32Array(this.#width);
    for (let index = 0; index < this.#count; index++) {
      this.read(index, state);
      let place = this.#hash(state) & mask;
      while (this.#places[place] !== 0) place = (place + 1) & mask;
      this.#places[place] = index + 1;
    }
  }
}
