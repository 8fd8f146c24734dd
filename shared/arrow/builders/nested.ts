import { type Data, type List, type Map_, makeData, type Struct } from "apache-arrow";
import { isPlainObject } from "../../contract/json.ts";
import { type ColumnBuilder, Validity, ValueMismatch } from "./builder.ts";
import { Offsets } from "./offsets.ts";

/** Appends to a child column, and names the step to it in an error. */
export function appendBelow(child: ColumnBuilder, value: unknown, nullable: boolean, step: string): void {
  try {
    if (value === undefined) throw new ValueMismatch("a value or null", value, "nothing");
    if (value === null && !nullable) throw new ValueMismatch("a value (NOT NULL)", value);
    child.append(value);
  } catch (error) {
    throw error instanceof ValueMismatch ? error.below(step) : error;
  }
}

/** A field of a row or struct; what every object inherits, such as `constructor`, is no field. */
export function fieldOf(row: Readonly<Record<string, unknown>>, name: string): unknown {
  const value = row[name];
  return typeof value === "function" && !Object.hasOwn(row, name) ? undefined : value;
}

/** Structs from objects. A missing field is an error; `null` is no value. */
export class StructBuilder implements ColumnBuilder {
  readonly #type: Struct;
  readonly #children: readonly ColumnBuilder[];
  readonly #validity: Validity;
  #length = 0;

  constructor(type: Struct, children: readonly ColumnBuilder[], capacity: number) {
    this.#type = type;
    this.#children = children;
    this.#validity = new Validity(capacity);
  }

  get bytes(): number {
    return this.#children.reduce((sum, child) => sum + child.bytes, 0);
  }

  append(value: unknown): void {
    if (value === null) this.#validity.setNull(this.#length);
    else if (!isPlainObject(value)) throw new ValueMismatch("struct (an object)", value);
    this.#length++;
    this.#children.forEach((child, i) => {
      const field = this.#type.children[i];
      if (field === undefined) return;
      if (value === null) {
        // A child needs a slot below a null parent too; the parent's bitmap hides it.
        child.append(null);
        return;
      }
      appendBelow(
        child,
        fieldOf(value as Record<string, unknown>, field.name),
        field.nullable,
        `.${field.name}`,
      );
    });
  }

  finish(): Data {
    return makeData({
      type: this.#type,
      length: this.#length,
      nullCount: this.#validity.nullCount,
      nullBitmap: this.#validity.finish(this.#length),
      children: this.#children.map((child) => child.finish()),
    });
  }
}

/** Lists from arrays. */
export class ListBuilder implements ColumnBuilder {
  readonly #type: List;
  readonly #child: ColumnBuilder;
  readonly #offsets: Offsets;

  constructor(type: List, child: ColumnBuilder, capacity: number) {
    this.#type = type;
    this.#child = child;
    this.#offsets = new Offsets(capacity);
  }

  get bytes(): number {
    return this.#child.bytes;
  }

  append(value: unknown): void {
    if (value === null) {
      this.#offsets.closeNull();
      return;
    }
    if (!Array.isArray(value)) throw new ValueMismatch("array", value);
    const { nullable } = this.#type.valueField;
    // Not forEach, which passes over holes.
    for (let i = 0; i < value.length; i++) appendBelow(this.#child, value[i], nullable, `[${i}]`);
    this.#offsets.end += value.length;
    this.#offsets.close();
  }

  finish(): Data {
    return makeData({ type: this.#type, ...this.#offsets.layout(), child: this.#child.finish() });
  }
}

/** Maps from `Map`s or plain objects. */
export class MapBuilder implements ColumnBuilder {
  readonly #type: Map_;
  readonly #entries: StructBuilder;
  readonly #offsets: Offsets;

  constructor(type: Map_, entries: StructBuilder, capacity: number) {
    this.#type = type;
    this.#entries = entries;
    this.#offsets = new Offsets(capacity);
  }

  get bytes(): number {
    return this.#entries.bytes;
  }

  append(value: unknown): void {
    if (value === null) {
      this.#offsets.closeNull();
      return;
    }
    const entries =
      value instanceof Map ? value.entries() : isPlainObject(value) ? Object.entries(value) : undefined;
    if (entries === undefined) throw new ValueMismatch("map (a Map or an object)", value);
    for (const [key, item] of entries) {
      this.#entries.append({ key, value: item });
      this.#offsets.end++;
    }
    this.#offsets.close();
  }

  finish(): Data {
    return makeData({ type: this.#type, ...this.#offsets.layout(), child: this.#entries.finish() as never });
  }
}
