import { RecordBatch, type Schema } from "apache-arrow";
import { type ErrorLocation, MillraceError, show } from "../contract/errors.ts";
import { ValueMismatch } from "./builders/builder.ts";
import { structBuilder } from "./builders/index.ts";
import type { StructBuilder } from "./builders/nested.ts";
import { fieldHint, rowHint } from "./row-hints.ts";

/** Rows in one record batch at most, as Spark's `spark.sql.execution.arrow.maxRecordsPerBatch`. */
const MAX_ROWS = 10_000;
/** Bytes of values after which a record batch ends early. */
const MAX_BYTES = 16 * 1024 * 1024;
/**
 * Rows between two looks at the bytes, at most: adding them up for each row would cost more than it
 * saves.
 */
const MAX_STRIDE = 64;

/**
 * Gathers rows into record batches, and numbers them from 1 in its errors: `ROW_MISMATCH`,
 * `ROW_NOT_A_ROW`.
 */
export class RowCollector {
  readonly #schema: Schema;
  readonly #where: ErrorLocation;
  #rows: StructBuilder;
  #nextLook = 1;
  /** Rows of this partition in the record batches before the pending one. */
  passed = 0;
  pending = 0;

  constructor(schema: Schema, where: ErrorLocation) {
    this.#schema = schema;
    this.#where = where;
    this.#rows = this.#newBuilder();
  }

  #newBuilder(): StructBuilder {
    return structBuilder(this.#schema.fields, false, MAX_ROWS, "row");
  }

  /** At first looks at the bytes after 1, 2, 4, 8 … rows: they may be large. */
  get isFull(): boolean {
    if (this.pending < this.#nextLook) return false;
    this.#nextLook = Math.min(MAX_ROWS, this.pending + Math.min(MAX_STRIDE, this.pending));
    return this.pending >= MAX_ROWS || this.#rows.bytes >= MAX_BYTES;
  }

  /** `place` is for whoever numbers rows otherwise, such as by file: what its errors say of where. */
  append(row: unknown, place?: ErrorLocation): void {
    try {
      if (row === null) throw new ValueMismatch("an object or an array", row);
      this.#rows.append(row);
    } catch (error) {
      if (!(error instanceof ValueMismatch)) throw error;
      throw error.path === "" ? this.#notARow(error, place) : this.#doesNotFit(row, error, place);
    }
    this.pending++;
  }

  flush(): RecordBatch {
    const batch = new RecordBatch(this.#schema, this.#rows.finish());
    this.passed += this.pending;
    this.pending = 0;
    this.#nextLook = 1;
    this.#rows = this.#newBuilder();
    return batch;
  }

  #doesNotFit(values: unknown, mismatch: ValueMismatch, place: ErrorLocation = {}): MillraceError {
    const { path, message, value } = mismatch;
    // Without the point that leads from the row to its field.
    const field = path.slice(1);
    const where = { ...this.#where, row: this.#nextRow, field, ...place };
    return new MillraceError("ROW_MISMATCH", `row ${where.row}, field "${field}": ${message}`, {
      where,
      hint: fieldHint(this.#schema, values, field, mismatch),
      ...(value === undefined ? {} : { found: show(value) }),
    });
  }

  #notARow({ message, value }: ValueMismatch, place: ErrorLocation = {}): MillraceError {
    const where = { ...this.#where, row: this.#nextRow, ...place };
    return new MillraceError(
      Array.isArray(value) ? "ROW_MISMATCH" : "ROW_NOT_A_ROW",
      `row ${where.row}: ${message}`,
      { where, hint: rowHint(value), found: show(value) },
    );
  }

  /** Its number in the partition, from 1. */
  get #nextRow(): number {
    return this.passed + this.pending + 1;
  }
}
