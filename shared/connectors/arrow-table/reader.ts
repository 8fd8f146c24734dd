import type { RecordBatch } from "apache-arrow";
import { DataSourceReader } from "../../contract/batch-reader.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { groupsOf } from "../kit/slices.ts";
import { liveFiles } from "./open-state.ts";
import { readFiles } from "./read.ts";

/** Maximum total size of the data files in one partition. A larger file gets its own partition. */
const PARTITION_BYTES = 64 * 1024 * 1024;

/** The data files of one partition, as paths relative to the table's folder. */
type Slice = readonly string[];

/**
 * Reads the version of the table that is current when the batch is planned. Later commits are not
 * included.
 */
export class ArrowTableReader extends DataSourceReader<Slice> {
  readonly #table: ObjectStore;

  constructor(table: ObjectStore) {
    super();
    this.#table = table;
  }

  override async partitions(): Promise<Slice[]> {
    const groups = groupsOf(await Array.fromAsync(liveFiles(this.#table)), { maxBytes: PARTITION_BYTES });
    return groups.map((files) => files.map(({ path }) => path));
  }

  override read(slice: Slice): AsyncIterable<RecordBatch> {
    return readFiles(this.#table, slice);
  }
}
