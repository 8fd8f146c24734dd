import type { RecordBatch } from "apache-arrow";
import { DataSourceReader } from "../../contract/batch-reader.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { liveFiles } from "./log.ts";
import { readFiles } from "./read.ts";

/** Data files of one partition together, unless one is larger. */
const PARTITION_BYTES = 64 * 1024 * 1024;

/** Data files, by their paths below the table. */
type Slice = readonly string[];

/** Reads the version of a table that is there when the batch is planned; what is committed later is not in it. */
export class ArrowTableReader extends DataSourceReader<Slice> {
  readonly #table: ObjectStore;

  constructor(table: ObjectStore) {
    super();
    this.#table = table;
  }

  override async partitions(): Promise<Slice[]> {
    const slices: string[][] = [];
    let bytes = Number.POSITIVE_INFINITY;
    for (const file of await liveFiles(this.#table)) {
      bytes += file.bytes;
      if (bytes > PARTITION_BYTES) {
        slices.push([]);
        bytes = file.bytes;
      }
      slices.at(-1)?.push(file.path);
    }
    return slices;
  }

  override read(slice: Slice): AsyncIterable<RecordBatch> {
    return readFiles(this.#table, slice);
  }
}
