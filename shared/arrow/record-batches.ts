import { RecordBatch, type Schema, type Table } from "apache-arrow";
import { BadRow, type BadRowSink } from "../contract/bad-rows.ts";
import { type ErrorLocation, MillraceError } from "../contract/errors.ts";
import { kindOf } from "../contract/json.ts";
import type { Row, RowSource } from "../contract/stream-reader.ts";
import { checkSchema, conform } from "./conform.ts";
import { KnownFields, type LeftOutFields } from "./left-out.ts";
import { RowCollector } from "./row-collector.ts";
import { isPlainRow } from "./row-hints.ts";

/**
 * Converts what a reader yields into Arrow record batches of `schema`. Rows are collected into
 * batches; record batches and tables are passed on after a check of their schema. Rows that do not
 * fit go to `badRows` if it is given, and the names of fields that the schema lacks to `leftOut`.
 * Throws `ROW_MISMATCH`, `ROW_NOT_A_ROW`, `BATCH_SCHEMA_MISMATCH` or `READ_NOT_ITERABLE`.
 */
export async function* toRecordBatches(
  schema: Schema,
  source: RowSource,
  where: ErrorLocation,
  badRows?: BadRowSink,
  leftOut?: LeftOutFields,
): AsyncGenerator<RecordBatch, void, undefined> {
  const collector = new BatchCollector(schema, where, badRows, leftOut);
  const items = itemsOf(source, where);
  if (Symbol.asyncIterator in items) {
    for await (const _ of pullItems(items, (item) => collector.add(item))) yield* collector.take();
  } else {
    // `for await` would wait one microtask per row even for a synchronous iterable.
    for (const item of items) {
      if (collector.add(isPlainRow(item) ? item : await item)) yield* collector.take();
    }
  }
  collector.flush();
  yield* collector.take();
}

/** Builds one record batch from these rows. Throws the errors of `toRecordBatches`. */
export function recordBatchOf(schema: Schema, rows: Iterable<Row>): RecordBatch {
  const collector = new RowCollector(schema, {});
  for (const row of rows) collector.append(row);
  return collector.flush();
}

/** Returns the result of `read` as an iterable. Throws `READ_NOT_ITERABLE`. */
export function itemsOf(source: unknown, where: ErrorLocation): AsyncIterable<unknown> | Iterable<unknown> {
  // Tables and record batches are also iterables of rows, but of rows in which Arrow rounds times.
  // They are passed on as a whole instead.
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

/**
 * Collects rows and record batches, and returns finished record batches in the order in which they
 * were yielded.
 */
class BatchCollector {
  readonly #schema: Schema;
  readonly #where: ErrorLocation;
  readonly #rows: RowCollector;
  readonly #leftOut: LeftOutFields | undefined;
  readonly #known: KnownFields;
  #ready: RecordBatch[] = [];
  /** Number of record batches and tables so far, for error messages. */
  #itemCount = 0;

  constructor(
    schema: Schema,
    where: ErrorLocation,
    badRows: BadRowSink | undefined,
    leftOut: LeftOutFields | undefined,
  ) {
    this.#schema = schema;
    this.#where = where;
    this.#rows = new RowCollector(schema, where, badRows);
    this.#leftOut = leftOut;
    this.#known = new KnownFields(schema.fields);
  }

  /** Adds one value that a reader yielded. Returns true if record batches are ready to be taken. */
  add(item: unknown): boolean {
    if (isPlainRow(item)) this.#addRow(item);
    else if (isTable(item)) this.#addTable(item);
    else if (isRecordBatch(item)) this.#addRecordBatch(item, `record batch ${++this.#itemCount}`);
    else if (BadRow.is(item)) this.#addBadRow(item);
    else this.#addRow(item);
    return this.#ready.length > 0;
  }

  #addRow(row: unknown): void {
    this.#rows.append(row);
    if (typeof row === "object" && row !== null && !Array.isArray(row)) this.#leftOut?.look(row, this.#known);
    if (this.#rows.isFull) this.flush();
  }

  #addBadRow({ error, content }: BadRow): void {
    this.#rows.reject(error.with({ where: this.#where }), { raw: content });
    if (this.#rows.isFull) this.flush();
  }

  #addTable(table: Table): void {
    const name = `table ${++this.#itemCount}`;
    // A table without rows may have no record batch, so its schema is checked here too.
    checkSchema(this.#schema, table.schema, name, this.#where);
    for (const batch of table.batches) this.#addRecordBatch(batch, name);
  }

  #addRecordBatch(batch: RecordBatch, name: string): void {
    const conformed = conform(this.#schema, batch, name, this.#where);
    this.flush();
    this.#ready.push(conformed);
    this.#rows.flushedRows += batch.numRows;
  }

  /** Finishes the record batch of the rows collected so far. */
  flush(): void {
    if (this.#rows.pending === 0) return;
    const batch = this.#rows.flush();
    if (batch.numRows > 0) this.#ready.push(batch);
  }

  take(): readonly RecordBatch[] {
    const ready = this.#ready;
    this.#ready = [];
    return ready;
  }
}

/**
 * Recognises a table by its properties, because `instanceof` fails for a table of another copy of
 * apache-arrow.
 */
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
 * Passes each item to `take`, and yields each time that `take` returns true. It does the same as
 * `for await`, but with callbacks, because awaiting every item takes a third longer. The iterator
 * is closed if the consumer stops early or `take` throws.
 */
async function* pullItems(
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
    // An error while closing would hide the error that ended the loop.
    if (isOpen) await Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

/**
 * Passes items to `take` until it returns true. Resolves to true then, and to false if the items
 * end before.
 */
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
