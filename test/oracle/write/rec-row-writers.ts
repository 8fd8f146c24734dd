import type { JsonValue } from "../../../shared/contract/json.ts";
import type { NamedRow } from "../../../shared/contract/stream-reader.ts";
import { DataWriter } from "../../../shared/contract/write/data-writer.ts";
import type { CustomTaskMetric } from "../../../shared/contract/write/metrics.ts";
import { DeltaWriter } from "../../../shared/contract/write/row-level.ts";
import type { LogicalWriteInfo } from "../../../shared/contract/write/write-info.ts";
import { log } from "./log.ts";
import type { OpRow } from "./op.ts";
import type { RecSettings } from "./rec-settings.ts";
import { jsonOf, type Message } from "./rec-writer.ts";
import type { Change } from "./tables.ts";

export interface RowWriterParts {
  readonly settings: RecSettings;
  readonly info: LogicalWriteInfo;
  readonly partitionId: number;
  readonly attempt: number;
  readonly taskId: number;
}

/** What both writers of row-level operations do. */
class RowWriter {
  readonly #parts: RowWriterParts;
  readonly changes: Change[] = [];

  constructor(parts: RowWriterParts) {
    this.#parts = parts;
  }

  row(row: NamedRow): OpRow {
    return this.#parts.info.schema.fields.map(({ name }) => jsonOf(row[name]));
  }

  id(id: NamedRow): OpRow {
    return (this.#parts.info.rowIdSchema?.fields ?? []).map(({ name }) => jsonOf(id[name]));
  }

  metadata(metadata: NamedRow | null): JsonValue {
    const { metadataSchema } = this.#parts.info;
    return metadata === null
      ? null
      : (metadataSchema?.fields ?? []).map(({ name }) => jsonOf(metadata[name]));
  }

  add(call: string, args: Record<string, JsonValue>, change: Change): Promise<void> | undefined {
    const n = this.changes.push(change) - 1;
    if (!this.#parts.settings.isQuiet) log(call, { n, ...args });
    const { partitionId } = this.#parts;
    return this.#parts.settings.faults.strikeLater(call, { partitionId, n });
  }

  async commit(): Promise<Message> {
    const { settings, partitionId: partition, attempt, taskId } = this.#parts;
    log("DataWriter.commit", { rows: this.changes.length });
    await settings.faults.strikeLater("DataWriter.commit", { partitionId: partition });
    settings.table.stageChanges(taskId, this.changes);
    const message: Message = { partition, attempt, taskId, rows: this.changes.length };
    log("DataWriter.commit:return", { message });
    await settings.faults.strikeLater("DataWriter.commit:return", { partitionId: partition });
    return message;
  }

  async abort(): Promise<void> {
    const { settings, partitionId, taskId } = this.#parts;
    log("DataWriter.abort");
    await settings.faults.strikeLater("DataWriter.abort", { partitionId });
    settings.table.drop(taskId);
  }

  close(): Promise<void> | undefined {
    log("DataWriter.close");
    return this.#parts.settings.faults.strikeLater("DataWriter.close", {
      partitionId: this.#parts.partitionId,
    });
  }

  metrics(): readonly CustomTaskMetric[] {
    if (!this.#parts.settings.hasMetrics) return [];
    const rowsSeen = this.changes.length;
    log("DataWriter.currentMetricsValues", { returns: [{ rowsSeen }] });
    return [{ name: "rowsSeen", value: rowsSeen }];
  }
}

/** The writer of the group form. */
export class RecGroupWriter extends DataWriter<NamedRow, Message> {
  readonly #rows: RowWriter;

  constructor(parts: RowWriterParts) {
    super();
    this.#rows = new RowWriter(parts);
  }

  override write(record: NamedRow): Promise<void> | undefined {
    const row = this.#rows.row(record);
    return this.#rows.add("DataWriter.write", { row }, { row });
  }

  override writeWithMetadata(given: NamedRow, record: NamedRow): Promise<void> | undefined {
    const [metadata, row] = [this.#rows.metadata(given), this.#rows.row(record)];
    return this.#rows.add("DataWriter.write(metadata,record)", { metadata, row }, { row });
  }

  override async writeAll(): Promise<never> {
    throw new Error("rows of a row-level operation come one by one");
  }

  override commit(): Promise<Message> {
    return this.#rows.commit();
  }

  override abort(): Promise<void> {
    return this.#rows.abort();
  }

  override close(): Promise<void> | undefined {
    return this.#rows.close();
  }

  override currentMetricsValues(): readonly CustomTaskMetric[] {
    return this.#rows.metrics();
  }
}

/** The writer of the delta form. */
export class RecDeltaWriter extends DeltaWriter<Message> {
  readonly #rows: RowWriter;

  constructor(parts: RowWriterParts) {
    super();
    this.#rows = new RowWriter(parts);
  }

  override delete(given: NamedRow | null, row: NamedRow): Promise<void> | undefined {
    const [metadata, id] = [this.#rows.metadata(given), this.#rows.id(row)];
    return this.#rows.add("DeltaWriter.delete", { metadata, id }, { id });
  }

  override update(given: NamedRow | null, old: NamedRow, record: NamedRow): Promise<void> | undefined {
    const [metadata, id, row] = [this.#rows.metadata(given), this.#rows.id(old), this.#rows.row(record)];
    return this.#rows.add("DeltaWriter.update", { metadata, id, row }, { id, row });
  }

  override reinsert(given: NamedRow | null, record: NamedRow): Promise<void> | undefined {
    const [metadata, row] = [this.#rows.metadata(given), this.#rows.row(record)];
    return this.#rows.add("DeltaWriter.reinsert", { metadata, row }, { row });
  }

  override insert(record: NamedRow): Promise<void> | undefined {
    const row = this.#rows.row(record);
    return this.#rows.add("DeltaWriter.insert", { row }, { row });
  }

  override commit(): Promise<Message> {
    return this.#rows.commit();
  }

  override abort(): Promise<void> {
    return this.#rows.abort();
  }

  override close(): Promise<void> | undefined {
    return this.#rows.close();
  }

  override currentMetricsValues(): readonly CustomTaskMetric[] {
    return this.#rows.metrics();
  }
}
