import type { RecordBatch, Schema } from "apache-arrow";
import { RowCollector } from "../../arrow/row-collector.ts";
import type { RowWords } from "../../arrow/row-hints.ts";
import type { ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { Origin, Stepped } from "./origin.ts";
import { rowFailed, type StepTask } from "./step.ts";

const WORDS: RowWords = {
  verb: "Return",
  place: "the step",
  each: "To return several rows, write .flatMap() instead of .map().",
};

/** Collects the rows that a step makes of one record batch, and knows of which row each is. */
export class MadeRows {
  readonly #rows: RowCollector;
  readonly #task: StepTask;
  readonly #name: string;
  readonly #origin: Origin;
  #indexes: number[] = [];

  constructor(schema: Schema, name: string, origin: Origin, task: StepTask) {
    this.#rows = new RowCollector(schema, task.where, undefined, WORDS);
    this.#name = name;
    this.#origin = origin;
    this.#task = task;
  }

  /**
   * Adds the rows that are made of the row `index`. If one does not fit, none of them is added, and
   * the row has failed.
   */
  add(made: Iterable<unknown>, index: number): void {
    const before = this.#rows.pending;
    const place: ErrorLocation = { row: this.#origin.numberOf(index), step: this.#name };
    for (const row of made) {
      const error = this.#append(row, place);
      if (error !== undefined) {
        if (this.#rows.pending > before) this.#rows.keep(before);
        this.#indexes.length = before;
        rowFailed(this.#task, this.#origin, index, error);
        return;
      }
      this.#indexes.push(index);
    }
  }

  /** Without a taker of bad rows, no row has to be kept for the case that a later one fails. */
  #append(row: unknown, place: ErrorLocation): MillraceError | undefined {
    if (this.#task.onBadRow !== undefined) return this.#rows.tryAppend(row, place);
    this.#rows.append(row, place);
    return undefined;
  }

  /** True if the rows so far should be passed on. */
  get isFull(): boolean {
    return this.#rows.isFull;
  }

  /** Returns the record batch of the rows so far, and the index of the row that each is made of. */
  take(): { readonly batch: RecordBatch; readonly indexes: readonly number[] } {
    const indexes = this.#indexes;
    this.#indexes = [];
    return { batch: this.#rows.flush(), indexes };
  }

  get isEmpty(): boolean {
    return this.#rows.pending === 0;
  }

  /** Returns the rows so far as a batch between two steps. */
  stepped(): Stepped {
    const { batch, indexes } = this.take();
    return { batch, origin: this.#origin.take(indexes) };
  }
}
