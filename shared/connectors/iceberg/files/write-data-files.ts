import type { RecordBatch, Schema } from "apache-arrow";
import { splitBatch } from "../../../arrow/split.ts";
import type { FileIo } from "../file-io.ts";
import { arrowSchemaOf } from "../format/arrow-schema.ts";
import { type PartitionType, partitionTypes } from "../format/partition-spec.ts";
import type { DataFile, IcebergSchema, PartitionSpec } from "../format/types.ts";
import { metricsOf } from "./metrics.ts";
import { type MetricsMode, metricsModes } from "./metrics-modes.ts";
import { loadParquetWriter, ParquetFile } from "./parquet-file.ts";
import {
  type Dictionaries,
  dictionariesFor,
  fileSettings,
  type ParquetCodec,
  type RowGroupLimits,
  type Wasm,
  writerProperties,
} from "./parquet-settings.ts";
import { partitionFolder } from "./partition-folder.ts";
import { Partitioner } from "./partition-rows.ts";
import { RowBuffer } from "./row-buffer.ts";

/** What data files are written with. */
export interface DataFileOptions {
  /** The columns of the files. Record batches must have the Arrow schema of it. */
  readonly schema: IcebergSchema;
  /** The partition spec, whose fields have columns of `schema` as sources. */
  readonly spec: PartitionSpec;
  readonly io: FileIo;
  /**
   * Returns the location of the file with this number, from 0. `folder` is empty, or ends with a
   * slash, and says the partition to people.
   */
  readonly locationOf: (file: number, folder: string) => string;
  /** The table's properties. They say codec, file size and metrics. */
  readonly properties?: Readonly<Record<string, string>>;
  /** A file that has reached this size is closed. It replaces the table's property. */
  readonly targetFileBytes?: number;
  /** Rows of a row group. The default of 131,072 keeps a writer below about 100 MB. */
  readonly rowGroupRows?: number;
  /** Bytes of rows that wait for a file, over all partitions. */
  readonly bufferBytes?: number;
  /** Files that are open at the same time. */
  readonly openFiles?: number;
  readonly signal?: AbortSignal;
}

const ROW_GROUP_ROWS = 131_072;
/** Encoded bytes of a row group, which the writer holds until the row group ends. */
const ROW_GROUP_BYTES = 32 * 1024 * 1024;
/** The same for a table with partitions, of which many files are open. */
const SMALL_ROW_GROUP_BYTES = 8 * 1024 * 1024;
const BUFFER_BYTES = 64 * 1024 * 1024;
const OPEN_FILES = 32;
/** Rows of a partition wait until they have this size. */
const FLUSH_BYTES = 1024 * 1024;
/** Rows are handed to the writer in pieces of about this size at most. */
const PIECE_BYTES = 4 * 1024 * 1024;

/**
 * Writes rows as Parquet data files, one partition value a file, and returns what manifests say of
 * them. After an error, the files are deleted. Errors: `DEPENDENCY_MISSING`, `PARQUET_NOT_WRITTEN`,
 * `ROW_MISMATCH`, `STORE_FAILED`, `TABLE_PROPERTY_INVALID`.
 */
export async function writeDataFiles(
  batches: AsyncIterable<RecordBatch> | Iterable<RecordBatch>,
  options: DataFileOptions,
): Promise<readonly DataFile[]> {
  const writer = await openDataFiles(options);
  try {
    for await (const batch of batches) await writer.write(batch);
    return await writer.close();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** Returns a writer of data files that takes rows batch by batch. See `writeDataFiles`. */
export async function openDataFiles(options: DataFileOptions): Promise<DataFileWriter> {
  return new DataFileWriter(await loadParquetWriter(), options);
}

/** The rows of a partition that wait for a file, and its file if one is open. */
interface Partition {
  readonly number: number;
  readonly waiting: RowBuffer;
  file: ParquetFile | undefined;
}

/**
 * Writes data files of many partitions at once in bounded memory: at most `bufferBytes` of rows
 * wait, and at most `openFiles` files are open, of which each holds one row group. If more rows
 * come, those of the partition with most of them are written, and if no file can be opened, the
 * one that was written to least recently is closed. So rows that alternate between very many
 * partitions make files of about 2 × `bufferBytes` / partitions.
 */
export class DataFileWriter {
  readonly #wasm: Wasm;
  readonly #options: DataFileOptions;
  readonly #arrow: Schema;
  readonly #types: readonly PartitionType[];
  readonly #modes: ReadonlyMap<number, MetricsMode>;
  readonly #codec: ParquetCodec;
  readonly #targetBytes: number;
  readonly #flushBytes: number;
  readonly #partitioner: Partitioner;
  readonly #partitions = new Map<number, Partition>();
  /** Partitions with an open file, the one that was written to least recently first. */
  readonly #open = new Set<Partition>();
  readonly #files: DataFile[] = [];
  /** Decided from the first rows of the first file. */
  #dictionaries: Dictionaries | undefined;
  #opened = 0;
  #rows = 0;
  #waitingBytes = 0;

  constructor(wasm: Wasm, options: DataFileOptions) {
    const { schema, spec, properties = {} } = options;
    const settings = fileSettings(properties);
    this.#wasm = wasm;
    this.#options = options;
    this.#arrow = arrowSchemaOf(schema);
    this.#types = partitionTypes(spec, schema);
    this.#modes = metricsModes(schema, properties);
    this.#codec = settings.codec;
    this.#targetBytes = options.targetFileBytes ?? settings.targetFileBytes;
    this.#flushBytes = Math.min(FLUSH_BYTES, this.#targetBytes);
    this.#partitioner = new Partitioner(schema, spec);
  }

  /** Writes rows in canonical form, or keeps them until there are more. */
  async write(batch: RecordBatch): Promise<void> {
    this.#options.signal?.throwIfAborted();
    if (batch.numRows === 0) return;
    for (const { partition, rows } of this.#partitioner.divide(batch, this.#rows)) {
      const place = this.#placeOf(partition);
      this.#waitingBytes += place.waiting.add(rows);
      if (place.waiting.bytes >= this.#flushBytes && this.#canWrite(place)) await this.#flush(place);
    }
    this.#rows += batch.numRows;
    const limit = this.#options.bufferBytes ?? BUFFER_BYTES;
    while (this.#waitingBytes > limit) await this.#flush(this.#largest());
  }

  /** Ends all files, and returns them in the order in which they were ended. */
  async close(): Promise<readonly DataFile[]> {
    for (const place of this.#partitions.values()) {
      if (!place.waiting.isEmpty) await this.#flush(place);
    }
    for (const place of [...this.#open]) await this.#closeFile(place);
    this.#options.signal?.throwIfAborted();
    return this.#files;
  }

  /** Deletes all files. They are in no commit message yet, so this is safe. */
  async abort(): Promise<void> {
    const written = this.#files.map(({ filePath }) => filePath);
    for (const { file } of this.#open) {
      if (file !== undefined && (await file.abort())) written.push(file.location);
    }
    this.#open.clear();
    this.#partitions.clear();
    // What cannot be deleted here is left to `millrace vacuum`.
    await this.#options.io.delete(written).catch(() => undefined);
  }

  #placeOf(number: number): Partition {
    const known = this.#partitions.get(number);
    if (known !== undefined) return known;
    const place = { number, waiting: new RowBuffer(), file: undefined };
    this.#partitions.set(number, place);
    return place;
  }

  #canWrite({ file }: Partition): boolean {
    return file !== undefined || this.#open.size < (this.#options.openFiles ?? OPEN_FILES);
  }

  #largest(): Partition {
    let largest: Partition | undefined;
    for (const place of this.#partitions.values()) {
      if (place.waiting.bytes > (largest?.waiting.bytes ?? -1)) largest = place;
    }
    return largest as Partition;
  }

  /** Writes the waiting rows of a partition to its file. */
  async #flush(place: Partition): Promise<void> {
    this.#waitingBytes -= place.waiting.bytes;
    const rows = place.waiting.take();
    const file = place.file ?? (await this.#openFile(place, rows));
    this.#open.delete(place);
    this.#open.add(place);
    for (const piece of piecesOf(this.#arrow, rows)) {
      await file.write(this.#arrow, piece);
      this.#options.signal?.throwIfAborted();
    }
    if (file.bytes >= this.#targetBytes) await this.#closeFile(place);
  }

  async #openFile(place: Partition, sample: readonly RecordBatch[]): Promise<ParquetFile> {
    const [oldest] = this.#open;
    if (oldest !== undefined && !this.#canWrite(place)) await this.#closeFile(oldest);
    const folder = partitionFolder(this.#options.spec, this.#types, this.#partitioner.tupleOf(place.number));
    const location = this.#options.locationOf(this.#opened++, folder);
    this.#dictionaries ??= dictionariesFor(sample);
    const properties = writerProperties(this.#wasm, this.#codec, this.#limits(), this.#dictionaries);
    place.file = new ParquetFile(this.#wasm, properties, this.#options.io, location);
    this.#open.add(place);
    return place.file;
  }

  #limits(): RowGroupLimits {
    const most = this.#types.length === 0 ? ROW_GROUP_BYTES : SMALL_ROW_GROUP_BYTES;
    return {
      rows: this.#options.rowGroupRows ?? ROW_GROUP_ROWS,
      bytes: Math.min(most, this.#targetBytes),
    };
  }

  async #closeFile(place: Partition): Promise<void> {
    const { location, rows, bytes, rowGroups } = await (place.file as ParquetFile).close();
    place.file = undefined;
    this.#open.delete(place);
    this.#files.push({
      content: 0,
      filePath: location,
      fileFormat: "PARQUET",
      partition: this.#partitioner.tupleOf(place.number),
      recordCount: rows,
      fileSizeInBytes: bytes,
      ...metricsOf(rowGroups, this.#options.schema, this.#modes),
    });
  }
}

/** Yields groups of record batches of about `PIECE_BYTES`. Larger batches are split. */
function* piecesOf(schema: Schema, batches: readonly RecordBatch[]): Generator<RecordBatch[]> {
  let piece: RecordBatch[] = [];
  let bytes = 0;
  for (const batch of batches) {
    for (const part of splitBatch(schema, batch, PIECE_BYTES)) {
      piece.push(part);
      bytes += part.data.byteLength;
      if (bytes < PIECE_BYTES) continue;
      yield piece;
      piece = [];
      bytes = 0;
    }
  }
  if (piece.length > 0) yield piece;
}
