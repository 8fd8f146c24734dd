import type { JsonValue } from "../../../shared/contract/json.ts";
import type { NamedRow } from "../../../shared/contract/stream-reader.ts";
import { DataWriter } from "../../../shared/contract/write/data-writer.ts";
import type { CustomTaskMetric } from "../../../shared/contract/write/metrics.ts";
import { log } from "./log.ts";
import type { OpRow } from "./op.ts";
import type { RecSettings } from "./rec-settings.ts";

/** The message of the recorded writers. */
export type Message = {
  readonly partition: number;
  readonly attempt: number;
  readonly taskId: number;
  readonly rows: number;
};

interface RecWriterParts {
  readonly settings: RecSettings;
  readonly columns: readonly string[];
  readonly partitionId: number;
  readonly attempt: number;
  readonly taskId: number;
  readonly epochId?: number;
}

/** The data writer of the recordings. It keeps its rows for the commit of the batch. */
export class RecWriter extends DataWriter<NamedRow, Message> {
  readonly #parts: RecWriterParts;
  readonly #rows: OpRow[] = [];

  constructor(parts: RecWriterParts) {
    super();
    this.#parts = parts;
  }

  override async writeAll(records: AsyncIterable<NamedRow>): Promise<void> {
    log("DataWriter.writeAll");
    await this.#strike("DataWriter.writeAll");
    await super.writeAll(records);
  }

  override write(record: NamedRow): Promise<void> | undefined {
    const { columns, settings } = this.#parts;
    const row = columns.map((name) => jsonOf(record[name]));
    const n = this.#rows.push(row) - 1;
    if (!settings.isQuiet) log("DataWriter.write", { n, row });
    return this.#strike("DataWriter.write", n);
  }

  override async commit(): Promise<Message> {
    const { settings, partitionId: partition, attempt, taskId } = this.#parts;
    log("DataWriter.commit", { rows: this.#rows.length });
    await this.#strike("DataWriter.commit");
    settings.table.stage(taskId, this.#rows);
    const message: Message = { partition, attempt, taskId, rows: this.#rows.length };
    log("DataWriter.commit:return", { message });
    await this.#strike("DataWriter.commit:return");
    return message;
  }

  override async abort(): Promise<void> {
    log("DataWriter.abort");
    await this.#strike("DataWriter.abort");
    this.#parts.settings.table.drop(this.#parts.taskId);
  }

  override close(): Promise<void> | undefined {
    log("DataWriter.close");
    return this.#strike("DataWriter.close");
  }

  override currentMetricsValues(): readonly CustomTaskMetric[] {
    const { settings } = this.#parts;
    if (!settings.hasMetrics) return [];
    const rowsSeen = this.#rows.length;
    log("DataWriter.currentMetricsValues", { returns: [{ rowsSeen }] });
    settings.faults.strike("DataWriter.currentMetricsValues", this.#place());
    return [{ name: "rowsSeen", value: rowsSeen }];
  }

  #strike(point: string, n?: number): Promise<void> | undefined {
    return this.#parts.settings.faults.strikeLater(point, this.#place(n));
  }

  #place(n?: number) {
    const { partitionId, epochId } = this.#parts;
    return { partitionId, ...(n === undefined ? {} : { n }), ...(epochId === undefined ? {} : { epochId }) };
  }
}

/** Returns a value of a row as a recording has it. */
export function jsonOf(value: unknown): JsonValue {
  return typeof value === "bigint" ? Number(value) : ((value ?? null) as JsonValue);
}
