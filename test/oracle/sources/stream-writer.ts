import type { RecordBatch, Schema } from "apache-arrow";
import type { BatchContext, TaskContext } from "../../../shared/contract/context.ts";
import type { NamedRow } from "../../../shared/contract/stream-reader.ts";
import {
  DataSourceStreamArrowWriter,
  DataSourceStreamWriter,
  type StreamWriter,
} from "../../../shared/contract/stream-writer.ts";
import { ddlOf, fault, log, type Options } from "./log.ts";

type Msg = { partition: number; attempt: number; rows: number; lo: number | null; hi: number | null };
type Message = Msg | { rows: number };

/** Returns Spark's name for the class of a record batch. */
export function kindOfBatch(batch: RecordBatch): string {
  return batch.constructor.name.replace(/^_/, "");
}

/** Returns Spark's name for the class of a row. A plain object stands for Spark's `Row`. */
export function kindOfRow(row: NamedRow): string {
  return Object.getPrototypeOf(row) === Object.prototype ? "Row" : typeof row;
}

/** The code that the row writer and the record batch writer share. */
class StreamW {
  readonly #options: Options;

  constructor(options: Options, schema: Schema, overwrite: boolean) {
    this.#options = options;
    log(options, "writer.__init__", { schema: ddlOf(schema), overwrite });
  }

  /**
   * Writes a partition and logs the calls. `idsOf` returns the ids in an item, and `kindOf` returns
   * Spark's name for the item's class.
   */
  async write<Item>(
    source: AsyncIterable<Item>,
    task: TaskContext,
    kindOf: (item: Item) => string,
    idsOf: (item: Item) => Iterable<unknown>,
  ): Promise<Message | undefined> {
    const options = this.#options;
    const where = { partition: task.partitionId, batch: task.batchId };
    log(options, "writer.write:enter", {}, task);
    fault(options, "write:enter", where, task);
    const named = { partition: task.partitionId, attempt: task.attemptNumber };
    if (options["no_consume"] === "true") {
      log(options, "writer.write:return-without-consuming", {}, task);
      return { ...named, rows: -1, lo: -1, hi: -1 };
    }
    const kinds = new Set<string>();
    const ids: number[] = [];
    let items = 0;
    for await (const item of source) {
      items++;
      kinds.add(kindOf(item));
      for (const id of idsOf(item)) ids.push(Number(id));
    }
    fault(options, "write", where, task);
    const rows = ids.length;
    const range = rows === 0 ? { lo: null, hi: null } : { lo: Math.min(...ids), hi: Math.max(...ids) };
    log(options, "writer.write:exit", { items, kinds: [...kinds].sort(), rows, ...range }, task);
    const ret = options["ret"] ?? "msg";
    if (ret === "none") return undefined;
    return ret === "msg" ? { ...named, rows, ...range } : { rows };
  }

  commit(messages: readonly (Message | null)[], batchId: number): void {
    log(this.#options, "writer.commit", { messages, batchId });
    fault(this.#options, "commit", { batch: batchId });
    log(this.#options, "writer.commit:return", { batchId });
  }

  abort(messages: readonly (Message | null)[], batchId: number): void {
    log(this.#options, "writer.abort", { messages, batchId });
    fault(this.#options, "abort", { batch: batchId });
  }
}

class ArrowW extends DataSourceStreamArrowWriter<Message> {
  readonly #writer: StreamW;

  constructor(writer: StreamW) {
    super();
    this.#writer = writer;
  }

  override async write(batches: AsyncIterable<RecordBatch>, task: TaskContext): Promise<Message | undefined> {
    return await this.#writer.write(batches, task, kindOfBatch, (batch) => batch.getChildAt(0) ?? []);
  }

  override commit(messages: readonly (Message | null)[], batchId: number, _batch: BatchContext): void {
    this.#writer.commit(messages, batchId);
  }

  override abort(messages: readonly (Message | null)[], batchId: number, _batch: BatchContext): void {
    this.#writer.abort(messages, batchId);
  }
}

class RowW extends DataSourceStreamWriter<Message> {
  readonly #writer: StreamW;

  constructor(writer: StreamW) {
    super();
    this.#writer = writer;
  }

  override async write(rows: AsyncIterable<NamedRow>, task: TaskContext): Promise<Message | undefined> {
    return await this.#writer.write(rows, task, kindOfRow, (row) => [row["id"]]);
  }

  override commit(messages: readonly (Message | null)[], batchId: number, _batch: BatchContext): void {
    this.#writer.commit(messages, batchId);
  }

  override abort(messages: readonly (Message | null)[], batchId: number, _batch: BatchContext): void {
    this.#writer.abort(messages, batchId);
  }
}

/** Returns a writer of rows or of record batches, as the option `writer` says. */
export function streamWriter(options: Options, schema: Schema, overwrite: boolean): StreamWriter<unknown> {
  const writer = new StreamW(options, schema, overwrite);
  return options["writer"] === "row" ? new RowW(writer) : new ArrowW(writer);
}
