import { Data, RecordBatch, type Schema, Struct } from "apache-arrow";
import { type ColumnBuffer, columnBuffer } from "./column-buffer.ts";

/** Collects rows in memory of its own. The schema must have no dictionaries and views. */
export class RowBuffer {
  readonly #schema: Schema;
  readonly #columns: readonly ColumnBuffer[];
  #rows = 0;

  constructor(schema: Schema) {
    this.#schema = schema;
    this.#columns = schema.fields.map(({ type }) => columnBuffer(type));
  }

  get rows(): number {
    return this.#rows;
  }

  get bytes(): number {
    return this.#columns.reduce((sum, column) => sum + column.bytes, 0);
  }

  /** Adds rows `begin` to `end` (exclusive). */
  append({ data }: RecordBatch, begin: number, end: number): void {
    for (const [i, column] of this.#columns.entries()) column.append(data.children[i] as Data, begin, end);
    this.#rows += end - begin;
  }

  /** Returns the rows so far. The memory is that of the buffer, until the next `append`. */
  batch(): RecordBatch {
    const children = this.#columns.map((column) => column.data());
    const type = new Struct(this.#schema.fields);
    return new RecordBatch(this.#schema, new Data(type, 0, this.#rows, 0, undefined, children));
  }

  /** Starts anew, and keeps the memory. */
  clear(): void {
    this.#rows = 0;
    for (const column of this.#columns) column.clear();
  }

  /** Gives the memory back. */
  release(): void {
    this.#rows = 0;
    for (const column of this.#columns) column.release();
  }
}
