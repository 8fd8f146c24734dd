import type { BatchContext } from "../../../contract/context.ts";
import type { JsonValue } from "../../../contract/json.ts";
import { BatchWrite, StreamingWrite } from "../../../contract/write/batch-write.ts";
import type { CustomMetric } from "../../../contract/write/metrics.ts";
import type { WriteSummary } from "../../../contract/write/summary.ts";
import { Write } from "../../../contract/write/write.ts";
import type { SupportsDynamicOverwrite, SupportsTruncate } from "../../../contract/write/write-builder.ts";
import type { LogicalWriteInfo } from "../../../contract/write/write-info.ts";
import { commitBatch } from "./commit-batch.ts";
import { IcebergWriterFactory } from "./data-writer.ts";
import { type FilesMessage, filesOfMessages, namedFiles } from "./message.ts";
import type { SinkParts } from "./open-table.ts";
import type { Replaces } from "./replace-files.ts";
import { WRITE_METRICS } from "./write-metrics.ts";
import { filesIfThere, placeOf, planWrite, type RecordedPlan, readPlan } from "./write-plan.ts";

/** Notes which files of the table a write replaces. */
export class IcebergWriteBuilder implements SupportsTruncate, SupportsDynamicOverwrite {
  readonly #parts: SinkParts;
  readonly #info: LogicalWriteInfo;
  readonly #replaces: Replaces;

  constructor(parts: SinkParts, info: LogicalWriteInfo, replaces: Replaces = "none") {
    this.#parts = parts;
    this.#info = info;
    this.#replaces = replaces;
  }

  truncate(): IcebergWriteBuilder {
    return new IcebergWriteBuilder(this.#parts, this.#info, "all");
  }

  overwriteDynamicPartitions(): IcebergWriteBuilder {
    return new IcebergWriteBuilder(this.#parts, this.#info, "partitions");
  }

  build(): IcebergWrite {
    return new IcebergWrite(new TableWrite(this.#parts, this.#info, this.#replaces));
  }
}

class IcebergWrite extends Write {
  readonly #write: TableWrite;

  constructor(write: TableWrite) {
    super();
    this.#write = write;
  }

  override get description(): string {
    return this.#write.description;
  }

  override toBatch(): BatchWrite<unknown> {
    return new IcebergBatchWrite(this.#write) as BatchWrite<unknown>;
  }

  override toStreaming(): StreamingWrite<unknown> {
    return new IcebergStreamingWrite(this.#write) as StreamingWrite<unknown>;
  }

  override supportedCustomMetrics(): readonly CustomMetric[] {
    return WRITE_METRICS;
  }
}

type Fields = Readonly<Record<string, JsonValue>>;
type Messages = readonly (FilesMessage | null)[];

/** What the writes of a batch and of a stream have in common. */
class TableWrite {
  readonly #parts: SinkParts;
  readonly #info: LogicalWriteInfo;
  readonly #replaces: Replaces;
  #recorded: RecordedPlan | undefined;

  constructor(parts: SinkParts, info: LogicalWriteInfo, replaces: Replaces) {
    this.#parts = parts;
    this.#info = info;
    this.#replaces = replaces;
  }

  get description(): string {
    return `Iceberg table ${this.#parts.options.table}`;
  }

  /** Called in the step that plans the batch. */
  async newFactory(): Promise<IcebergWriterFactory> {
    return this.#factory(await planWrite(this.#parts, this.#info));
  }

  /** Called in all later steps. */
  restoredFactory(fields: Fields): IcebergWriterFactory {
    return this.#factory(fields["recorded"] as unknown as RecordedPlan);
  }

  #factory(recorded: RecordedPlan): IcebergWriterFactory {
    this.#recorded = recorded;
    return new IcebergWriterFactory(recorded, { ...this.#parts, rows: this.#info.schema });
  }

  async commit(messages: Messages, batch: BatchContext): Promise<void> {
    // A batch that was skipped by hand has no messages, and needs no plan.
    const recorded = messages.length === 0 ? undefined : this.#recorded;
    const plan = recorded === undefined ? undefined : await readPlan(this.#parts, recorded);
    await commitBatch(this.#parts, {
      batch,
      plan,
      added: plan === undefined ? [] : filesOfMessages(plan, messages),
      replaces: this.#replaces,
    });
  }

  async abort(messages: Messages, batch: BatchContext): Promise<void> {
    // A commit that was tried may still take effect and then needs the files.
    if (batch.commitTried || this.#recorded === undefined) return;
    const paths = messages.flatMap(namedFiles).map(({ path }) => path);
    if (paths.length === 0) return;
    const io = await filesIfThere(this.#parts, await placeOf(this.#parts, this.#recorded));
    await io?.delete(paths);
  }
}

/** What a task stages is invisible, so two attempts may stage at once. The ledger keeps one. */
const IS_COORDINATED = false;

class IcebergBatchWrite extends BatchWrite<FilesMessage> {
  readonly #write: TableWrite;

  constructor(write: TableWrite) {
    super();
    this.#write = write;
  }

  override createBatchWriterFactory(): Promise<IcebergWriterFactory> {
    return this.#write.newFactory();
  }

  override restoreBatchWriterFactory(fields: Fields): IcebergWriterFactory {
    return this.#write.restoredFactory(fields);
  }

  override useCommitCoordinator(): boolean {
    return IS_COORDINATED;
  }

  override commit(
    messages: Messages,
    _summary: WriteSummary | undefined,
    batch: BatchContext,
  ): Promise<void> {
    return this.#write.commit(messages, batch);
  }

  override abort(messages: Messages, batch: BatchContext): Promise<void> {
    return this.#write.abort(messages, batch);
  }
}

class IcebergStreamingWrite extends StreamingWrite<FilesMessage> {
  readonly #write: TableWrite;

  constructor(write: TableWrite) {
    super();
    this.#write = write;
  }

  override createStreamingWriterFactory(): Promise<IcebergWriterFactory> {
    return this.#write.newFactory();
  }

  override restoreStreamingWriterFactory(fields: Fields): IcebergWriterFactory {
    return this.#write.restoredFactory(fields);
  }

  override useCommitCoordinator(): boolean {
    return IS_COORDINATED;
  }

  override commit(_epochId: number, messages: Messages, batch: BatchContext): Promise<void> {
    return this.#write.commit(messages, batch);
  }

  override abort(_epochId: number, messages: Messages, batch: BatchContext): Promise<void> {
    return this.#write.abort(messages, batch);
  }
}
