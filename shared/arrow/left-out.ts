/** Fields that rows had and their schema lacks, so that they were left out. */
export interface LeftOut {
  /** The first names, each cut. */
  readonly names: readonly string[];
  /** Number of rows that are known to have had such fields. */
  readonly rows: number;
}

const MAX_NAMES = 20;
const LONGEST_NAME = 64;
/** After this many rows with further fields, the names of each 64th row only are looked at. */
const LOOKED_AT = 1000;
const STRIDE = 64;
const RECORDS_LOOKED_AT = 100;
const RECORDS_STRIDE = 16;

/**
 * Collects the names of fields that rows have and the schema lacks. Names are those of objects, so
 * few are kept, and they are cut: an object that is used as a map has content as its names.
 */
export class LeftOutFields {
  readonly #names = new Set<string>();
  #rows = 0;
  #records = 0;

  /** Looks at a row that is an object. All fields of the schema are in it, or it is an error. */
  look(row: object, known: ReadonlySet<string>): void {
    let count = 0;
    for (const _ in row) count++;
    if (count <= known.size) return;
    this.#rows++;
    if (this.#rows > LOOKED_AT && this.#rows % STRIDE !== 0) return;
    this.#keep(Object.keys(row), known);
  }

  /**
   * Looks at a record of which the known fields may be missing: at the first ones, and then at each
   * 16th.
   */
  lookAtRecord(record: object, known: ReadonlySet<string>): void {
    if (++this.#records > RECORDS_LOOKED_AT && this.#records % RECORDS_STRIDE !== 0) return;
    if (this.#keep(Object.keys(record), known)) this.#rows++;
  }

  /** Adds what was left out elsewhere. */
  add(names: readonly string[], rows: number): void {
    this.#keep(names, new Set());
    this.#rows += rows;
  }

  /** The fields that were left out, or `undefined`. */
  get found(): LeftOut | undefined {
    return this.#names.size === 0 ? undefined : { names: [...this.#names], rows: this.#rows };
  }

  /** Returns true if there are unknown names. */
  #keep(names: readonly string[], known: ReadonlySet<string>): boolean {
    let hasUnknown = false;
    for (const name of names) {
      if (known.has(name)) continue;
      hasUnknown = true;
      if (this.#names.size >= MAX_NAMES) break;
      this.#names.add(name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name);
    }
    return hasUnknown;
  }
}
