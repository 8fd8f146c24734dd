import { ThriftReader, type ThriftStruct } from "../../kit/parquet/thrift.ts";

/** Bytes after the footer: its length, and the file's mark. */
const END_BYTES = 8;

/** What a footer says about a column in one row group. */
export interface ChunkStatistics {
  readonly fieldId: number;
  /** The number of Parquet's physical type. */
  readonly physicalType: number;
  readonly bytes: number;
  readonly values: number;
  readonly nulls: number | undefined;
  /** Raw bytes of the least and greatest value, if both are known. */
  readonly bounds: { readonly min: Uint8Array; readonly max: Uint8Array } | undefined;
}

export interface RowGroupStatistics {
  readonly rows: number;
  /** Where the row group begins in the file. */
  readonly offset: number;
  readonly columns: readonly ChunkStatistics[];
}

/**
 * Reads the statistics in the footer of a Parquet file that this package wrote. `tail` is the end
 * of the file. Returns `undefined` if it does not have the whole footer. Statistics are raw bytes,
 * because a decimal or a long loses digits as a JavaScript number. Error: `MalformedFileError`.
 */
export function footerStatistics(tail: Uint8Array): readonly RowGroupStatistics[] | undefined {
  if (tail.length < END_BYTES) return undefined;
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
  const start = tail.length - END_BYTES - view.getUint32(tail.length - END_BYTES, true);
  if (start < 0) return undefined;
  const footer = new ThriftReader(tail.subarray(0, tail.length - END_BYTES), start, "footer").struct();
  const leaves = required(footer, footer.structs(2, "schema"), "schema").filter(
    (element) => (element.size(5, "number of children") ?? 0) === 0,
  );
  return required(footer, footer.structs(4, "list of row groups"), "list of row groups").map((group) =>
    rowGroupOf(group, leaves),
  );
}

function required<T>(struct: ThriftStruct, value: T | undefined, field: string): T {
  return struct.required(value, field);
}

function rowGroupOf(group: ThriftStruct, leaves: readonly ThriftStruct[]): RowGroupStatistics {
  const chunks = required(group, group.structs(1, "list of columns"), "list of columns").map((chunk) =>
    required(chunk, chunk.struct(3, "column metadata"), "column metadata"),
  );
  const first = required(group, chunks[0], "list of columns");
  const data = required(first, first.size(9, "data page offset"), "data page offset");
  return {
    rows: required(group, group.size(3, "number of rows"), "number of rows"),
    offset: first.size(11, "dictionary page offset") ?? data,
    columns: chunks.map((chunk, i) => chunkOf(chunk, required(group, leaves[i], "list of columns"))),
  };
}

function chunkOf(chunk: ThriftStruct, leaf: ThriftStruct): ChunkStatistics {
  const statistics = chunk.struct(12, "statistics");
  const min = statistics?.bytes(6, "least value");
  const max = statistics?.bytes(5, "greatest value");
  return {
    fieldId: required(leaf, leaf.integer(9, "field id"), "field id"),
    physicalType: required(chunk, chunk.integer(1, "type"), "type"),
    bytes: required(chunk, chunk.size(7, "size"), "size"),
    values: required(chunk, chunk.size(5, "number of values"), "number of values"),
    nulls: statistics?.size(3, "number of nulls"),
    bounds: min === undefined || max === undefined ? undefined : { min, max },
  };
}
