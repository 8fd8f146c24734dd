import type { RecordBatch } from "apache-arrow";
import { DataSourceReader } from "../../contract/batch-reader.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { groupsOf } from "../kit/slices.ts";
import { liveFiles } from "./log.ts";
import { readFiles } from "./read.ts";

/** Data files of one partition together, unless one is larger. */
const PARTITION_BYTES = 64 * 1024 * 1024;

/** Data files, by their paths below the table. */
type Slice = readonly string[];

/**
 * Reads the version of a table that is there when the batch is planned; what is committed later is
 * not in it.
 */
export class ArrowTableReader extends DataSourceReader<Slice> {
  readonly #table: ObjectStore;

  constructor(table: ObjectStore) {
    super();
    this.#table = table;
  }

  override async partitions(): Promise<Slice[]> {
    const groups = groupsOf(await liveFiles(this.#table), { maxBytes: PARTITION_BYTES });
    return groups.map((files) => files.map(({ path }) => path));
  }

  override read(slice: Slice): AsyncIterable<RecordBatch> {
    return readFiles(this.#table, slice);
  }
}
