import { Buffer } from "node:buffer";
import type { IcebergValue, PartitionTuple } from "../types.ts";
import {
  type AvroCodec,
  type AvroJson,
  BIGINT,
  BOOLEAN,
  BYTES,
  DOUBLE,
  FLOAT,
  fixed,
  INT,
  nullable,
  readerOf,
  STRING,
} from "./codec.ts";
import { AvroFault } from "./fault.ts";
import type { Read } from "./input.ts";
import type { AvroRecord, AvroType } from "./schema.ts";
import { skipper } from "./skip.ts";

/** A field of partitions: its id in the partition spec, its name, and its Iceberg type. */
export interface PartitionType {
  readonly id: number;
  readonly name: string;
  readonly type: string;
}

/** The record with a file's partition. Its values are in the order of `types`. */
export function partitionCodec(types: readonly PartitionType[]): AvroCodec<PartitionTuple> {
  const codecs = types.map(({ id, type }) => nullable(valueCodec(type, id)));
  const names = avroNames(types);
  return {
    json: {
      type: "record",
      name: "r102",
      fields: types.map(({ id, name }, i) => ({
        name: names[i] ?? name,
        type: codecs[i]?.json ?? "null",
        default: null,
        "field-id": id,
        ...(names[i] === name ? {} : { "iceberg-field-name": name }),
      })),
    },
    write: (output, tuple) => {
      if (tuple.length !== codecs.length)
        throw new AvroFault(
          "invalid",
          `a partition has ${tuple.length} values, and its spec ${codecs.length} fields`,
        );
      codecs.forEach((codec, i) => {
        codec.write(output, tuple[i] ?? null);
      });
    },
    reader: (type) =>
      readerOf(type, (branch) => {
        if (branch.kind !== "record")
          throw new AvroFault("invalid", `partition has the type ${branch.kind}, and should be a record`);
        return tupleReader(branch, types, codecs);
      }),
  };
}

function tupleReader(
  record: AvroRecord,
  types: readonly PartitionType[],
  codecs: readonly AvroCodec<IcebergValue | null>[],
): Read<PartitionTuple> {
  const at = types.map((type) => partitionField(record, type));
  const readers = record.fields.map((field, i): Read<unknown> => {
    const codec = codecs[at.indexOf(i)];
    if (codec === undefined) return skipper(field.type);
    try {
      return codec.reader(field.type);
    } catch (error) {
      if (error instanceof AvroFault)
        throw new AvroFault(error.kind, `partition.${field.name}: ${error.message}`);
      throw error;
    }
  });
  return (input) => {
    const values = readers.map((read) => read(input));
    return at.map((i) => values[i] as IcebergValue | null);
  };
}

function partitionField(record: AvroRecord, { id, name }: PartitionType): number {
  const names = [name, makeAvroName(name), makeAvroName(name, UNICODE_LETTER)];
  const at = record.fields.findIndex((field) =>
    field.id === undefined ? names.includes(field.name) : field.id === id,
  );
  if (at < 0) throw new AvroFault("invalid", `the field partition.${name} (${id}) is missing`);
  return at;
}

/** Returns the types of a partition record as a file declares them. */
export function partitionTypesIn(record: AvroRecord): PartitionType[] {
  return record.fields.map(({ id, name, type }, i) => ({
    id: id ?? -1 - i,
    name,
    type: icebergType(name, type),
  }));
}

function icebergType(name: string, type: AvroType): string {
  const branches = type.kind === "union" ? type.branches.filter(({ kind }) => kind !== "null") : [type];
  const [branch] = branches;
  if (branch === undefined || branch.kind === "null") return "boolean"; // All its values are null.
  if (branches.length > 1)
    throw new AvroFault("unsupported", `partition.${name} is a union of several types`);
  const { kind, logical } = branch;
  const found = PHYSICAL.get(`${kind} ${logical?.name ?? ""}`);
  if (found === undefined)
    throw new AvroFault("unsupported", `partition.${name} has the type ${kind} ${logical?.name ?? ""}`);
  if (found === "decimal") return `decimal(${logical?.precision ?? 38}, ${logical?.scale ?? 0})`;
  if (found === "fixed" && kind === "fixed") return `fixed[${branch.size}]`;
  return found === "timestamp" && logical?.adjustToUtc === true ? "timestamptz" : found;
}

/** Iceberg's types by Avro's type and logical type. */
const PHYSICAL: ReadonlyMap<string, string> = new Map([
  ["boolean ", "boolean"],
  ["int ", "int"],
  ["int date", "date"],
  ["long ", "long"],
  ["long time-micros", "time"],
  ["long timestamp-micros", "timestamp"],
  ["long local-timestamp-micros", "timestamp"],
  ["float ", "float"],
  ["double ", "double"],
  ["string ", "string"],
  ["bytes ", "binary"],
  ["bytes decimal", "decimal"],
  ["fixed ", "fixed"],
  ["fixed uuid", "uuid"],
  ["fixed decimal", "decimal"],
]);

function valueCodec(type: string, id: number): AvroCodec<IcebergValue> {
  const found = SIMPLE.get(type) ?? parametricCodec(type, id);
  if (found === undefined) throw new AvroFault("unsupported", `a partition field has the type ${type}`);
  return found as AvroCodec<IcebergValue>;
}

const SIMPLE: ReadonlyMap<string, unknown> = new Map<string, unknown>(
  Object.entries({
    boolean: BOOLEAN,
    // The days of the transform `day` are dates in files of most writers.
    int: logically(INT, "int", "date"),
    date: logically(INT, { type: "int", logicalType: "date" }, "date"),
    long: logically(BIGINT, "long"),
    time: logically(BIGINT, { type: "long", logicalType: "time-micros" }, "time-micros"),
    timestamp: timestamp(false),
    timestamptz: timestamp(true),
    float: FLOAT,
    double: DOUBLE,
    string: logically(STRING, "string"),
    binary: logically(BYTES, "bytes"),
  }),
);

function timestamp(adjustToUtc: boolean): AvroCodec<bigint> {
  const json = { type: "long", logicalType: "timestamp-micros", "adjust-to-utc": adjustToUtc };
  return logically(BIGINT, json, "timestamp-micros", "local-timestamp-micros");
}

/** Declares a logical type, and refuses others, whose values have another unit. */
function logically<T>(codec: AvroCodec<T>, json: AvroJson, ...readable: readonly string[]): AvroCodec<T> {
  return {
    json,
    write: codec.write,
    reader: (type) =>
      readerOf(type, (branch) => {
        if (branch.logical !== undefined && !readable.includes(branch.logical.name))
          throw new AvroFault("invalid", `the logical type is ${branch.logical.name}, which does not fit`);
        return codec.reader(branch);
      }),
  };
}

/** Types may share no name in an Avro schema, so names have the field's id. */
function parametricCodec(type: string, id: number): AvroCodec<Uint8Array> | AvroCodec<bigint> | undefined {
  if (type === "uuid")
    return fixed({ type: "fixed", name: `uuid_fixed_${id}`, size: 16, logicalType: "uuid" }, 16);
  const size = /^fixed\[\s*(\d+)\s*\]$/.exec(type)?.[1];
  if (size !== undefined)
    return fixed({ type: "fixed", name: `fixed_${size}_${id}`, size: Number(size) }, Number(size));
  const [, precision, scale] = /^decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)$/.exec(type) ?? [];
  return precision === undefined ? undefined : decimal(Number(precision), Number(scale), id);
}

/** A decimal is its unscaled value, big-endian in two's complement. */
function decimal(precision: number, scale: number, id: number): AvroCodec<bigint> {
  const size = decimalBytes(precision);
  const name = `decimal_${precision}_${scale}_${id}`;
  const json = { type: "fixed", name, size, logicalType: "decimal", precision, scale };
  const bytes = fixed(json, size);
  return {
    json,
    write: (output, value) => bytes.write(output, toBigEndian(value, size)),
    reader: (type) =>
      readerOf(type, (branch) => {
        if (branch.logical?.name !== "decimal" || (branch.logical.scale ?? 0) !== scale)
          throw new AvroFault("invalid", `the type is not decimal with the scale ${scale}`);
        if (branch.kind === "fixed") return (input) => fromBigEndian(input.fixed(branch.size));
        const read = BYTES.reader(branch);
        return (input) => fromBigEndian(read(input));
      }),
  };
}

/** Returns the smallest number of bytes that hold all decimals of a precision. */
function decimalBytes(precision: number): number {
  const largest = 10n ** BigInt(precision) - 1n;
  return Math.floor(largest.toString(2).length / 8) + 1;
}

function toBigEndian(value: bigint, size: number): Uint8Array {
  const unsigned = BigInt.asUintN(size * 8, value);
  if (BigInt.asIntN(size * 8, unsigned) !== value)
    throw new AvroFault("invalid", `a decimal does not fit ${size} bytes`);
  return Buffer.from(unsigned.toString(16).padStart(size * 2, "0"), "hex");
}

function fromBigEndian(bytes: Uint8Array): bigint {
  return bytes.length === 0
    ? 0n
    : BigInt.asIntN(bytes.length * 8, BigInt(`0x${Buffer.from(bytes).toString("hex")}`));
}

/**
 * Returns the names of the fields in Avro. Two names that become equal are told apart by the id.
 */
function avroNames(types: readonly PartitionType[]): string[] {
  const names: string[] = [];
  for (const { id, name } of types) {
    const avroName = makeAvroName(name);
    names.push(names.includes(avroName) ? `${avroName}_${id}` : avroName);
  }
  return names;
}

const ASCII_LETTER = /^[A-Za-z_]$/;
const UNICODE_LETTER = /^[\p{L}_]$/u;

/**
 * Makes a name that Avro allows, as Iceberg's `AvroSchemaUtil.makeCompatibleName` does. That one
 * keeps the letters of all alphabets, which Avro's specification does not allow, so we write
 * `_x17C` for `ż`. Readers find the field by its id.
 */
function makeAvroName(name: string, letter = ASCII_LETTER): string {
  let made = "";
  for (let i = 0; i < name.length; i++) {
    const character = name.charAt(i);
    const isDigit = /\d/.test(character);
    if (letter.test(character) || (isDigit && i > 0)) made += character;
    else if (isDigit) made += `_${character}`;
    else made += `_x${name.charCodeAt(i).toString(16).toUpperCase()}`;
  }
  return made;
}
