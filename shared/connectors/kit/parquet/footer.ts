import type { ByteSource } from "../../../arrow/ipc/source.ts";
import { quoted } from "../column-names.ts";
import { MalformedFileError } from "../malformed.ts";
import { type Annotation, annotationOf } from "./annotation.ts";
import { ThriftReader, type ThriftStruct } from "./thrift.ts";
import { notSupported } from "./unsupported.ts";

const PHYSICAL_TYPES = [
  "BOOLEAN",
  "INT32",
  "INT64",
  "INT96",
  "FLOAT",
  "DOUBLE",
  "BYTE_ARRAY",
  "FIXED_LEN_BYTE_ARRAY",
] as const;

/** How Parquet stores the values of a column. */
export type PhysicalType = (typeof PHYSICAL_TYPES)[number];

const REPETITIONS = ["REQUIRED", "OPTIONAL", "REPEATED"] as const;

/** One entry of the file's schema: a column, or a group of columns. */
export interface SchemaElement {
  readonly name: string;
  readonly repetition: (typeof REPETITIONS)[number];
  /** `undefined` for a group. */
  readonly type: PhysicalType | undefined;
  /** Bytes of a value of `FIXED_LEN_BYTE_ARRAY`. */
  readonly typeLength: number;
  readonly children: number;
  readonly annotation: Annotation | undefined;
  /** The id that a table format, such as Iceberg, gave the field. */
  readonly fieldId: number | undefined;
}

/** The place of one column's pages in one row group. */
export interface ColumnChunk {
  readonly type: PhysicalType;
  readonly path: readonly string[];
  readonly codec: number;
  /** Number of values, with nulls and with an entry for each empty list. */
  readonly values: number;
  readonly start: number;
  readonly end: number;
}

/** A column that cannot be read. It is an error only if the column is needed. */
export interface UnreadableChunk {
  /** What cannot be read, as the end of a sentence about the column. */
  readonly problem: string;
}

export interface RowGroup {
  readonly rows: number;
  readonly columns: readonly (ColumnChunk | UnreadableChunk)[];
}

/** What the end of a Parquet file says about its content. */
export interface Footer {
  /** The schema as a tree in depth-first order. The first element is the root. */
  readonly schema: readonly SchemaElement[];
  readonly rowGroups: readonly RowGroup[];
  /** Where the footer begins, and the pages end. */
  readonly start: number;
}

const MAGIC = "PAR1";
const ENCRYPTED_MAGIC = "PARE";
/** Bytes before the first page. */
export const MAGIC_BYTES = 4;
/** The length of the footer and the magic bytes. */
const TAIL_BYTES = 8;
/** Bytes that are read at the end of the file. Most footers are shorter. */
const TAIL_READ_BYTES = 512 * 1024;

/** Reads and checks the footer. Errors: `MalformedFileError`, `FILE_FEATURE_NOT_SUPPORTED`. */
export async function readFooter(file: ByteSource): Promise<Footer> {
  if (file.size < MAGIC_BYTES + TAIL_BYTES) throw new MalformedFileError("it is too short");
  const tailStart = Math.max(0, file.size - TAIL_READ_BYTES);
  const tail = await file.range(tailStart, file.size);
  const magic = Buffer.from(tail.subarray(-MAGIC_BYTES)).toString("latin1");
  if (magic === ENCRYPTED_MAGIC)
    throw notSupported("the file is encrypted", "Write the file again without encryption.");
  if (magic !== MAGIC) throw new MalformedFileError(`it does not end with ${MAGIC}`);
  const length = new DataView(tail.buffer, tail.byteOffset + tail.length - TAIL_BYTES).getUint32(0, true);
  const start = file.size - TAIL_BYTES - length;
  if (start < MAGIC_BYTES) throw new MalformedFileError(`its footer has ${length} bytes, more than the file`);
  const bytes =
    start >= tailStart ? tail.subarray(start - tailStart) : await file.range(start, file.size - TAIL_BYTES);
  return footerOf(new ThriftReader(bytes.subarray(0, length), 0, "footer").struct(), start);
}

function footerOf(struct: ThriftStruct, start: number): Footer {
  const schema = struct.required(struct.structs(2, "schema"), "schema").map(elementOf);
  const rows = struct.required(struct.size(3, "number of rows"), "number of rows");
  const rowGroups = struct
    .required(struct.structs(4, "list of row groups"), "list of row groups")
    .map(rowGroupOf);
  const sum = rowGroups.reduce((total, group) => total + group.rows, 0);
  // Some writers leave the sum at 0. Each row group's own number is checked against its columns.
  if (sum !== rows && rows !== 0)
    throw new MalformedFileError(
      `the footer is damaged: it has ${rows} rows, and its row groups have ${sum}`,
    );
  return { schema, rowGroups, start };
}

function elementOf(struct: ThriftStruct): SchemaElement {
  const type = struct.integer(1, "type");
  const name = textOf(struct.required(struct.bytes(4, "column name"), "column name"));
  return {
    name,
    // The root may lack it.
    repetition: memberOf(REPETITIONS, struct.integer(3, "repetition") ?? 0, `repetition of "${name}"`),
    type: type === undefined ? undefined : memberOf(PHYSICAL_TYPES, type, `type of column "${name}"`),
    typeLength: struct.size(2, "type length") ?? 0,
    children: struct.size(5, "number of children") ?? 0,
    annotation: annotationOf(struct),
    fieldId: struct.integer(9, `field id of "${name}"`),
  };
}

function rowGroupOf(struct: ThriftStruct, index: number): RowGroup {
  const columns = struct.required(struct.structs(1, "list of columns"), "list of columns");
  return {
    rows: struct.required(struct.size(3, "number of rows"), "number of rows"),
    columns: columns.map((column) => chunkOf(column, index)),
  };
}

function chunkOf(struct: ThriftStruct, group: number): ColumnChunk | UnreadableChunk {
  if (struct.has(1)) return { problem: "is in another file" };
  if (struct.has(8)) return { problem: "is encrypted" };
  const meta = struct.required(struct.struct(3, "column metadata"), "column metadata");
  const path = meta.required(meta.texts(3, "column path"), "column path").map(textOf);
  const place = `column ${quoted([path.join(".")])} in row group ${group + 1}`;
  const size = meta.required(meta.size(7, `size of ${place}`), `size of ${place}`);
  const dataStart = meta.required(meta.size(9, `offset of ${place}`), `offset of ${place}`);
  const dictionaryStart = meta.size(11, `dictionary offset of ${place}`) ?? 0;
  // Some writers set the dictionary's offset to 0, or behind the data, if there is none.
  const start = dictionaryStart > 0 && dictionaryStart < dataStart ? dictionaryStart : dataStart;
  return {
    type: memberOf(PHYSICAL_TYPES, meta.required(meta.integer(1, "type"), "type"), `type of ${place}`),
    path,
    codec: meta.required(meta.integer(4, `codec of ${place}`), `codec of ${place}`),
    values: meta.required(meta.size(5, `number of values of ${place}`), `number of values of ${place}`),
    start,
    end: start + size,
  };
}

// `ignoreBOM` keeps a byte order mark, which is part of the name.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function textOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new MalformedFileError("the footer is damaged: a column name is not UTF-8");
  }
}

function memberOf<T>(members: readonly T[], index: number, what: string): T {
  const member = members[index];
  if (member === undefined) throw new MalformedFileError(`the footer is damaged: the ${what} is ${index}`);
  return member;
}
