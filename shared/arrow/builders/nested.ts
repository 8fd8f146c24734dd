import { type Data, type Field, type List, type Map_, makeData, Struct } from "apache-arrow";
import { typeName } from "../../contract/ddl/print.ts";
import { isPlainObject, kindOf } from "../../contract/json.ts";
import { type ColumnBuilder, Validity, ValueMismatch } from "./builder.ts";
import { missingField } from "./missing-field.ts";
import { Offsets } from "./offsets.ts";

interface Child {
  readonly index: number;
  readonly name: string;
  readonly column: ColumnBuilder;
}

/**
 * Builds a column of structs, or the rows of a record batch, from objects by field name or arrays
 * by position. A missing field is an error, `null` is a missing value, and fields that the schema
 * does not have are ignored.
 */
export class StructBuilder implements ColumnBuilder {
  readonly #type: Struct;
  readonly #noun: string;
  readonly #children: readonly Child[];
  readonly #validity: Validity;
  length = 0;

  /** `noun` is the word for one value in error messages: "struct" or "row". */
  constructor(
    fields: readonly Field[],
    columns: readonly ColumnBuilder[],
    nullable: boolean,
    capacity: number,
    noun = "struct",
  ) {
    this.#type = new Struct([...fields]);
    this.#noun = noun;
    this.#children = fields.flatMap(({ name }, index) => {
      const column = columns[index];
      return column === undefined ? [] : [{ index, name, column }];
    });
    this.#validity = new Validity(capacity, nullable);
  }

  get bytes(): number {
    let sum = 0;
    for (const { column } of this.#children) sum += column.bytes;
    return sum;
  }

  append(value: unknown): void {
    if (Array.isArray(value)) {
      this.#appendArray(value);
    } else if (hasFields(value)) {
      this.#appendObject(value);
    } else if (value === null) {
      this.#validity.setNull(this.length);
      for (const { column } of this.#children) column.skip();
    } else {
      throw this.#notAnObject(value);
    }
    this.length++;
  }

  #appendArray(values: readonly unknown[]): void {
    const children = this.#children;
    if (values.length !== children.length) {
      const names = children.map(({ name }) => name).join(", ");
      const count = children.length === 1 ? "1 value" : `${children.length} values`;
      throw new ValueMismatch(`${count} (${names})`, values, String(values.length));
    }
    let child: Child | undefined;
    try {
      for (child of children) child.column.append(values[child.index]);
    } catch (error) {
      throw withParent(error, `.${child?.name}`);
    }
  }

  #appendObject(object: Readonly<Record<string, unknown>>): void {
    let child: Child | undefined;
    try {
      for (child of this.#children) child.column.append(object[child.name]);
    } catch (error) {
      if (child === undefined || !(error instanceof ValueMismatch)) throw error;
      if (error.path === "" && fieldOf(object, child.name) === undefined) throw this.#missing(object, child);
      throw error.withParent(`.${child.name}`);
    }
  }

  #missing(object: Readonly<Record<string, unknown>>, { index, name }: Child): ValueMismatch {
    const names = this.#children.map((child) => child.name);
    if (!isPlainObject(object) && names.every((known) => fieldOf(object, known) === undefined))
      return this.#notAnObject(object);
    const field = this.#type.children[index];
    const expected = field === undefined ? "a value" : typeName(field.type);
    return missingField(expected, this.#noun, object, name, names);
  }

  #notAnObject(value: unknown): ValueMismatch {
    const kind = "an object or an array";
    return new ValueMismatch(this.#noun === "row" ? kind : `${this.#noun} (${kind})`, value, kindOf(value));
  }

  mend(): void {
    // Columns before the one that failed have a value of this struct already.
    for (const { column } of this.#children) if (column.length === this.length) column.mend();
    this.#validity.clear(this.length++);
  }

  skip(): void {
    this.#validity.clear(this.length++);
    for (const { column } of this.#children) column.skip();
  }

  finish(): Data<Struct> {
    return makeData({
      type: this.#type,
      length: this.length,
      nullCount: this.#validity.nullCount,
      nullBitmap: this.#validity.finish(this.length),
      children: this.#children.map(({ column }) => column.finish()),
    });
  }
}

/** Puts `step` in front of the path of a `ValueMismatch`. Other errors are returned unchanged. */
function withParent(error: unknown, step: string): unknown {
  return error instanceof ValueMismatch ? error.withParent(step) : error;
}

/**
 * True for an object whose properties can be fields. A Map, a Set or a typed array is not one:
 * properties such as `size` and `length` are not fields.
 */
function hasFields(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return true;
  return !(value instanceof Map || value instanceof Set || ArrayBuffer.isView(value));
}

/**
 * Returns a field of a row or struct. Inherited methods, such as `constructor`, do not count as
 * fields.
 */
export function fieldOf(row: Readonly<Record<string, unknown>>, name: string): unknown {
  const value = row[name];
  return typeof value === "function" && !Object.hasOwn(row, name) ? undefined : value;
}

/** Builds a column of lists from arrays, including typed arrays. */
export class ListBuilder implements ColumnBuilder {
  readonly #type: List;
  readonly #child: ColumnBuilder;
  readonly #offsets: Offsets;

  constructor(type: List, child: ColumnBuilder, nullable: boolean, capacity: number) {
    this.#type = type;
    this.#child = child;
    this.#offsets = new Offsets(nullable, capacity);
  }

  get length(): number {
    return this.#offsets.length;
  }

  get bytes(): number {
    return this.#child.bytes;
  }

  append(value: unknown): void {
    if (value === null) {
      this.#offsets.closeNull();
      return;
    }
    if (!isArray(value)) throw new ValueMismatch("array", value);
    let i = 0;
    try {
      for (; i < value.length; i++) this.#child.append(value[i]);
    } catch (error) {
      throw withParent(error, `[${i}]`);
    }
    this.#offsets.end += value.length;
    this.#offsets.close();
  }

  mend(): void {
    this.#child.mend();
    this.#offsets.end = this.#child.length;
    this.skip();
  }

  skip(): void {
    this.#offsets.skip();
  }

  finish(): Data {
    return makeData({ type: this.#type, ...this.#offsets.layout(), child: this.#child.finish() });
  }
}

function isArray(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

/** Builds a column of maps from `Map`s or plain objects. */
export class MapBuilder implements ColumnBuilder {
  readonly #type: Map_;
  readonly #keys: ColumnBuilder;
  readonly #values: ColumnBuilder;
  readonly #offsets: Offsets;

  constructor(type: Map_, keys: ColumnBuilder, values: ColumnBuilder, nullable: boolean, capacity: number) {
    this.#type = type;
    this.#keys = keys;
    this.#values = values;
    this.#offsets = new Offsets(nullable, capacity);
  }

  get length(): number {
    return this.#offsets.length;
  }

  get bytes(): number {
    return this.#keys.bytes + this.#values.bytes;
  }

  append(value: unknown): void {
    if (value === null) {
      this.#offsets.closeNull();
      return;
    }
    const entries =
      value instanceof Map ? value.entries() : isPlainObject(value) ? Object.entries(value) : undefined;
    if (entries === undefined) throw new ValueMismatch("map (a Map or an object)", value);
    let step = ".key";
    try {
      for (const [key, item] of entries) {
        step = ".key";
        this.#keys.append(key);
        step = ".value";
        this.#values.append(item);
        this.#offsets.end++;
      }
    } catch (error) {
      throw withParent(error, step);
    }
    this.#offsets.close();
  }

  mend(): void {
    if (this.#keys.length === this.#values.length) this.#keys.mend();
    this.#values.mend();
    this.#offsets.end = this.#keys.length;
    this.skip();
  }

  skip(): void {
    this.#offsets.skip();
  }

  finish(): Data {
    const entries = makeData({
      type: this.#type.childType,
      length: this.#offsets.end,
      nullCount: 0,
      children: [this.#keys.finish(), this.#values.finish()],
    });
    return makeData({ type: this.#type, ...this.#offsets.layout(), child: entries as never });
  }
}
