import { RecordBatch, type Schema } from "apache-arrow";
import { type ErrorLocation, MillraceError, show } from "../contract/errors.ts";
import { ValueMismatch } from "./builders/builder.ts";
import { structBuilder } from "./builders/index.ts";
import type { StructBuilder } from "./builders/nested.ts";
import { fieldHint, READ_WORDS, type RowWords, rowHint } from "./row-hints.ts";

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
  readonly #words: RowWords;
  /** The rows of the unfinished record batch, if `tryAppend` added them. */
  #kept: unknown[] = [];
  /** True if a row of the unfinished record batch did not fit, so that more may follow. */
  #isCareful = false;
  /** Number of rows that `tryAppend` passed over. */
  #passedOver = 0;
  /** Made for the first row: record batches may have types that rows cannot. */
  #builder: StructBuilder | undefined;
  #nextSizeCheck = 1;
  /** Rows of this partition in earlier record batches, for the row numbers of errors. */
  flushedRows = 0;
  pending = 0;

  /** `words` are for the hints of errors. */
  constructor(schema: Schema, where: ErrorLocation, words: RowWords = READ_WORDS) {
    this.#schema = schema;
    this.#where = where;
    this.#words = words;
  }

  get #rows(): StructBuilder {
    this.#builder ??= this.#newBuilder(MAX_ROWS);
    return this.#builder;
  }

  #newBuilder(capacity: number): StructBuilder {
    return structBuilder(this.#schema.fields, false, capacity, "row");
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
    this.#appendTo(this.#rows, row, place);
    this.pending++;
  }

  /**
   * Adds a row. If it does not fit, returns the error; the rows before it stay. It keeps the rows
   * of a record batch until that is finished, and builds those twice that come after one that does
   * not fit.
   */
  tryAppend(row: unknown, place?: ErrorLocation): MillraceError | undefined {
    try {
      if (this.#isCareful) this.#appendTo(this.#newBuilder(1), row, place);
      this.append(row, place);
      this.#kept.push(row);
      return undefined;
    } catch (error) {
      if (!MillraceError.is(error)) throw error;
      if (!this.#isCareful) this.keep(this.pending);
      this.#isCareful = true;
      this.#passedOver++;
      return error;
    }
  }

  /** Keeps only the first rows of the unfinished record batch, which `tryAppend` added. */
  keep(count: number): void {
    this.#kept.length = count;
    this.#builder = undefined;
    for (const row of this.#kept) this.#rows.append(row);
    this.pending = count;
  }

  #appendTo(builder: StructBuilder, row: unknown, place: ErrorLocation | undefined): void {
    try {
      if (row === null) throw new ValueMismatch("an object or an array", row);
      builder.append(row);
    } catch (error) {
      if (!(error instanceof ValueMismatch)) throw error;
      throw error.path === "" ? this.#notARowError(error, place) : this.#mismatchError(row, error, place);
    }
  }

  flush(): RecordBatch {
    const batch = new RecordBatch(this.#schema, this.#rows.finish());
    this.flushedRows += this.pending;
    this.pending = 0;
    this.#nextSizeCheck = 1;
    this.#builder = undefined;
    this.#kept = [];
    this.#isCareful = false;
    return batch;
  }

  #mismatchError(values: unknown, mismatch: ValueMismatch, place: ErrorLocation = {}): MillraceError {
    const { path, message, value } = mismatch;
    // The path begins with a dot, as in `.tags[2]`.
    const field = path.slice(1);
    const where = { ...this.#where, row: this.#nextRow, field, ...place };
    return new MillraceError("ROW_MISMATCH", `row ${where.row}, field "${field}": ${message}`, {
      where,
      hint: fieldHint(this.#schema, values, field, mismatch, this.#words),
      ...(value === undefined ? {} : { found: show(value) }),
    });
  }

  #notARowError({ message, value }: ValueMismatch, place: ErrorLocation = {}): MillraceError {
    const where = { ...this.#where, row: this.#nextRow, ...place };
    return new MillraceError(
      Array.isArray(value) ? "ROW_MISMATCH" : "ROW_NOT_A_ROW",
      `row ${where.row}: ${message}`,
      { where, hint: rowHint(value, this.#words), found: show(value) },
    );
  }

  /** Number of the next row in the partition, from 1. */
  get #nextRow(): number {
    return this.flushedRows + this.pending + this.#passedOver + 1;
  }
}
