import type { RecordBatch, Schema } from "apache-arrow";
import { toRecordBatches } from "../../arrow/record-batches.ts";
import { type ErrorLocation, MillraceError, toMillraceError } from "../../contract/errors.ts";
import { isPlainObject, kindOf } from "../../contract/json.ts";
import { checkOffset, type Offset, sameOffset } from "../../contract/offset.ts";
import {
  DataSourceStreamReader,
  type SimpleDataSourceStreamReader,
  type SimpleRead,
} from "../../contract/stream-reader.ts";

/** The one partition of a simple reader's batch. */
export type SimplePartition = { readonly start: Offset; readonly end: Offset };

/**
 * A simple reader as one that plans: it finds the end of a batch by reading its rows, which the
 * plan then keeps. Tasks never see it: they read what was kept.
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

  override async initialOffset(): Promise<Offset> {
    return (await this.#reader.initialOffset()) as Offset;
  }

  /**
   * Reads from `start` on: the rows, and where they end; no rows if there are none. Errors:
   * `READ_NOT_ITERABLE`, `SIMPLE_STREAM_READER_OFFSET_DID_NOT_ADVANCE`.
   */
  async readOn(start: Offset): Promise<{ readonly end: Offset; readonly rows?: AsyncIterable<RecordBatch> }> {
    let read: unknown;
    try {
      read = await this.#reader.read(start);
    } catch (error) {
      throw toMillraceError(error, "SOURCE_FAILED", "read() failed", this.#where);
    }
    const { offset: end, rows: source } = checkSimpleRead(read, this.#where);
    const rows = toRecordBatches(this.#schema, source, this.#where);
    if (!sameOffset(start, end)) return { end, rows: failingAsRead(rows, this.#where) };
    await this.#refuseRows(rows, start);
    return { end };
  }

  override latestOffset(): never {
    throw new MillraceError("SOURCE_FAILED", "a simple reader has no end but that of the rows it reads");
  }

  /**
   * Rows of a batch that ends where it begins would be read again for ever, or never be written.
   */
  async #refuseRows(rows: AsyncGenerator<RecordBatch>, start: Offset): Promise<void> {
    for await (const { numRows } of failingAsRead(rows, this.#where)) {
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

/** Names of fields are no content; those of a long list may be. */
function shapeOf(read: unknown): string {
  if (!isPlainObject(read)) return kindOf(read);
  const missing = ["rows", "offset"].filter((name) => !(name in read)).join(" and ");
  const keys = Object.keys(read);
  const had = keys.length === 0 || keys.length > 5 ? "an object" : `an object of ${keys.join(", ")}`;
  return `${had}, without ${missing}`;
}

/**
 * What `read(start)` gave, where it is rows and an offset. Errors: `READ_NOT_ITERABLE`,
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

/** For rows whose end is their start. */
export function didNotAdvance(start: Offset, where: ErrorLocation): MillraceError {
  return new MillraceError(
    "SIMPLE_STREAM_READER_OFFSET_DID_NOT_ADVANCE",
    `read(start) gave rows, but as their end the start itself: ${JSON.stringify(start)}`,
    { where, hint: "Give the offset that follows the rows; the start itself only where there are none." },
  );
}

/** An error of the user's own, in the rows as they come, with its place. */
async function* failingAsRead(
  rows: AsyncGenerator<RecordBatch>,
  where: ErrorLocation,
): AsyncGenerator<RecordBatch> {
  try {
    yield* rows;
  } catch (error) {
    throw toMillraceError(error, "SOURCE_FAILED", "read() failed", where);
  }
}
