import { crc32 } from "node:zlib";

/** A value in Thrift's compact protocol. A number is an i32, a bigint an i64. */
export type Thrift = number | bigint | string | boolean | readonly Thrift[] | ThriftFields;
/** The fields of a struct, by their numbers in increasing order. */
export interface ThriftFields {
  readonly [id: number]: Thrift | undefined;
}

const I32 = 5;
const I64 = 6;
const BINARY = 8;
const LIST = 9;
const STRUCT = 12;

function typeOf(value: Thrift): number {
  if (typeof value === "boolean") return value ? 1 : 2;
  if (typeof value === "number") return I32;
  if (typeof value === "bigint") return I64;
  if (typeof value === "string") return BINARY;
  return Array.isArray(value) ? LIST : STRUCT;
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
}

function zigzag(value: bigint): bigint {
  return value >= 0n ? value * 2n : -value * 2n - 1n;
}

function encode(value: Thrift): Buffer {
  if (typeof value === "boolean") return Buffer.alloc(0);
  if (typeof value === "number" || typeof value === "bigint") return varint(zigzag(BigInt(value)));
  if (typeof value === "string")
    return Buffer.concat([varint(BigInt(Buffer.byteLength(value))), Buffer.from(value)]);
  if (Array.isArray(value)) {
    const [first] = value;
    const header = Buffer.from([0xf0 | (first === undefined ? STRUCT : typeOf(first))]);
    return Buffer.concat([header, varint(BigInt(value.length)), ...value.map(encode)]);
  }
  return encodeStruct(value as ThriftFields);
}

export function encodeStruct(fields: ThriftFields): Buffer {
  let last = 0;
  const parts = Object.entries(fields).flatMap(([key, value]: [string, Thrift | undefined]) => {
    if (value === undefined) return [];
    const header = Buffer.from([((Number(key) - last) << 4) | typeOf(value)]);
    last = Number(key);
    return [header, encode(value)];
  });
  return Buffer.concat([...parts, Buffer.from([0])]);
}

/** One page, with what its header says instead of the truth. */
export interface MadePage {
  readonly body: Uint8Array;
  /** Default: a data page of the first version, PLAIN, with the column's values. */
  readonly header?: ThriftFields;
  readonly crc?: "right" | "wrong";
}

/** A column of INT64, with what the footer says about it instead of the truth. */
export interface MadeColumn {
  readonly name: string;
  readonly values: readonly bigint[];
  readonly crc?: "right" | "wrong";
  /** Pages in place of the one with the values. */
  readonly pages?: readonly MadePage[];
  /** Fields of the SchemaElement, of the ColumnChunk and of its ColumnMetaData. */
  readonly element?: ThriftFields;
  readonly chunk?: ThriftFields;
  readonly meta?: ThriftFields;
}

/** What the footer says instead of the truth. */
export interface MadeFooter {
  readonly footer?: ThriftFields;
  readonly root?: ThriftFields;
  readonly rowGroup?: ThriftFields;
}

const INT64 = 2;

/** Writes a Parquet file of one row group, which may be as wrong as a test needs it. */
export function madeFile(columns: readonly MadeColumn[], lies: MadeFooter = {}): Buffer {
  const rows = BigInt(columns[0]?.values.length ?? 0);
  const parts: Buffer[] = [Buffer.from("PAR1")];
  const offset = () => BigInt(parts.reduce((sum, { length }) => sum + length, 0));
  const chunks = columns.map((column) => {
    const start = offset();
    parts.push(...(column.pages ?? [plainPage(column)]).map(encodePage));
    const size = offset() - start;
    const count = BigInt(column.values.length);
    const meta = { 1: INT64, 2: [0], 3: [column.name], 4: 0, 5: count, 6: size, 7: size, 9: start };
    return { 2: 0n, 3: { ...meta, ...column.meta }, ...column.chunk };
  });
  const elements = columns.map(({ name, element }) => ({ 1: INT64, 3: 0, 4: name, ...element }));
  const footer = encodeStruct({
    1: 1,
    2: [{ 4: "schema", 5: columns.length, ...lies.root }, ...elements],
    3: rows,
    4: [{ 1: chunks, 2: offset(), 3: rows, ...lies.rowGroup }],
    ...lies.footer,
  });
  const length = Buffer.alloc(4);
  length.writeUInt32LE(footer.length);
  return Buffer.concat([...parts, footer, length, Buffer.from("PAR1")]);
}

function plainPage({ values, crc }: MadeColumn): MadePage {
  const body = new Uint8Array(BigInt64Array.from(values).buffer);
  return {
    body,
    header: { 5: { 1: values.length, 2: 0, 3: 3, 4: 3 } },
    ...(crc === undefined ? {} : { crc }),
  };
}

function encodePage({ body, header, crc }: MadePage): Buffer {
  const checksum = crc32(body) ^ (crc === "wrong" ? 1 : 0);
  const fields = { 1: 0, 2: body.length, 3: body.length, 4: crc === undefined ? undefined : checksum | 0 };
  return Buffer.concat([encodeStruct({ ...fields, ...header }), body]);
}
