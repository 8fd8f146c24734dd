import type { Long } from "../types.ts";
import { AvroFault } from "./fault.ts";
import type { AvroInput, Read } from "./input.ts";
import type { AvroOutput } from "./output.ts";
import { type AvroRecord, type AvroType, findField } from "./schema.ts";
import { skipper } from "./skip.ts";

/** The JSON form of an Avro schema. */
export type AvroJson =
  | string
  | readonly AvroJson[]
  | { readonly [key: string]: AvroJson | number | boolean | null };

/**
 * Writes values of one type, and reads them from files of any writer. It is to Avro what a column
 * is to a table: one description serves the schema, the writer and the reader.
 */
export interface AvroCodec<T> {
  /** The type in files that we write. */
  readonly json: AvroJson;
  write(output: AvroOutput, value: T): void;
  /** Returns a function that reads values that were written with `type`. Throws `AvroFault`. */
  reader(type: AvroType): Read<T>;
}

function primitive<T>(
  json: AvroJson,
  kinds: Readonly<Partial<Record<AvroType["kind"], Read<T>>>>,
  write: (output: AvroOutput, value: T) => void,
): AvroCodec<T> {
  return {
    json,
    write,
    reader: (type) => readerOf(type, (branch) => kinds[branch.kind] ?? notReadable(branch, json)),
  };
}

/** Returns a reader of `type`. A union with one type besides null is read as that type. */
export function readerOf<T>(type: AvroType, read: (type: AvroType) => Read<T>): Read<T> {
  if (type.kind !== "union") return read(type);
  const readers = type.branches.map((branch) => (branch.kind === "null" ? readUnexpectedNull : read(branch)));
  return (input) => branchOf(readers, input)(input);
}

function branchOf<T>(readers: readonly Read<T>[], input: AvroInput): Read<T> {
  const read = readers[input.count()];
  if (read === undefined) throw input.damaged(`a union has only ${readers.length} types`);
  return read;
}

function readUnexpectedNull(input: AvroInput): never {
  throw new AvroFault("invalid", `a value is null, ${input.place()}`);
}

function notReadable(type: AvroType, json: AvroJson): never {
  const wanted = typeof json === "string" ? json : JSON.stringify(json);
  throw new AvroFault("invalid", `a field has the type ${type.kind}, and should have ${wanted}`);
}

export const BOOLEAN = primitive<boolean>(
  "boolean",
  { boolean: (input) => input.boolean() },
  (output, value) => output.boolean(value),
);
export const INT = primitive<number>(
  "int",
  { int: (input) => input.int(), long: (input) => input.int() },
  (output, value) => output.int(value),
);
/** An `int` that is one of a few. */
export function oneOf<T extends number>(...values: readonly T[]): AvroCodec<T> {
  return {
    json: INT.json,
    write: (output, value) => output.int(value),
    reader: (type) => {
      const read = INT.reader(type);
      return (input) => {
        const value = read(input);
        const found = values.find((one) => one === value);
        if (found !== undefined) return found;
        throw new AvroFault(
          "invalid",
          `a value is ${value}, not one of ${values.join(", ")}, ${input.place()}`,
        );
      };
    },
  };
}

export const LONG = primitive<Long>(
  "long",
  { int: (input) => input.int(), long: (input) => input.long() },
  (output, value) => output.long(value),
);
/** A `long` below 2^53. */
export const COUNT = primitive<number>(
  "long",
  { int: (input) => input.int(), long: (input) => input.count() },
  (output, value) => output.long(value),
);
/** A `long` that is a `bigint` in JavaScript whatever its value. */
export const BIGINT = primitive<bigint>(
  "long",
  { int: (input) => BigInt(input.int()), long: (input) => input.bigint() },
  (output, value) => output.long(value),
);
export const STRING = primitive<string>(
  "string",
  { string: (input) => input.string(), bytes: (input) => input.string() },
  (output, value) => output.string(value),
);
export const BYTES = primitive<Uint8Array>(
  "bytes",
  { bytes: (input) => input.bytes(), string: (input) => input.bytes() },
  (output, value) => output.bytes(value),
);
export const FLOAT = primitive<number>("float", { float: (input) => input.float() }, (output, value) =>
  output.float(value),
);
export const DOUBLE = primitive<number>(
  "double",
  { float: (input) => input.float(), double: (input) => input.double() },
  (output, value) => output.double(value),
);

/** Bytes of one length. */
export function fixed(json: AvroJson, size: number): AvroCodec<Uint8Array> {
  return {
    json,
    write: (output, value) => {
      if (value.length !== size)
        throw new AvroFault("invalid", `a value has ${value.length} bytes, and should have ${size}`);
      output.fixed(value);
    },
    reader: (type) =>
      readerOf(type, (branch) => {
        if (branch.kind !== "fixed" || branch.size !== size) return notReadable(branch, json);
        return (input) => input.fixed(size);
      }),
  };
}

/** A value or null. */
export function nullable<T>(codec: AvroCodec<T>): AvroCodec<T | null> {
  return {
    json: ["null", codec.json],
    write: (output, value) => {
      output.long(value === null ? 0 : 1);
      if (value !== null) codec.write(output, value);
    },
    reader: (type) => {
      if (type.kind === "null") return () => null;
      if (type.kind !== "union") return codec.reader(type);
      const readers = type.branches.map(
        (branch): Read<T | null> => (branch.kind === "null" ? () => null : codec.reader(branch)),
      );
      return (input) => branchOf(readers, input)(input);
    },
  };
}

export function listOf<T>(item: AvroCodec<T>, elementId: number): AvroCodec<readonly T[]> {
  return {
    json: { type: "array", items: item.json, "element-id": elementId },
    write: (output, values) => {
      if (values.length > 0) output.long(values.length);
      for (const value of values) item.write(output, value);
      output.long(0);
    },
    reader: (type) =>
      readerOf(type, (branch) => {
        if (branch.kind !== "array") return notReadable(branch, "array");
        const read = item.reader(branch.items);
        const { least } = branch.items;
        return (input) => {
          const values: T[] = [];
          input.items(least, () => {
            values.push(read(input));
          });
          return values;
        };
      }),
  };
}

/**
 * A map whose keys are field ids. Iceberg writes it as an array of records with a key and a value.
 * Avro's own maps, whose keys are text, are read too.
 */
export function mapOf<T>(
  keyId: number,
  valueId: number,
  value: AvroCodec<T>,
): AvroCodec<ReadonlyMap<number, T>> {
  const pair = {
    type: "record",
    name: `k${keyId}_v${valueId}`,
    fields: [
      { name: "key", type: INT.json, "field-id": keyId },
      { name: "value", type: value.json, "field-id": valueId },
    ],
  };
  return {
    json: { type: "array", items: pair, logicalType: "map" },
    write: (output, map) => {
      if (map.size > 0) output.long(map.size);
      for (const [key, one] of map) {
        output.int(key);
        value.write(output, one);
      }
      output.long(0);
    },
    reader: (type) =>
      readerOf(type, (branch) => {
        if (branch.kind === "map") return textKeyedReader(value.reader(branch.values), branch.values.least);
        if (branch.kind !== "array" || branch.items.kind !== "record") return notReadable(branch, "map");
        return pairsReader(branch.items, keyId, valueId, value);
      }),
  };
}

function textKeyedReader<T>(read: Read<T>, least: number): Read<ReadonlyMap<number, T>> {
  return (input) => {
    const map = new Map<number, T>();
    input.items(1 + least, () => {
      const key = input.string();
      if (!/^\d{1,10}$/.test(key)) throw input.damaged("a key of a map is no field id");
      setOnce(map, Number(key), read(input), input);
    });
    return map;
  };
}

function pairsReader<T>(
  pair: AvroRecord,
  keyId: number,
  valueId: number,
  value: AvroCodec<T>,
): Read<ReadonlyMap<number, T>> {
  const keyAt = fieldAt(pair, keyId, "key");
  const valueAt = fieldAt(pair, valueId, "value");
  const readers = pair.fields.map(({ type }, i): Read<unknown> => {
    if (i === keyAt) return INT.reader(type);
    return i === valueAt ? value.reader(type) : skipper(type);
  });
  const [first, second] = readers;
  // Nearly all files have this form, and a manifest has a million pairs.
  if (keyAt === 0 && valueAt === 1 && first !== undefined && second !== undefined && readers.length === 2)
    return (input) => {
      const map = new Map<number, T>();
      input.items(pair.least, () => setOnce(map, first(input) as number, second(input) as T, input));
      return map;
    };
  return (input) => {
    const map = new Map<number, T>();
    input.items(pair.least, () => {
      const values = readers.map((read) => read(input));
      setOnce(map, values[keyAt] as number, values[valueAt] as T, input);
    });
    return map;
  };
}

/** Returns the index of a field by its id, or by its name if the file has no ids. */
function fieldAt(record: AvroRecord, id: number, name: string): number {
  const at = findField(record, id, name);
  if (at === undefined) throw new AvroFault("invalid", `the pairs of a map have no ${name}`);
  return at;
}

function setOnce<T>(map: Map<number, T>, key: number, value: T, input: AvroInput): void {
  if (map.has(key)) throw new AvroFault("invalid", `a map has the key ${key} twice, ${input.place()}`);
  map.set(key, value);
}
