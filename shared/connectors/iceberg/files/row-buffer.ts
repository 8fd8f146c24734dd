import { type Data, RecordBatch, type Struct } from "apache-arrow";
import { concatData } from "../../../arrow/concat.ts";

/** As many record batches are joined, because each costs a few kilobytes besides its rows. */
const JOINED_BATCHES = 16;

/** Rows of a partition that wait to be written. */
export class RowBuffer {
  #joined: RecordBatch[] = [];
  #single: RecordBatch[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#single.length === 0 && this.#joined.length === 0;
  }

  /** Adds rows, and returns their size. */
  add(batch: RecordBatch): number {
    const { byteLength } = batch.data;
    this.#single.push(batch);
    this.#bytes += byteLength;
    if (this.#single.length >= JOINED_BATCHES) this.#join();
    return byteLength;
  }

  /** Removes and returns all rows, in the order in which they were added. */
  take(): readonly RecordBatch[] {
    if (this.#single.length > 0) this.#join();
    const batches = this.#joined;
    this.#joined = [];
    this.#bytes = 0;
    return batches;
  }

  #join(): void {
    const [first] = this.#single;
    if (first !== undefined && this.#single.length === 1) this.#joined.push(first);
    else if (first !== undefined) {
      const chunks = this.#single.map(({ data }) => data as Data);
      this.#joined.push(new RecordBatch(first.schema, concatData(first.data.type, chunks) as Data<Struct>));
    }
    this.#single = [];
  }
}
