import type { RecordBatch, Schema } from "apache-arrow";
import { DataSourceReader } from "../../shared/contract/batch-reader.ts";
import {
  type BatchWriter,
  DataSourceArrowWriter,
  DataSourceWriter,
} from "../../shared/contract/batch-writer.ts";
import type { DataSourceRuntime, TaskContext } from "../../shared/contract/context.ts";
import { DataSource } from "../../shared/contract/data-source.ts";
import type { Filter } from "../../shared/contract/filters.ts";
import type { JsonValue } from "../../shared/contract/json.ts";
import type { NamedRow, Row } from "../../shared/contract/stream-reader.ts";
import { type Part, reprOf } from "./batch-step.ts";
import { ddlOf, fault, log, type Options } from "./sources/log.ts";
import { isDriver } from "./sources/side.ts";
import { kindOfBatch, kindOfRow } from "./sources/stream-writer.ts";
import type { Args } from "./trace.ts";

/**
 * The batch source and sink of the recordings, ported from the oracle's sources.py. The original
 * has `parts` and `columns` in its code; the replay reads them from the recording.
 */

class BReader extends DataSourceReader<Part> {
  protected readonly options: Options;
  protected readonly seen: Filter[] = [];

  constructor(options: Options, schema: Schema) {
    super();
    this.options = options;
    log(options, "reader.__init__", { schema: ddlOf(schema) });
  }

  override partitions(): readonly Part[] {
    log(this.options, "reader.partitions", { filters_seen: shown(this.seen) });
    fault(this.options, "partitions", {});
    return JSON.parse(this.options["parts"] ?? "[]") as Part[];
  }

  override *read(part: Part, task: TaskContext): Generator<Row> {
    const where = { partition: reprOf(part) };
    log(this.options, "reader.read:enter", { ...where, filters_seen: shown(this.seen) }, task);
    for (let i = part.start; i < part.end; i++) yield [BigInt(i), `n${i}`, i];
    log(this.options, "reader.read:exit", where, task);
  }
}

class BPReader extends BReader {
  /**
   * The arguments of `pushFilters` in a task. They are logged in `read`, when the task is known.
   */
  #pushed: Args | undefined;

  override *pushFilters(filters: readonly Filter[]): Generator<Filter> {
    const args = { filters: shown(filters) };
    if (isDriver()) log(this.options, "reader.pushFilters", args);
    else this.#pushed = args;
    for (const filter of filters) {
      if (filter.kind === "EqualTo") this.seen.push(filter);
      else yield filter;
    }
  }

  override *read(part: Part, task: TaskContext): Generator<Row> {
    if (this.#pushed !== undefined) log(this.options, "reader.pushFilters", this.#pushed, task);
    yield* super.read(part, task);
  }
}

function shown(filters: readonly Filter[]): JsonValue[] {
  return JSON.parse(JSON.stringify(filters)) as JsonValue[];
}

type Message = { partition: number; attempt: number; rows: number; lo: 0; hi: 0 };

/** The code that the row writer and the record batch writer share. */
class BW {
  readonly #options: Options;
  readonly #tag = "set-in-init";

  constructor(options: Options, schema: Schema, overwrite: boolean) {
    this.#options = options;
    log(options, "writer.__init__", { schema: ddlOf(schema), overwrite });
  }

  async write<Item>(
    source: AsyncIterable<Item>,
    task: TaskContext,
    kindOf: (item: Item) => string,
    rowsIn: (item: Item) => number,
  ): Promise<Message> {
    log(this.#options, "writer.write:enter", { tag: this.#tag }, task);
    const kinds = new Set<string>();
    let rows = 0;
    for await (const item of source) {
      kinds.add(kindOf(item));
      rows += rowsIn(item);
    }
    fault(this.#options, "write", { partition: task.partitionId }, task);
    log(this.#options, "writer.write:exit", { rows, kinds: [...kinds].sort() }, task);
    return { partition: task.partitionId, attempt: task.attemptNumber, rows, lo: 0, hi: 0 };
  }

  commit(messages: readonly (Message | null)[]): void {
    log(this.#options, "writer.commit", { messages });
    fault(this.#options, "commit", {});
    log(this.#options, "writer.commit:return", {});
  }

  abort(messages: readonly (Message | null)[]): void {
    log(this.#options, "writer.abort", { messages });
    fault(this.#options, "abort", {});
  }
}

class BArrowW extends DataSourceArrowWriter<Message> {
  readonly #writer: BW;

  constructor(writer: BW) {
    super();
    this.#writer = writer;
  }

  override async write(batches: AsyncIterable<RecordBatch>, task: TaskContext): Promise<Message> {
    return await this.#writer.write(batches, task, kindOfBatch, (batch) => batch.numRows);
  }

  override commit(messages: readonly (Message | null)[]): void {
    this.#writer.commit(messages);
  }

  override abort(messages: readonly (Message | null)[]): void {
    this.#writer.abort(messages);
  }
}

class BRowW extends DataSourceWriter<Message> {
  readonly #writer: BW;

  constructor(writer: BW) {
    super();
    this.#writer = writer;
  }

  override async write(rows: AsyncIterable<NamedRow>, task: TaskContext): Promise<Message> {
    return await this.#writer.write(rows, task, kindOfRow, () => 1);
  }

  override commit(messages: readonly (Message | null)[]): void {
    this.#writer.commit(messages);
  }

  override abort(messages: readonly (Message | null)[]): void {
    this.#writer.abort(messages);
  }
}

/** Options that only the replay uses. The log leaves them out. */
const HIDDEN: ReadonlySet<string> = new Set(["trace", "fault", "parts", "columns"]);

export class B extends DataSource<Options> {
  static override readonly name: string = "FzBatch";

  constructor(options: Options, runtime: DataSourceRuntime) {
    super(options, runtime);
    const listed = Object.entries(options).filter(([name]) => !HIDDEN.has(name));
    log(options, "DataSource.__init__", {
      options: Object.fromEntries(listed),
      get_CaseTest: options["CaseTest"] ?? null,
      get_casetest: options["casetest"] ?? null,
    });
  }

  override schema(): string {
    log(this.options, "DataSource.schema", {});
    return this.options["columns"] ?? "";
  }

  override reader(schema: Schema): BReader {
    return new (this.options["push"] ? BPReader : BReader)(this.options, schema);
  }

  override writer(schema: Schema, overwrite: boolean): BatchWriter<Message> {
    const writer = new BW(this.options, schema, overwrite);
    return this.options["writer"] === "row" ? new BRowW(writer) : new BArrowW(writer);
  }
}

export interface RangeOptions {
  /** Schema of the rows as Spark DDL. */
  readonly columns: string;
  /** Number of rows in each partition. */
  readonly rows: readonly number[];
}

/**
 * A source of the rows that an action writes, like the DataFrame in Spark. It is not in the
 * recordings, so it does not log its calls.
 */
export class Range extends DataSource<RangeOptions> {
  override schema(): string {
    return this.options.columns;
  }

  override reader(schema: Schema): DataSourceReader<number> {
    const { rows } = this.options;
    class Reader extends DataSourceReader<number> {
      override partitions(): readonly number[] {
        return [...rows.keys()];
      }
      override *read(partition: number): Generator<Row> {
        const types = schema.fields.map(({ type }) => String(type));
        for (let i = 0; i < (rows[partition] ?? 0); i++)
          yield types.map((type) => (type === "Utf8" ? `n${i}` : i));
      }
    }
    return new Reader();
  }
}

/**
 * The sink of an action that reads. It drops the rows, which Spark's driver collects. It is not in
 * the recordings, so it does not log its calls.
 */
export class Nowhere extends DataSource {
  override writer(): BatchWriter<null> {
    class Writer extends DataSourceArrowWriter<null> {
      override async write(batches: AsyncIterable<RecordBatch>): Promise<null> {
        for await (const _ of batches);
        return null;
      }
      override commit(): void {}
      override abort(): void {}
    }
    return new Writer();
  }
}
