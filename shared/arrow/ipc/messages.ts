import { FlatTable, safeInt64 } from "./flatbuffer.ts";
import { ArrowFormatError } from "./format-error.ts";
import { metadataOf } from "./schema-message.ts";

export interface FieldNode {
  readonly length: number;
  readonly nullCount: number;
}

/** The position of a buffer within the body of its message. */
export interface BufferRegion {
  readonly offset: number;
  readonly length: number;
}

/** Compression codecs of the format. The numbers are the format's. */
export const CODEC = { LZ4_FRAME: 0, ZSTD: 1 } as const;

/** The columns of a record batch or of a dictionary: their lengths and their buffers. */
export interface BatchHeader {
  readonly length: number;
  readonly nodes: readonly FieldNode[];
  readonly buffers: readonly BufferRegion[];
  /** The number of the compression codec, or `undefined` if the buffers are not compressed. */
  readonly codec: number | undefined;
  readonly variadicCounts: readonly number[];
}

interface MessageFields {
  readonly bodyLength: number;
  /** True for metadata before version 5, in which unions have a validity bitmap. */
  readonly isBeforeV5: boolean;
}

export type Message = MessageFields &
  (
    | { readonly kind: "schema"; readonly schema: FlatTable }
    | {
        readonly kind: "dictionary";
        readonly id: number;
        readonly isDelta: boolean;
        readonly batch: BatchHeader;
      }
    | { readonly kind: "batch"; readonly batch: BatchHeader; readonly metadata: Map<string, string> }
  );

const V4 = 3;
const V5 = 4;

/** Decodes the metadata of a message. Error: `ArrowFormatError`. */
export function decodeMessage(bytes: Uint8Array): Message {
  return checked(() => {
    const table = FlatTable.root(bytes);
    const version = checkVersion(table);
    const bodyLength = table.int64(3);
    const header = table.table(2);
    if (header === undefined || bodyLength < 0) throw new ArrowFormatError("a message has no header");
    const fields = { bodyLength, isBeforeV5: version < V5 };
    switch (table.uint8(1)) {
      case 1:
        return { ...fields, kind: "schema", schema: header };
      case 2: {
        const batch = header.table(1);
        if (batch === undefined) throw new ArrowFormatError("a dictionary has no values");
        const [id, isDelta] = [header.int64(0), header.bool(2)];
        return { ...fields, kind: "dictionary", id, isDelta, batch: batchHeader(batch) };
      }
      case 3:
        return { ...fields, kind: "batch", batch: batchHeader(header), metadata: metadataOf(table, 4) };
      default:
        throw new ArrowFormatError(`a message is of the kind ${table.uint8(1)}, which is no table's`);
    }
  });
}

/** The metadata at the end of an Arrow file. */
export interface Footer {
  readonly schema: FlatTable;
  readonly dictionaries: readonly Block[];
  readonly batches: readonly Block[];
}

/** The position of a message within an Arrow file. */
export interface Block {
  readonly offset: number;
  readonly metadataLength: number;
  readonly bodyLength: number;
}

/** Decodes the footer of a file. Error: `ArrowFormatError`. */
export function decodeFooter(bytes: Uint8Array): Footer {
  return checked(() => {
    const table = FlatTable.root(bytes);
    const schema = table.table(1);
    if (schema === undefined) throw new ArrowFormatError("its footer has no schema");
    return { schema, dictionaries: blocksOf(table, 2), batches: blocksOf(table, 3) };
  });
}

/** Calls `body`, and turns any error of reading outside of a buffer into `ArrowFormatError`. */
export function checked<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
    throw new ArrowFormatError("its metadata is damaged", { cause: error });
  }
}

function checkVersion(table: FlatTable): number {
  const version = table.int16(0);
  if (version === V4 || version === V5) return version;
  throw new ArrowFormatError(`its metadata has the version ${version + 1}; versions 4 and 5 can be read`);
}

function blocksOf(table: FlatTable, field: number): Block[] {
  const { view, start, length } = table.structs(field, 24);
  return Array.from({ length }, (_, i) => ({
    offset: safeInt64(view, start + 24 * i),
    metadataLength: view.getInt32(start + 24 * i + 8, true),
    bodyLength: safeInt64(view, start + 24 * i + 16),
  }));
}

function batchHeader(table: FlatTable): BatchHeader {
  const nodes = table.structs(1, 16);
  const buffers = table.structs(2, 16);
  const compression = table.table(3);
  if (compression !== undefined && compression.uint8(1) !== 0)
    throw new ArrowFormatError("it is compressed by another method than buffer by buffer");
  return {
    length: table.int64(0),
    nodes: Array.from({ length: nodes.length }, (_, i) => ({
      length: safeInt64(nodes.view, nodes.start + 16 * i),
      nullCount: safeInt64(nodes.view, nodes.start + 16 * i + 8),
    })),
    buffers: Array.from({ length: buffers.length }, (_, i) => ({
      offset: safeInt64(buffers.view, buffers.start + 16 * i),
      length: safeInt64(buffers.view, buffers.start + 16 * i + 8),
    })),
    codec: compression?.uint8(0),
    variadicCounts: table.int64s(4),
  };
}
