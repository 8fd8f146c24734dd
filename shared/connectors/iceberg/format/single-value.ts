import { MillraceError } from "../../../contract/errors.ts";
import { primitiveOf } from "./primitive.ts";
import type { IcebergValue, PrimitiveType } from "./types.ts";

/** Encodes a value as Iceberg's bounds and partition summaries do. */
export function encodeValue(type: PrimitiveType, value: IcebergValue): Uint8Array {
  switch (primitiveOf(type).kind) {
    case "boolean":
      return Uint8Array.of(value === true ? 1 : 0);
    case "int":
    case "date":
      return fixedBytes(4, (view) => view.setInt32(0, Number(value), true));
    case "long":
    case "time":
    case "timestamp":
    case "timestamptz":
      return fixedBytes(8, (view) => view.setBigInt64(0, BigInt(value as bigint), true));
    case "float":
      return fixedBytes(4, (view) => view.setFloat32(0, Number(value), true));
    case "double":
      return fixedBytes(8, (view) => view.setFloat64(0, Number(value), true));
    case "string":
      return new TextEncoder().encode(String(value));
    case "decimal":
      return fewestBytes(BigInt(value as bigint));
    case "uuid":
    case "fixed":
    case "binary":
      return value as Uint8Array;
  }
}

function fixedBytes(length: number, set: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(length);
  set(new DataView(bytes.buffer));
  return bytes;
}

/** Returns an integer in two's complement, highest byte first, with as few bytes as possible. */
export function fewestBytes(value: bigint): Uint8Array {
  const bits = (value < 0n ? ~value : value).toString(2).length;
  // Zero has one bit in this form, but needs none besides the sign.
  const length = value === 0n || value === -1n ? 1 : Math.floor(bits / 8) + 1;
  const hex = BigInt.asUintN(8 * length, value)
    .toString(16)
    .padStart(2 * length, "0");
  return new Uint8Array(Buffer.from(hex, "hex"));
}

/**
 * Decodes a value that `encodeValue`, or another program, encoded. Bytes that were written before
 * the column was widened, from `int` to `long` or from `float` to `double`, are decoded too. Throws
 * `BOUND_MALFORMED`.
 */
export function decodeValue(type: PrimitiveType, bytes: Uint8Array): IcebergValue {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const primitive = primitiveOf(type);
  const isNarrow = bytes.length === 4;
  switch (primitive.kind) {
    case "boolean":
      return sized(type, bytes, 1) && bytes[0] !== 0;
    case "int":
    case "date":
      return sized(type, bytes, 4) && view.getInt32(0, true);
    case "long":
      if (isNarrow) return BigInt(view.getInt32(0, true));
      return sized(type, bytes, 8) && view.getBigInt64(0, true);
    case "time":
    case "timestamp":
    case "timestamptz":
      return sized(type, bytes, 8) && view.getBigInt64(0, true);
    case "float":
      return sized(type, bytes, 4) && view.getFloat32(0, true);
    case "double":
      if (isNarrow) return view.getFloat32(0, true);
      return sized(type, bytes, 8) && view.getFloat64(0, true);
    case "string":
      return decodedText(type, bytes);
    case "decimal":
      if (bytes.length === 0) throw malformed(type, bytes);
      return BigInt.asIntN(8 * bytes.length, BigInt(`0x${Buffer.from(bytes).toString("hex")}`));
    case "uuid":
      return sized(type, bytes, 16) && bytes;
    case "fixed":
      return sized(type, bytes, primitive.length) && bytes;
    case "binary":
      return bytes;
  }
}

// `ignoreBOM` keeps a byte order mark, which is part of the text.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decodedText(type: PrimitiveType, bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw malformed(type, bytes);
  }
}

function sized(type: PrimitiveType, bytes: Uint8Array, length: number): true {
  if (bytes.length === length) return true;
  throw malformed(type, bytes);
}

function malformed(type: PrimitiveType, bytes: Uint8Array): MillraceError {
  return new MillraceError(
    "BOUND_MALFORMED",
    `a bound of ${bytes.length} bytes is no value of the type ${type}`,
    {
      hint: "A program wrote a damaged manifest. Roll back to a snapshot before it: `millrace table rollback`.",
    },
  );
}

/**
 * Compares two values of a type in Iceberg's order: text and bytes by their bytes without sign, NaN
 * after all numbers, and -0 before 0.
 */
export function compareValues(type: PrimitiveType, a: IcebergValue, b: IcebergValue): number {
  switch (primitiveOf(type).kind) {
    case "string":
      return Math.sign(Buffer.compare(Buffer.from(a as string), Buffer.from(b as string)));
    case "uuid":
    case "fixed":
    case "binary":
      return Math.sign(Buffer.compare(a as Uint8Array, b as Uint8Array));
    case "float":
    case "double":
      return compareFloats(a as number, b as number);
    default:
      return a === b ? 0 : a < b ? -1 : 1;
  }
}

function compareFloats(a: number, b: number): number {
  if (Object.is(a, b)) return 0;
  if (Number.isNaN(a)) return 1;
  if (Number.isNaN(b)) return -1;
  if (a === b) return Object.is(a, -0) ? -1 : 1;
  return a < b ? -1 : 1;
}
