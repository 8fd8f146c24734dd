import { RecordBatch, type Schema } from "apache-arrow";
import { type ErrorLocation, MillraceError, show } from "../contract/errors.ts";
import { ValueMismatch } from "./builders/builder.ts";
import { structBuilder } from "./builders/index.ts";
import type { StructBuilder } from "./builders/nested.ts";
import { fieldHint, rowHint } from "./row-hints.ts";

/**
 * Maximum number of rows in a record batch, like Spark's
 * `spark.sql.execution.arrow.maxRecordsPerBatch`.
 */
const MAX_ROWS = 10_000;
/** A record batch is finished early when its values reach this many bytes. */
const MAX_BYTES = 16 * 1024 * 1024;
/**
 * Maximum number of rows between two checks of the size. Adding up the bytes after each row would
 * cost too much.
 */
const MAX_STRIDE = 64;

/**
 * Collects rows into record batches. Its errors, `ROW_MISMATCH` and `ROW_NOT_A_ROW`, number the
 * rows from 1.
 */
export class RowCollector {
  readonly #schema: Schema;
  readonly #where: ErrorLocation;
  /** Made for the first row: record batches may have types that rows cannot. */
  #builder: StructBuilder | undefined;
  #nextSizeCheck = 1;
  /** Rows of this partition in earlier record batches, for the row numbers of errors. */
  flushedRows = 0;
  pending = 0;

  constructor(schema: Schema, where: ErrorLocation) {
    this.#schema = schema;
    this.#where = where;
  }

  get #rows(): StructBuilder {
    this.#builder ??= structBuilder(this.#schema.fields, false, MAX_ROWS, "row");
    return this.#builder;
  }

  /**
   * True if the record batch must be finished. The size is checked after 1, 2, 4, 8 … rows at
   * first, because rows may be large.
   */
  get isFull(): boolean {
    if (this.pending < this.#nextSizeCheck) return false;
    this.#nextSizeCheck = Math.min(MAX_ROWS, this.pending + Math.min(MAX_STRIDE, this.pending));
    return this.pending >= MAX_ROWS || this.#rows.bytes >= MAX_BYTES;
  }

  /**
   * Adds a row. `place` overrides fields of the error's `where`, for callers that number rows
   * differently, for example by file.
   */
  append(row: unknown, place?: ErrorLocation): void {
    try {
      if (row === null) throw new ValueMismatch("an object or an array", row);
      this.#rows.append(row);
    } catch (error) {
      if (!(error instanceof ValueMismatch)) throw error;
      throw error.path === "" ? this.#notARowError(error, place) : this.#mismatchError(row, error, place);
    }
    this.pending++;
  }

  flush(): RecordBatch {
    const batch = new RecordBatch(this.#schema, this.#rows.finish());
    this.flushedRows += this.pending;
    this.pending = 0;
    this.#nextSizeCheck = 1;
    this.#builder = undefined;
    return batch;
  }

  #mismatchError(values: unknown, mismatch: ValueMismatch, place: ErrorLocation = {}): MillraceError {
    const { path, message, value } = mismatch;
    // The path begins with a dot, as in `.tags[2]`.
    const field = path.slice(1);
    const where = { ...this.#where, row: this.#nextRow, field, ...place };
    return new MillraceError("ROW_MISMATCH", `row ${where.row}, field "${field}": ${message}`, {
      where,
      hint: fieldHint(this.#schema, values, field, mismatch),
      ...(value === undefined ? {} : { found: show(value) }),
    });
  }

  #notARowError({ message, value }: ValueMismatch, place: ErrorLocation = {}): MillraceError {
    const where = { ...this.#where, row: this.#nextRow, ...place };
    return new MillraceError(
      Array.isArray(value) ? "ROW_MISMATCH" : "ROW_NOT_A_ROW",
      `row ${where.row}: ${message}`,
      { where, hint: rowHint(value), found: show(value) },
    );
  }

  /** Number of the next row in the partition, from 1. */
  get #nextRow(): number {
    return this.flushedRows + this.pending + 1;
  }
}
