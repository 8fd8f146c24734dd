import type { RecordBatch, Schema } from "apache-arrow";
import type { RecordedFile } from "../../arrow/stored-file.ts";
import { withColumns } from "../../arrow/with-columns.ts";
import { DataSourceReader } from "../../contract/batch-reader.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { groupsOf } from "../kit/slices.ts";
import { liveFiles } from "./open-state.ts";
import { readFiles } from "./read.ts";

/** Maximum total size of the data files in one partition. A larger file gets its own partition. */
const PARTITION_BYTES = 64 * 1024 * 1024;

/** Maximum number of data files in one partition, so that its JSON stays small. */
const PARTITION_FILES = 1000;

/**
 * The data files of one partition, with paths relative to the table's folder. Older versions
 * recorded only their paths.
 */
export type TableSlice = { readonly files: readonly RecordedFile[] } | readonly string[];

/**
 * Reads the version of the table that is current when the batch is planned. Later commits are not
 * included.
 */
export class ArrowTableReader extends DataSourceReader<TableSlice> {
  readonly #table: ObjectStore;
  readonly #schema: Schema;

  /** `schema` has the columns that files of older versions of the table may lack. */
  constructor(table: ObjectStore, schema: Schema) {
    super();
    this.#table = table;
    this.#schema = schema;
  }

  override async partitions(): Promise<TableSlice[]> {
    const limits = { maxBytes: PARTITION_BYTES, maxFiles: PARTITION_FILES };
    return groupsOf(await Array.fromAsync(liveFiles(this.#table)), limits).map((files) => ({
      files: files.map(({ path, rows, bytes }) => ({ path, rows, bytes })),
    }));
  }

  override async *read(slice: TableSlice): AsyncGenerator<RecordBatch> {
    const files = "files" in slice ? slice.files : slice.map((path) => ({ path }));
    const conformed = withColumns(this.#schema);
    for await (const batch of readFiles(this.#table, files)) yield conformed(batch);
  }
}
