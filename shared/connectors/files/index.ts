import type { Schema } from "apache-arrow";
import { DataSourceReader } from "../../contract/batch-reader.ts";
import type { TaskContext } from "../../contract/context.ts";
import { DataSource } from "../../contract/data-source.ts";
import type { ObjectInfo } from "../../contract/object-store.ts";
import type { OptionsSchema } from "../../contract/options/parse.ts";
import type { DataSourceStreamReader, RowSource } from "../../contract/stream-reader.ts";
import type { RecordContent } from "./bad-record.ts";
import { checkEpoch } from "./epoch.ts";
import { byTime, type FileGroup, listFiles, partitionsOf } from "./folder.ts";
import { type FilesOptions, OPTIONS, type ParsedOptions } from "./options.ts";
import { inferSchema, readFiles, readRecordsAgain } from "./read.ts";
import { sampleRecords } from "./sample.ts";
import { KeyOrderReader, TimeOrderReader } from "./stream-reader.ts";

export type { EpochUnit } from "../kit/epoch.ts";
export type { EpochOption } from "./epoch.ts";
export type { FilesOptions } from "./options.ts";

/**
 * Files in a folder or below an S3 prefix as a source: CSV, JSON lines, Arrow or Parquet. A stream
 * reads each new file once. Guide: docs/files.md. Error: `OPTIONS_INVALID`.
 */
export class Files extends DataSource<ParsedOptions> {
  /** The name for `.format("files")` once the class is registered. */
  static override readonly name: string = "files";
  /** The schema that validates `FilesOptions`. */
  static readonly optionsSchema = OPTIONS as OptionsSchema<FilesOptions, ParsedOptions>;

  /** Returns the schema of the first Arrow or Parquet file by name. Error: `SCHEMA_REQUIRED`. */
  override async schema(): Promise<Schema> {
    const { options, runtime } = this;
    return await inferSchema({ store: runtime.openStore(options.path), options });
  }

  /** Returns the records of CSV files and JSON lines. Other formats have a schema. */
  override sample(): AsyncIterable<object> | undefined {
    const { options, runtime } = this;
    const hasSchema = options.format === "arrow" || options.format === "parquet";
    return hasSchema ? undefined : sampleRecords({ store: runtime.openStore(options.path), options });
  }

  /** Returns a batch reader of all files. */
  override reader(schema: Schema): DataSourceReader<FileGroup> {
    checkEpoch(this.options.epoch, schema);
    return new AllFilesReader(this, schema);
  }

  /** Returns a stream reader of the files that were not read yet. */
  override streamReader(schema: Schema): DataSourceStreamReader<object, unknown> {
    const { options, runtime } = this;
    checkEpoch(options.epoch, schema);
    return options.order === "key"
      ? new KeyOrderReader(schema, options, runtime)
      : new TimeOrderReader(schema, options, runtime);
  }
}

/** Reads all files that exist when the batch is planned. */
class AllFilesReader extends DataSourceReader<FileGroup> {
  readonly #source: Files;
  readonly #schema: Schema;

  constructor(source: Files, schema: Schema) {
    super();
    this.#source = source;
    this.#schema = schema;
  }

  override async partitions(): Promise<FileGroup[]> {
    const { options, runtime } = this.#source;
    const store = runtime.openStore(options.path);
    const files: ObjectInfo[] = await Array.fromAsync(listFiles({ store, options, schema: this.#schema }));
    return partitionsOf(files.sort(byTime), options);
  }

  override read(partition: FileGroup, task: TaskContext): RowSource {
    const { options, runtime } = this.#source;
    return readFiles(runtime.openStore(options.path), this.#schema, options, partition, task);
  }

  readBadRows(contents: readonly RecordContent[], { badRows }: TaskContext): RowSource {
    return readRecordsAgain(this.#schema, this.#source.options, contents, badRows);
  }
}
