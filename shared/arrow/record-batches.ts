import { RecordBatch, type Schema, type Table } from "apache-arrow";
import { type ErrorLocation, MillraceError } from "../contract/errors.ts";
import { kindOf } from "../contract/json.ts";
import type { Row, RowSource } from "../contract/stream-reader.ts";
import { checkSchema, conform } from "./conform.ts";
import { RowCollector } from "./row-collector.ts";
import { isPlainRow } from "./row-hints.ts";

/**
 * What a reader yields, as Arrow record batches of `schema`: rows are gathered; record batches, and
 * those of tables, pass through once their schema was checked. Errors: `ROW_MISMATCH`,
 * `ROW_NOT_A_ROW`, `BATCH_SCHEMA_MISMATCH`, `READ_NOT_ITERABLE`.
 */
export async function* toRecordBatches(
  schema: Schema,
  source: RowSource,
  where: ErrorLocation,
): AsyncGenerator<RecordBatch, void, undefined> {
  const gathering = new Gathering(schema, where);
  const items = itemsOf(source, where);
  if (Symbol.asyncIterator in items) {
    for await (const _ of pull(items, (item) => gathering.add(item))) yield* gathering.take();
  } else {
    // Not `for await`, which would wait a turn for each row.
    for (const item of items) {
      if (gathering.add(isPlainRow(item) ? item : await item)) yield* gathering.take();
    }
  }
  gathering.flush();
  yield* gathering.take();
}

/** A record batch of these rows. Errors as `toRecordBatches`. */
export function recordBatchOf(schema: Schema, rows: Iterable<Row>): RecordBatch {
  const collector = new RowCollector(schema, {});
  for (const row of rows) collector.append(row);
  return collector.flush();
}

/** What a reader returned, to be gone through. Error: `READ_NOT_ITERABLE`. */
export function itemsOf(source: unknown, where: ErrorLocation): AsyncIterable<unknown> | Iterable<unknown> {
  // Both are iterables of rows as Arrow shows them, which rounds times.
  if (isTable(source) || isRecordBatch(source)) return [source];
  const isIterable =
    typeof source === "object" &&
    source !== null &&
    (Symbol.asyncIterator in source || Symbol.iterator in source);
  if (isIterable) return source as AsyncIterable<unknown> | Iterable<unknown>;
  throw new MillraceError(
    "READ_NOT_ITERABLE",
    `read() must give an iterable of rows, but gave ${kindOf(source)}`,
    { where, hint: "Write it as a generator: async *read(partition) { … yield row; … }." },
  );
}

/** Record batches as they become ready, in the order of what was yielded. */
class Gathering {
  readonly #schema: Schema;
  readonly #where: ErrorLocation;
  readonly #rows: RowCollector;
  #ready: RecordBatch[] = [];
  /** Record batches and tables that were added so far. */
  #batches = 0;

  constructor(schema: Schema, where: ErrorLocation) {
    this.#schema = schema;
    this.#where = where;
    this.#rows = new RowCollector(schema, where);
  }

  /** Adds what a reader yields; true once record batches are ready. */
  add(item: unknown): boolean {
    if (isPlainRow(item)) this.#addRow(item);
    else if (isTable(item)) this.#addTable(item);
    else if (isRecordBatch(item)) this.#pass(item, `record batch ${++this.#batches}`);
    else this.#addRow(item);
    return this.#ready.length > 0;
  }

  #addRow(row: unknown): void {
    this.#rows.append(row);
    if (this.#rows.isFull) this.flush();
  }

  #addTable(table: Table): void {
    const name = `table ${++this.#batches}`;
    // A table without rows may have no record batch.
    checkSchema(this.#schema, table.schema, name, this.#where);
    for (const batch of table.batches) this.#pass(batch, name);
  }

  #pass(batch: RecordBatch, name: string): void {
    const conformed = conform(this.#schema, batch, name, this.#where);
    this.flush();
    this.#ready.push(conformed);
    this.#rows.passed += batch.numRows;
  }

  /** Ends the record batch of the rows so far. */
  flush(): void {
    if (this.#rows.pending > 0) this.#ready.push(this.#rows.flush());
  }

  take(): readonly RecordBatch[] {
    const ready = this.#ready;
    this.#ready = [];
    return ready;
  }
}

/** Also true for a table of another copy of Arrow, which `instanceof` would not know. */
function isTable(item: unknown): item is Table {
  return hasSchema(item) && "batches" in item;
}

function isRecordBatch(item: unknown): item is RecordBatch {
  return item instanceof RecordBatch || (hasSchema(item) && "data" in item);
}

function hasSchema(item: unknown): item is object {
  return (
    typeof item === "object" && item !== null && !isPlainRow(item) && "schema" in item && "numRows" in item
  );
}

/**
 * Hands each item of `items` to `take`, and yields whenever that returns true. As `for await`, but
 * by callbacks: an `await` for each item takes a third longer. Whoever stops early, or a `take`
 * that throws, closes the iterator.
 */
async function* pull(
  items: AsyncIterable<unknown>,
  take: (item: unknown) => boolean,
): AsyncGenerator<void, void, undefined> {
  const iterator = items[Symbol.asyncIterator]();
  let isOpen = true;
  try {
    for (;;) {
      isOpen = await takeUntil(iterator, take);
      if (!isOpen) return;
      yield;
    }
  } finally {
    // What fails on the way out would hide why it is left.
    if (isOpen) await Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

/** True if `take` returned true, false if the items have ended. */
function takeUntil(iterator: AsyncIterator<unknown>, take: (item: unknown) => boolean): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const onNext = ({ done, value }: IteratorResult<unknown>): void => {
      try {
        if (done) resolve(false);
        else if (take(value)) resolve(true);
        else ask();
      } catch (error) {
        reject(error);
      }
    };
    const ask = (): void => {
      Promise.resolve(iterator.next()).then(onNext, reject);
    };
    ask();
  });
}
