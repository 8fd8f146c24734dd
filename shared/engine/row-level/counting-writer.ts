import type { RecordBatch } from "apache-arrow";
import type { Awaitable, NamedRow } from "../../contract/stream-reader.ts";
import { type AnyDataWriter, DataWriter } from "../../contract/write/data-writer.ts";
import type { CustomTaskMetric } from "../../contract/write/metrics.ts";
import type { CountsRows } from "../sessions/engine-write.ts";

/** A row, or a record batch. */
type AnyRecord = NamedRow | RecordBatch;

/** A writer of the table that gets rows as they are, and counts them. */
export class CountingWriter extends DataWriter<AnyRecord, unknown> implements CountsRows {
  override readonly form: "rows" | "arrow";
  readonly #writer: DataWriter<AnyRecord, unknown>;
  readonly #name: string;
  #rows = 0;

  constructor(writer: AnyDataWriter<never>, name: string) {
    super();
    this.form = writer.form;
    this.#writer = writer as unknown as DataWriter<AnyRecord, unknown>;
    this.#name = name;
  }

  override write(record: AnyRecord): Awaitable<void> {
    this.#count(record);
    return this.#writer.write(record);
  }

  override async writeAll(records: AsyncIterable<AnyRecord>): Promise<void> {
    await this.#writer.writeAll(this.#counted(records));
  }

  async *#counted(records: AsyncIterable<AnyRecord>): AsyncGenerator<AnyRecord> {
    for await (const record of records) {
      this.#count(record);
      yield record;
    }
  }

  #count(record: AnyRecord): void {
    this.#rows += this.form === "arrow" ? (record as RecordBatch).numRows : 1;
  }

  counts(): Readonly<Record<string, number>> {
    return { [this.#name]: this.#rows };
  }

  override commit(): Awaitable<unknown> {
    return this.#writer.commit();
  }

  override abort(): Awaitable<void> {
    return this.#writer.abort();
  }

  override close(): Awaitable<void> {
    return this.#writer.close();
  }

  override currentMetricsValues(): readonly CustomTaskMetric[] {
    return this.#writer.currentMetricsValues();
  }
}
