import { Memory } from "../../../shared/connectors/memory/index.ts";
import { DataSourceReader } from "../../../shared/contract/batch-reader.ts";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { type Pipeline, pipeline, type Read, type ReadStream } from "../../../shared/contract/pipeline.ts";
import {
  DataSourceStreamReader,
  type Row,
  SimpleDataSourceStreamReader,
} from "../../../shared/contract/stream-reader.ts";

export const SCHEMA = "id bigint NOT NULL, name string, price decimal(10,2)";

/** The default rows: `{ id: 0n, name: "row 0", price: "0.50" }` and so on. */
export const rowAt = (id: number): Row => ({ id, name: `row ${id}`, price: `${id}.50` });

interface Settings {
  readonly schema?: string;
  readonly rows?: readonly Row[];
  readonly count?: number;
}

class Items extends DataSource<Settings> {
  get #rows(): readonly Row[] {
    return this.options.rows ?? Array.from({ length: this.options.count ?? 4 }, (_, id) => rowAt(id));
  }
  override schema() {
    return this.options.schema ?? SCHEMA;
  }
  override reader() {
    return new ItemReader(this.#rows);
  }
  override streamReader() {
    return new ItemStreamReader(this.#rows);
  }
}

/** Two partitions: the first half of the rows, and the others. */
function halves(count: number): { from: number; to: number }[] {
  const middle = count >> 1;
  return [
    { from: 0, to: middle },
    { from: middle, to: count },
  ];
}

class ItemReader extends DataSourceReader<{ from: number; to: number }> {
  readonly #rows: readonly Row[];
  constructor(rows: readonly Row[]) {
    super();
    this.#rows = rows;
  }
  override partitions() {
    return halves(this.#rows.length);
  }
  override read({ from, to }: { from: number; to: number }) {
    return this.#rows.slice(from, to);
  }
}

class ItemStreamReader extends DataSourceStreamReader<{ n: number }, { from: number; to: number }> {
  readonly #rows: readonly Row[];
  constructor(rows: readonly Row[]) {
    super();
    this.#rows = rows;
  }
  override initialOffset() {
    return { n: 0 };
  }
  override latestOffset() {
    return { n: this.#rows.length };
  }
  override partitions() {
    return halves(this.#rows.length);
  }
  override read({ from, to }: { from: number; to: number }) {
    return this.#rows.slice(from, to);
  }
}

/** A simple reader of the same rows, two at a time. */
export class SimpleItems extends DataSource<Settings> {
  static asked = 0;
  override schema() {
    return this.options.schema ?? SCHEMA;
  }
  override simpleStreamReader() {
    return new (class extends SimpleDataSourceStreamReader<{ n: number }> {
      override initialOffset() {
        return { n: 0 };
      }
      override read({ n }: { n: number }) {
        SimpleItems.asked++;
        const rows = [0, 1].map((i) => n + i).filter((id) => id < 4);
        return { rows: rows.map(rowAt), offset: { n: n + rows.length } };
      }
      override readBetweenOffsets(start: { n: number }, end: { n: number }) {
        return Array.from({ length: end.n - start.n }, (_, i) => rowAt(start.n + i));
      }
    })();
  }
}

export function items(settings: Settings = {}): Read<Settings> {
  return pipeline("items").read.format(Items).options(settings);
}

export function itemStream(settings: Settings = {}): ReadStream<Settings> {
  return pipeline("items").readStream.format(Items).options(settings);
}

let tables = 0;

/** Writes the rows of a source to a new table in memory. */
export function toMemory(source: { readonly configured: object }): Pipeline {
  const read = source as unknown as Read<object> | ReadStream<object>;
  const options = { table: `steps-${tables++}` };
  const written =
    "write" in read
      ? read.write.format(Memory).options(options).mode("append")
      : read.writeStream.format(Memory).options(options);
  return written as unknown as Pipeline;
}
