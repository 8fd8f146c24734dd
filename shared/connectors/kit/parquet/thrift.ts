import { MalformedFileError } from "../malformed.ts";

/** A value in Thrift's compact protocol. A 64-bit integer beyond 2^53 is a bigint. */
export type ThriftValue = boolean | number | bigint | Uint8Array | readonly ThriftValue[] | ThriftStruct;

/** The fields of a Thrift struct by their numbers. Fields that nobody asks for are ignored. */
export class ThriftStruct {
  /** The word for the struct in error messages, such as "footer" or "page header". */
  readonly name: string;
  readonly #fields: ReadonlyMap<number, ThriftValue>;

  constructor(name: string, fields: ReadonlyMap<number, ThriftValue>) {
    this.name = name;
    this.#fields = fields;
  }

  has(id: number): boolean {
    return this.#fields.has(id);
  }

  /** Returns the number of the first field, for a union, which has only one. */
  get first(): number | undefined {
    return this.#fields.keys().next().value;
  }

  /** Returns a non-negative integer, or `undefined` if the field is missing. */
  size(id: number, field: string): number | undefined {
    const value = this.integer(id, field);
    if (value !== undefined && value < 0) throw this.#wrong(field, `is ${value}`);
    return value;
  }

  integer(id: number, field: string): number | undefined {
    const value = this.#fields.get(id);
    if (value === undefined || typeof value === "number") return value;
    throw this.#wrong(field, typeof value === "bigint" ? `is ${value}` : "is not a number");
  }

  boolean(id: number, field: string): boolean | undefined {
    const value = this.#fields.get(id);
    if (value === undefined || typeof value === "boolean") return value;
    throw this.#wrong(field, "is not a boolean");
  }

  bytes(id: number, field: string): Uint8Array | undefined {
    const value = this.#fields.get(id);
    if (value === undefined || value instanceof Uint8Array) return value;
    throw this.#wrong(field, "is not a text");
  }

  struct(id: number, field: string): ThriftStruct | undefined {
    const value = this.#fields.get(id);
    if (value === undefined || value instanceof ThriftStruct) return value;
    throw this.#wrong(field, "is not a struct");
  }

  /** Returns the items of a list of structs, `undefined` if the field is missing. */
  structs(id: number, field: string): readonly ThriftStruct[] | undefined {
    return this.#items(id, field)?.map((item) => {
      if (item instanceof ThriftStruct) return item;
      throw this.#wrong(field, "is not a list of structs");
    });
  }

  /** Returns the items of a list of texts, `undefined` if the field is missing. */
  texts(id: number, field: string): readonly Uint8Array[] | undefined {
    return this.#items(id, field)?.map((item) => {
      if (item instanceof Uint8Array) return item;
      throw this.#wrong(field, "is not a list of texts");
    });
  }

  #items(id: number, field: string): readonly ThriftValue[] | undefined {
    const value = this.#fields.get(id);
    if (value === undefined || Array.isArray(value)) return value;
    throw this.#wrong(field, "is not a list");
  }

  /** Returns the value, or throws if the field is missing. */
  required<T>(value: T | undefined, field: string): T {
    if (value !== undefined) return value;
    throw this.#wrong(field, "is missing");
  }

  #wrong(field: string, problem: string): MalformedFileError {
    return new MalformedFileError(`the ${this.name} is damaged: its ${field} ${problem}`);
  }
}

/**
 * Structs of Parquet are nested less deeply. The limit keeps hostile bytes from the stack's end.
 */
const MAX_DEPTH = 32;
const STOP = 0;
/** Bytes of a varint whose value a double holds exactly. */
const EXACT_BYTES = 7;

/** Reads structs in Thrift's compact protocol. Error: `MalformedFileError`. */
export class ThriftReader {
  readonly #bytes: Uint8Array;
  readonly #name: string;
  offset: number;

  /** `name` is the word for what is read in error messages. */
  constructor(bytes: Uint8Array, offset: number, name: string) {
    this.#bytes = bytes;
    this.#name = name;
    this.offset = offset;
  }

  struct(depth = 0): ThriftStruct {
    if (depth > MAX_DEPTH) throw this.#damaged("it is nested too deeply");
    const fields = new Map<number, ThriftValue>();
    let id = 0;
    for (let header = this.#byte(); (header & 0x0f) !== STOP; header = this.#byte()) {
      id = header >> 4 === 0 ? Number(this.#zigzag()) : id + (header >> 4);
      const type = header & 0x0f;
      // A boolean field has its value in the type.
      fields.set(id, type === 1 || type === 2 ? type === 1 : this.#value(type, depth));
    }
    return new ThriftStruct(this.#name, fields);
  }

  #value(type: number, depth: number): ThriftValue {
    switch (type) {
      case 1:
      case 2:
        return this.#byte() === 1;
      case 3:
        return (this.#byte() << 24) >> 24;
      case 4:
      case 5:
      case 6:
        return this.#zigzag();
      case 7:
        return this.#double();
      case 8:
        return this.#take(this.#length());
      case 9:
      case 10:
        return this.#list(depth);
      case 12:
        return this.struct(depth + 1);
      default:
        throw this.#damaged(`it has a value of the unknown type ${type}`);
    }
  }

  #list(depth: number): ThriftValue[] {
    const header = this.#byte();
    const length = header >> 4 === 15 ? this.#length() : header >> 4;
    // Each item takes at least one byte, so a longer list is damage.
    if (length > this.#bytes.length - this.offset) throw this.#damaged(`it has a list of ${length} items`);
    return Array.from({ length }, () => this.#value(header & 0x0f, depth + 1));
  }

  #double(): number {
    const bytes = this.#take(8);
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0, true);
  }

  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.offset) throw this.#damaged(`it has a text of ${length} bytes`);
    this.offset += length;
    return this.#bytes.subarray(this.offset - length, this.offset);
  }

  #byte(): number {
    const byte = this.#bytes[this.offset++];
    if (byte === undefined) throw this.#damaged("it ends too early");
    return byte;
  }

  #length(): number {
    return Number(this.#varint());
  }

  #zigzag(): number | bigint {
    const value = this.#varint();
    if (typeof value === "number") return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    const big = value % 2n === 0n ? value / 2n : -(value + 1n) / 2n;
    return big >= Number.MIN_SAFE_INTEGER && big <= Number.MAX_SAFE_INTEGER ? Number(big) : big;
  }

  #varint(): number | bigint {
    let low = 0;
    for (let i = 0, factor = 1; i < EXACT_BYTES; i++, factor *= 128) {
      const byte = this.#byte();
      low += (byte & 0x7f) * factor;
      if (byte < 0x80) return low;
    }
    let value = BigInt(low);
    for (let shift = 49n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw this.#damaged("it has a number of more than 64 bits");
  }

  #damaged(problem: string): MalformedFileError {
    return new MalformedFileError(`the ${this.#name} is damaged: ${problem}`);
  }
}
