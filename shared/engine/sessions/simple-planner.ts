import type { RecordBatch, Schema } from "apache-arrow";
import { toRecordBatches } from "../../arrow/record-batches.ts";
import type { BadRowSink } from "../../contract/bad-rows.ts";
import { type ErrorLocation, MillraceError, toMillraceError } from "../../contract/errors.ts";
import { isPlainObject, kindOf } from "../../contract/json.ts";
import { checkOffset, type Offset, sameOffset } from "../../contract/offset.ts";
import {
  DataSourceStreamReader,
  type SimpleDataSourceStreamReader,
  type SimpleRead,
} from "../../contract/stream-reader.ts";

import type { Latest } from "./latest.ts";

/** The only partition of a simple reader's batch: its range. */
export type SimplePartition = { readonly start: Offset; readonly end: Offset };

/**
 * Adapts a simple reader to the planning interface. It reads the rows of a batch to find the
 * batch's end, and the plan stores these rows. Tasks read the stored rows and never use this class.
 */
export class SimplePlanner extends DataSourceStreamReader<Offset, SimplePartition> {
  readonly #reader: SimpleDataSourceStreamReader<object>;
  readonly #schema: Schema;
  readonly #where: ErrorLocation;

  constructor(reader: SimpleDataSourceStreamReader<object>, schema: Schema, where: ErrorLocation) {
    super();
    this.#reader = reader;
    this.#schema = schema;
    this.#where = where;
  }

  get reader(): SimpleDataSourceStreamReader<object> {
    return this.#reader;
  }

  override async initialOffset(): Promise<Offset> {
    return (await this.#reader.initialOffset()) as Offset;
  }

  /**
   * Reads the rows from `start` on and their end. Returns no rows if there are none. Throws
   * `READ_NOT_ITERABLE` or `SIMPLE_STREAM_READER_OFFSET_DID_NOT_ADVANCE`.
   */
  async readFrom(start: Offset): Promise<Latest> {
    let read: unknown;
    try {
      read = await this.#reader.read(start);
    } catch (error) {
      throw toMillraceError(error, "SOURCE_FAILED", "read() failed", this.#where);
    }
    const { offset: end, rows: source } = checkSimpleRead(read, this.#where);
    const rows = (badRows?: BadRowSink) =>
      withReadErrors(toRecordBatches(this.#schema, source, this.#where, badRows), this.#where);
    if (!sameOffset(start, end)) return { end, rows };
    await this.#throwIfRows(rows(), start);
    return { end };
  }

  override latestOffset(): never {
    throw new MillraceError("SOURCE_FAILED", "a simple reader has no end but that of the rows it reads");
  }

  /**
   * Throws if there are rows although the offset did not advance. Such rows would be read again
   * forever, or never be written.
   */
  async #throwIfRows(rows: AsyncGenerator<RecordBatch>, start: Offset): Promise<void> {
    for await (const { numRows } of rows) {
      if (numRows === 0) continue;
      throw didNotAdvance(start, this.#where);
    }
  }

  override partitions(start: Offset, end: Offset): readonly SimplePartition[] {
    return [{ start, end }];
  }

  override read(): never {
    throw new MillraceError("SOURCE_FAILED", "a simple reader has no partitions to read");
  }

  override async commit(end: Offset): Promise<void> {
    await this.#reader.commit(end);
  }
}

/**
 * Describes a wrong result of `read`. It lists at most 5 keys: those of a larger object could be
 * row content rather than field names.
 */
function shapeOf(read: unknown): string {
  if (!isPlainObject(read)) return kindOf(read);
  const missing = ["rows", "offset"].filter((name) => !(name in read)).join(" and ");
  const keys = Object.keys(read);
  const had = keys.length === 0 || keys.length > 5 ? "an object" : `an object of ${keys.join(", ")}`;
  return `${had}, without ${missing}`;
}

/**
 * Returns the result of `read(start)` if it has rows and an offset. Throws `READ_NOT_ITERABLE` or
 * `OFFSET_NOT_JSON`.
 */
export function checkSimpleRead(read: unknown, where: ErrorLocation): SimpleRead {
  if (typeof read !== "object" || read === null || !("rows" in read) || !("offset" in read)) {
    throw new MillraceError(
      "READ_NOT_ITERABLE",
      `read(start) must give { rows, offset }, but gave ${shapeOf(read)}`,
      {
        where,
        hint: "Write return { rows, offset }: the rows as an iterable, and the offset that follows them.",
      },
    );
  }
  return {
    rows: read.rows as SimpleRead["rows"],
    offset: checkOffset(read.offset, "read(start), as its offset,"),
  };
}

/** The error if `read(start)` returned rows and `start` itself as their end. */
export function didNotAdvance(start: Offset, where: ErrorLocation): MillraceError {
  return new MillraceError(
    "SIMPLE_STREAM_READER_OFFSET_DID_NOT_ADVANCE",
    `read(start) gave rows, but as their end the start itself: ${JSON.stringify(start)}`,
    { where, hint: "Give the offset that follows the rows; the start itself only where there are none." },
  );
}

/** Yields the same rows and turns an error of the user's iterable into `SOURCE_FAILED`. */
async function* withReadErrors(
  rows: AsyncGenerator<RecordBatch>,
  where: ErrorLocation,
): AsyncGenerator<RecordBatch> {
  try {
    yield* rows;
  } catch (error) {
    throw toMillraceError(error, "SOURCE_FAILED", "read() failed", where);
  }
}
