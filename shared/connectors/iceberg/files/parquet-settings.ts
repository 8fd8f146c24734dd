import { type Data, DataType, type RecordBatch } from "apache-arrow";
import { valueKeys } from "../../../arrow/value-keys.ts";
import { propertyInvalid } from "./metrics-modes.ts";
import type * as ParquetWasm from "./parquet-wasm.ts";

/** The package parquet-wasm, loaded. */
export type Wasm = typeof ParquetWasm;

/** A codec of Parquet's pages that this package writes. */
export type ParquetCodec = "zstd" | "snappy" | "gzip" | "uncompressed";

const CODEC = "write.parquet.compression-codec";
const TARGET = "write.target-file-size-bytes";
const DEFAULT_TARGET_BYTES = 128 * 1024 * 1024;

/** What a table's properties say about its data files. */
export interface FileSettings {
  readonly codec: ParquetCodec;
  /** A file that has reached this size is closed. */
  readonly targetFileBytes: number;
}

/** Returns the settings of a table's data files. Throws `TABLE_PROPERTY_INVALID`. */
export function fileSettings(properties: Readonly<Record<string, string>>): FileSettings {
  const codec = (properties[CODEC] ?? "zstd").toLowerCase();
  const known = (["zstd", "snappy", "gzip", "uncompressed"] as const).find((name) => name === codec);
  if (known === undefined) throw propertyInvalid(CODEC, codec, "zstd, snappy, gzip or uncompressed");
  const target = properties[TARGET] ?? String(DEFAULT_TARGET_BYTES);
  if (!/^[1-9]\d{0,14}$/.test(target)) throw propertyInvalid(TARGET, target, "a number of bytes");
  return { codec: known, targetFileBytes: Number(target) };
}

const CODECS = {
  zstd: "ZSTD",
  snappy: "SNAPPY",
  gzip: "GZIP",
  uncompressed: "UNCOMPRESSED",
} as const satisfies Readonly<Record<ParquetCodec, keyof Wasm["Compression"]>>;

/** The size of a row group: whichever limit is reached first ends it. */
export interface RowGroupLimits {
  readonly rows: number;
  readonly bytes: number;
}

/** Columns for which a dictionary is used, by name, because their values repeat. */
export interface Dictionaries {
  readonly columns: ReadonlyMap<string, boolean>;
  /** The writer knows columns inside others by no name, so one answer holds for all of them. */
  readonly inside: boolean;
}

/** Returns the writer's properties for one file. */
export function writerProperties(
  wasm: Wasm,
  codec: ParquetCodec,
  limits: RowGroupLimits,
  dictionaries: Dictionaries,
): ParquetWasm.WriterProperties {
  let builder = new wasm.WriterPropertiesBuilder()
    .setCompression(wasm.Compression[CODECS[codec]])
    .setMaxRowGroupSize(limits.rows)
    .setMaxRowGroupBytes(limits.bytes)
    .setDictionaryEnabled(dictionaries.inside);
  for (const [name, isUsed] of dictionaries.columns) {
    builder = builder.setColumnDictionaryEnabled(name, isUsed);
  }
  return builder.build();
}

/** Rows that are looked at. */
const SAMPLE_ROWS = 4096;
/**
 * A dictionary is used if there are at least this many rows for each distinct value. With fewer,
 * zstd alone makes smaller files in less time.
 */
const ROWS_PER_VALUE = 16;
/** A dictionary of values with more bytes soon exceeds the writer's limit for dictionaries. */
const MOST_VALUE_BYTES = 256;

/**
 * Decides from a file's first rows for which columns a dictionary is used. On columns whose values
 * do not repeat it costs time and, in small row groups, space.
 */
export function dictionariesFor(sample: readonly RecordBatch[]): Dictionaries {
  const columns = new Map<string, boolean>();
  const inner: boolean[] = [];
  for (const [i, { name, type }] of (sample[0]?.schema.fields ?? []).entries()) {
    const data = sample.map((batch) => batch.data.children[i] as Data);
    if (type.children?.length > 0) inner.push(...leavesOf(data).map(isRepeating));
    else columns.set(name, isRepeating(data));
  }
  return { columns, inside: inner.filter(Boolean).length * 2 > inner.length };
}

/** Returns the chunks of each leaf of a nested column. */
function leavesOf(chunks: readonly Data[]): readonly (readonly Data[])[] {
  const count = chunks[0]?.children.length ?? 0;
  if (count === 0) return [chunks];
  return Array.from({ length: count }, (_, i) =>
    leavesOf(chunks.map(({ children }) => children[i] as Data)),
  ).flat();
}

function isRepeating(chunks: readonly Data[]): boolean {
  if (DataType.isBool(chunks[0]?.type)) return false;
  const seen = new Set<string>();
  let rows = 0;
  for (const chunk of chunks) {
    if (bytesIn(chunk) > chunk.length * MOST_VALUE_BYTES) return false;
    const keyAt = valueKeys(chunk);
    const end = Math.min(chunk.length, SAMPLE_ROWS - rows);
    for (let row = 0; row < end; row++) seen.add(keyAt(row));
    rows += end;
  }
  return rows > 0 && seen.size * ROWS_PER_VALUE <= rows;
}

/** Returns the bytes of text or binary values, and 0 for values of other types. */
function bytesIn({ valueOffsets, length }: Data): number {
  return length === 0 || valueOffsets === undefined
    ? 0
    : Number(valueOffsets[length]) - Number(valueOffsets[0]);
}
