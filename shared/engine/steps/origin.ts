import type { RecordBatch } from "apache-arrow";
import type { RowIndexes } from "../../arrow/take.ts";
import type { MillraceError } from "../../contract/errors.ts";

/** A row that does not fit its schema, or for which a step failed. */
export interface BadRow {
  readonly error: MillraceError;
  /** Number of the row, from 1: see `Origin.numberOf`. */
  readonly number: number;
  /** What the reader yielded, if that does not fit. */
  readonly yielded?: unknown;
  /** The record batch that has the row, and the row's index in it, if the row fits. */
  readonly found?: { readonly batch: RecordBatch; readonly index: number };
  /** Number of steps that the row had passed when it was found in this form: 0 for the source's. */
  readonly stepsBefore: number;
}

/** Takes bad rows, so that the other rows go on. If it throws, the task fails with that error. */
export type OnBadRow = (row: BadRow) => void;

/** Where the rows of a record batch come from: the source, or the last step of whole batches. */
export class Origin {
  readonly stepsBefore: number;
  readonly #batch: RecordBatch;
  readonly #numberAt: (index: number) => number;
  /** The index of each row in `#batch`. `undefined` if it is the row's own. */
  readonly #indexes: RowIndexes | undefined;

  constructor(
    batch: RecordBatch,
    numberAt: (index: number) => number,
    stepsBefore: number,
    indexes?: RowIndexes,
  ) {
    this.#batch = batch;
    this.#numberAt = numberAt;
    this.stepsBefore = stepsBefore;
    this.#indexes = indexes;
  }

  /** Returns the origin of the rows at these indexes, in that order. */
  take(rows: RowIndexes): Origin {
    const of = this.#indexes;
    const indexes = of === undefined ? rows : Int32Array.from(rows, (row) => of[row] as number);
    return new Origin(this.#batch, this.#numberAt, this.stepsBefore, indexes);
  }

  /**
   * Returns the number of the row from which this row was made, from 1: in its partition, or, after
   * a step of whole batches, among the rows that this step returned.
   */
  numberOf(row: number): number {
    return this.#numberAt(this.#indexAt(row));
  }

  badRow(row: number, error: MillraceError): BadRow {
    const found = { batch: this.#batch, index: this.#indexAt(row) };
    return { error, number: this.#numberAt(found.index), found, stepsBefore: this.stepsBefore };
  }

  #indexAt(row: number): number {
    return this.#indexes?.[row] ?? row;
  }
}

/** A record batch between two steps. */
export interface Stepped {
  readonly batch: RecordBatch;
  readonly origin: Origin;
}

/** Numbers the rows of record batches from 1. */
export class RowNumbers {
  readonly #stepsBefore: number;
  #next = 1;

  constructor(stepsBefore: number) {
    this.#stepsBefore = stepsBefore;
  }

  originOf(batch: RecordBatch): Origin {
    const first = this.#next;
    this.#next += batch.numRows;
    return new Origin(batch, (index) => first + index, this.#stepsBefore);
  }
}
