import { MalformedRowError } from "../malformed.ts";
import type { Cursor } from "./cursor.ts";

/** Reads one part of each row from the cursors of its columns. */
export interface ValueReader {
  /** Reads the value of this part, whose parent is there. */
  read(): unknown;
  /** Goes on in a row in which this part is not there. */
  skip(definition: number): void;
  /** The cursors of all columns below. All of them are at the same place of the row. */
  readonly cursors: readonly [Cursor, ...Cursor[]];
}

/** Levels of a part: from which definition level on its parent, and itself, is there. */
export interface Levels {
  readonly parent: number;
  readonly definition: number;
}

/** Reads the values of a column. */
export class LeafReader implements ValueReader {
  readonly cursors: readonly [Cursor];
  readonly #cursor: Cursor;
  readonly #levels: Levels;

  constructor(cursor: Cursor, levels: Levels) {
    this.cursors = [cursor];
    this.#cursor = cursor;
    this.#levels = levels;
  }

  read(): unknown {
    const cursor = this.#cursor;
    const { definition } = cursor;
    if (definition === this.#levels.definition) return cursor.take();
    if (definition < this.#levels.parent || cursor.isAtEnd) throw inconsistent(cursor);
    cursor.skip();
    return null;
  }

  skip(definition: number): void {
    if (this.#cursor.definition !== definition) throw inconsistent(this.#cursor);
    this.#cursor.skip();
  }
}

/** Reads structs as arrays of their fields. */
export class StructReader implements ValueReader {
  readonly cursors: readonly [Cursor, ...Cursor[]];
  readonly #fields: readonly (ValueReader | undefined)[];
  readonly #levels: Levels;

  /** A field that is `undefined` is null in each struct. */
  constructor(fields: readonly (ValueReader | undefined)[], levels: Levels) {
    this.#fields = fields;
    this.cursors = cursorsOf(fields);
    this.#levels = levels;
  }

  read(): unknown {
    const { definition } = this.cursors[0];
    if (definition >= this.#levels.definition) return this.#fields.map((field) => field?.read() ?? null);
    if (definition < this.#levels.parent) throw inconsistent(this.cursors[0]);
    this.skip(definition);
    return null;
  }

  skip(definition: number): void {
    for (const field of this.#fields) field?.skip(definition);
  }
}

/**
 * Reads structs of which no field is wanted, as arrays of nulls. Any column in the struct tells
 * whether the struct is there.
 */
export class PresenceReader implements ValueReader {
  readonly cursors: readonly [Cursor];
  readonly #cursor: Cursor;
  readonly #fields: number;
  readonly #levels: Levels & { readonly repetition: number };

  constructor(cursor: Cursor, fields: number, levels: Levels & { readonly repetition: number }) {
    this.cursors = [cursor];
    this.#cursor = cursor;
    this.#fields = fields;
    this.#levels = levels;
  }

  read(): unknown {
    const { definition } = this.#cursor;
    const { parent, definition: own, repetition } = this.#levels;
    if (definition < parent || this.#cursor.isAtEnd) throw inconsistent(this.#cursor);
    // The column may be in a list within the struct, which has several entries.
    do this.#next();
    while (this.#cursor.repetition > repetition);
    return definition < own ? null : new Array<null>(this.#fields).fill(null);
  }

  skip(definition: number): void {
    if (this.#cursor.definition !== definition) throw inconsistent(this.#cursor);
    this.#next();
  }

  #next(): void {
    if (this.#cursor.definition === this.#cursor.leaf.definition) this.#cursor.take();
    else this.#cursor.skip();
  }
}

/** Levels of a list: those of its group, and those of its items. */
export interface ListLevels extends Levels {
  readonly item: number;
  readonly repetition: number;
}

/** The common part of lists and maps. */
abstract class RepeatedReader implements ValueReader {
  readonly cursors: readonly [Cursor, ...Cursor[]];
  readonly #parts: readonly ValueReader[];
  readonly #levels: ListLevels;

  constructor(parts: readonly ValueReader[], levels: ListLevels) {
    this.#parts = parts;
    this.cursors = cursorsOf(parts);
    this.#levels = levels;
  }

  /** Reads one item, or one entry. */
  protected abstract readItem(parts: readonly ValueReader[]): unknown;

  protected items(): unknown[] | null {
    const [cursor] = this.cursors;
    const { parent, definition, item, repetition } = this.#levels;
    const found = cursor.definition;
    if (found < item) {
      if (found < parent || cursor.isAtEnd) throw inconsistent(cursor);
      this.skip(found);
      return found < definition ? null : [];
    }
    const items: unknown[] = [];
    do {
      items.push(this.readItem(this.#parts));
      for (const other of this.cursors) if (other.repetition !== cursor.repetition) throw inconsistent(other);
      if (cursor.repetition > repetition) throw inconsistent(cursor);
    } while (cursor.repetition === repetition);
    return items;
  }

  abstract read(): unknown;

  skip(definition: number): void {
    for (const part of this.#parts) part.skip(definition);
  }
}

/** Reads lists as arrays. */
export class ListReader extends RepeatedReader {
  constructor(item: ValueReader, levels: ListLevels) {
    super([item], levels);
  }

  protected override readItem([item]: readonly ValueReader[]): unknown {
    return item?.read();
  }

  override read(): unknown {
    return this.items();
  }
}

/** Reads maps as `Map`s. A key that is there twice is an error. */
export class MapReader extends RepeatedReader {
  constructor(key: ValueReader, value: ValueReader, levels: ListLevels) {
    super([key, value], levels);
  }

  protected override readItem(parts: readonly ValueReader[]): unknown {
    return parts.map((part) => part.read());
  }

  override read(): unknown {
    const entries = this.items() as [unknown, unknown][] | null;
    if (entries === null) return null;
    const map = new Map(entries);
    if (map.size === entries.length) return map;
    const column = this.cursors[0].leaf.path.slice(0, -2).join(".");
    throw new MalformedRowError(`its map "${column}" has a key twice`);
  }
}

function cursorsOf(readers: readonly (ValueReader | undefined)[]): readonly [Cursor, ...Cursor[]] {
  const [first, ...rest] = readers.flatMap((reader) => reader?.cursors ?? []);
  if (first === undefined) throw new TypeError("a group without columns");
  return [first, ...rest];
}

function inconsistent(cursor: Cursor): Error {
  return cursor.isAtEnd
    ? cursor.damaged("it has fewer values than the file has rows")
    : cursor.damaged("its levels do not fit its type, or those of the columns beside it");
}
