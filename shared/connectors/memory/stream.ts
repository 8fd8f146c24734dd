import type { Schema } from "apache-arrow";
import { toSchema } from "../../contract/ddl/to-schema.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { SchemaLike } from "../../contract/schema-like.ts";
import type { Row } from "../../contract/stream-reader.ts";

const streams = new Map<string, MemoryStream>();

/**
 * Rows in the memory of this thread, for the source `memory`. A new stream replaces an existing one
 * of the same name. (Spark: `MemoryStream`.)
 */
export class MemoryStream {
  /** The name for the option `stream`. */
  readonly name: string;
  /** The schema of the rows. */
  readonly schema: Schema;
  /**
   * Distinguishes this stream from an earlier one, or one in another thread, with the same name.
   */
  readonly id: string = crypto.randomUUID();
  readonly #rows: Row[] = [];

  /** Creates an empty stream. Error: `SCHEMA_INVALID`. */
  constructor(name: string, schema: SchemaLike) {
    this.name = name;
    this.schema = toSchema(schema);
    streams.set(name, this);
  }

  /** Appends rows. They are not copied. */
  addData(rows: Iterable<Row>): void {
    for (const row of rows) this.#rows.push(row);
  }

  /** The number of rows in the stream. */
  get size(): number {
    return this.#rows.length;
  }

  /**
   * Returns the rows from index `from` (inclusive) to `to` (exclusive). Error: `MEMORY_NOT_HERE` if
   * the stream has fewer rows.
   */
  slice(from: number, to: number): readonly Row[] {
    if (to <= this.size) return this.#rows.slice(from, to);
    throw notInMemory(`row ${to - 1} of memory stream "${this.name}", which has ${this.size} rows,`);
  }
}

/** Returns the stream with this name. Error: `MEMORY_NOT_HERE`. */
export function findStream(name: string): MemoryStream {
  const stream = streams.get(name);
  if (stream !== undefined) return stream;
  throw notInMemory(`memory stream "${name}"`);
}

export function notInMemory(what: string): MillraceError {
  return new MillraceError("MEMORY_NOT_HERE", `${what} is not in the memory of this process and thread`, {
    hint: "Make the memory stream before the run, and run the pipeline in one thread, with runPipeline of millrace/testing: millrace run and Lambda have a thread or a machine for each task.",
  });
}
