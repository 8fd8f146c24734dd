import { RecordBatch, type Schema } from "apache-arrow";
import type { BadContent, BadRowSink } from "../contract/bad-rows.ts";
import { type ErrorLocation, MillraceError, show } from "../contract/errors.ts";
import { optional } from "../contract/optional.ts";
import { ValueMismatch } from "./builders/builder.ts";
import { structBuilder } from "./builders/index.ts";
import type { StructBuilder } from "./builders/nested.ts";
import { keyOf } from "./key-fields.ts";
import { fieldHint, READ_WORDS, type RowWords, rowHint } from "./row-hints.ts";
import { withoutRows } from "./take.ts";

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
 * rows from 1. With a `BadRowSink`, a row that does not fit goes there, and the others go on.
 */
export class RowCollector {
  readonly #schema: Schema;
  readonly #where: ErrorLocation;
  readonly #badRows: BadRowSink | undefined;
  /** Indexes of the rows of the record batch that are placeholders for bad ones. */
  readonly #bad = new Set<number>();
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
  constructor(schema: Schema, where: ErrorLocation, badRows?: BadRowSink, words: RowWords = READ_WORDS) {
    this.#schema = schema;
    this.#where = where;
    this.#badRows = badRows;
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
   * differently, for example by file. `content` is what is kept of a bad row; the row itself, if
   * absent.
   */
  append(row: unknown, place?: ErrorLocation, content?: BadContent): void {
    try {
      this.#appendTo(this.#rows, row);
    } catch (error) {
      if (!(error instanceof ValueMismatch)) throw error;
      this.reject(this.mismatch(row, error, place), content ?? { row: this.#named(row) });
      return;
    }
    this.pending++;
  }

  /**
   * Adds a row. If it does not fit, returns the error; the rows before it stay. It keeps the rows
   * of a record batch until that is finished, and builds those twice that come after one that does
   * not fit.
   */
  tryAppend(row: unknown, place?: ErrorLocation): MillraceError | undefined {
    try {
      if (this.#isCareful) this.#appendTo(this.#newBuilder(1), row);
      this.#appendTo(this.#rows, row);
    } catch (error) {
      if (!(error instanceof ValueMismatch)) throw error;
      const told = this.mismatch(row, error, place);
      if (!this.#isCareful) this.keep(this.pending);
      this.#isCareful = true;
      this.#passedOver++;
      return told;
    }
    this.pending++;
    this.#kept.push(row);
    return undefined;
  }

  /** Keeps only the first rows of the unfinished record batch, which `tryAppend` added. */
  keep(count: number): void {
    this.#kept.length = count;
    this.#builder = undefined;
    for (const row of this.#kept) this.#rows.append(row);
    this.pending = count;
  }

  #appendTo(builder: StructBuilder, row: unknown): void {
    if (row === null) throw new ValueMismatch("an object or an array", row);
    builder.append(row);
  }

  /** Leaves out a row that cannot be read. Throws the error if there is no sink for bad rows. */
  reject(error: MillraceError, content: BadContent): void {
    if (this.#badRows === undefined) throw error;
    this.#badRows.add(error, content);
    // The placeholder keeps the numbers of the rows that follow.
    this.#rows.mend();
    this.#bad.add(this.pending++);
  }

  /** Returns the error of a row with a value that does not fit. */
  mismatch(row: unknown, error: ValueMismatch, place?: ErrorLocation): MillraceError {
    return error.path === "" ? this.#notARowError(error, place) : this.#mismatchError(row, error, place);
  }

  /** Returns the rows collected so far. There are none if all of them were bad. */
  flush(): RecordBatch {
    const batch = this.#withoutBad(new RecordBatch(this.#schema, this.#rows.finish()));
    this.flushedRows += this.pending;
    this.pending = 0;
    this.#nextSizeCheck = 1;
    this.#builder = undefined;
    this.#kept = [];
    this.#isCareful = false;
    return batch;
  }

  /** Returns a row by the names of its columns, if it is an array of as many values. */
  #named(row: unknown): unknown {
    const { fields } = this.#schema;
    if (!Array.isArray(row) || row.length !== fields.length) return row;
    return Object.fromEntries(fields.map(({ name }, i) => [name, row[i] as unknown]));
  }

  #withoutBad(batch: RecordBatch): RecordBatch {
    if (this.#bad.size === 0) return batch;
    const good = withoutRows(batch, this.#bad);
    this.#bad.clear();
    return good;
  }

  #mismatchError(values: unknown, mismatch: ValueMismatch, place: ErrorLocation = {}): MillraceError {
    const { path, message, value } = mismatch;
    // The path begins with a dot, as in `.tags[2]`.
    const field = path.slice(1);
    const where = { ...this.#where, row: this.#nextRow, field, ...place };
    return new MillraceError("ROW_MISMATCH", `row ${where.row}, field "${field}": ${message}`, {
      where,
      hint: fieldHint(this.#schema, values, field, mismatch, this.#words),
      ...optional("found", this.#foundIn(values, value)),
    });
  }

  /** Returns the value that does not fit, and the key of its row, as far as they are known. */
  #foundIn(row: unknown, value: unknown): string | undefined {
    const key = keyOf(this.#schema, row);
    const shown = value === undefined ? undefined : show(value);
    if (key === undefined) return shown;
    return shown === undefined ? `a row with ${key}` : `${shown}, in the row with ${key}`;
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
