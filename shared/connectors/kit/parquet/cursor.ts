import { quoted } from "../column-names.ts";
import { MalformedFileError } from "../malformed.ts";
import type { Page, PageReader } from "./pages.ts";
import type { Leaf } from "./tree.ts";

/** Converts a stored value to a value of the schema's type. Never returns `undefined`. */
export type Convert = (value: unknown) => unknown;

/**
 * Goes through the entries of a column in one row group. One page is decoded at a time, so the
 * memory does not depend on the size of the row group.
 */
export class Cursor {
  /** Definition and repetition level of the current entry. Both are 0 after the last one. */
  definition = 0;
  repetition = 0;
  isAtEnd = false;
  readonly leaf: Leaf;
  readonly #pages: PageReader;
  readonly #convert: Convert;
  #page: Page | undefined;
  #entry = 0;
  #value = 0;
  /** Converted values of the dictionary, so that each is converted once. */
  #converted: unknown[] = [];

  constructor(leaf: Leaf, pages: PageReader, convert: Convert) {
    this.leaf = leaf;
    this.#pages = pages;
    this.#convert = convert;
    this.#nextPage();
    if (this.repetition !== 0) throw this.damaged("its first value belongs to no row");
  }

  /** Returns the current entry, which must be a value, and goes to the next one. */
  take(): unknown {
    const page = this.#page;
    if (page === undefined) throw this.damaged("it has fewer values than the footer says");
    const stored = page.values[this.#value++];
    const value = page.isDictionary ? this.#distinct(stored as number) : this.#convert(stored);
    this.skip();
    return value;
  }

  #distinct(index: number): unknown {
    const known = this.#converted[index];
    if (known !== undefined) return known;
    const value = this.#convert(this.#pages.dictionary?.[index]);
    this.#converted[index] = value;
    return value;
  }

  /** Goes to the next entry. */
  skip(): void {
    const page = this.#page;
    if (page === undefined) throw this.damaged("it has fewer values than the footer says");
    const entry = ++this.#entry;
    if (entry === page.length) {
      this.#nextPage();
      return;
    }
    if (page.definitions !== undefined) this.definition = page.definitions[entry] ?? 0;
    if (page.repetitions !== undefined) this.repetition = page.repetitions[entry] ?? 0;
  }

  #nextPage(): void {
    const page = this.#pages.next();
    this.#page = page;
    this.#entry = 0;
    this.#value = 0;
    this.isAtEnd = page === undefined;
    this.definition = page === undefined ? 0 : (page.definitions?.[0] ?? this.leaf.definition);
    this.repetition = page?.repetitions?.[0] ?? 0;
  }

  damaged(problem: string): MalformedFileError {
    return new MalformedFileError(`column ${quoted([this.leaf.path.join(".")])}: ${problem}`);
  }
}
