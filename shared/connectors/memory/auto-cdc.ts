import type { BatchContext, TaskContext } from "../../contract/context.ts";
import type { NamedRow } from "../../contract/stream-reader.ts";
import type { AutoCdcInfo } from "../../contract/write/auto-cdc.ts";
import { type CustomMetric, CustomSumMetric, type CustomTaskMetric } from "../../contract/write/metrics.ts";
import {
  DeltaStreamingWrite,
  type DeltaStreamingWriterFactory,
  DeltaWrite,
  type DeltaWriteBuilder,
  DeltaWriter,
} from "../../contract/write/row-level.ts";
import { type Change, mergeChanges } from "./merge-changes.ts";
import { openTable, type StagedRows, type Table } from "./table.ts";

/** The number of changes that the tasks staged. */
class ChangesStaged extends CustomSumMetric {
  override readonly name = "changesStaged";
  override readonly description = "changes staged";
}

/** Builds the write of a stream of changes. */
export class MemoryAutoCdcBuilder implements DeltaWriteBuilder {
  readonly #table: Table;
  readonly #info: AutoCdcInfo;

  constructor(table: Table, info: AutoCdcInfo) {
    this.#table = table;
    this.#info = info;
  }

  build(): DeltaWrite {
    return new MemoryAutoCdcWrite(this.#table, this.#info);
  }
}

class MemoryAutoCdcWrite extends DeltaWrite {
  readonly #table: Table;
  readonly #info: AutoCdcInfo;

  constructor(table: Table, info: AutoCdcInfo) {
    super();
    this.#table = table;
    this.#info = info;
  }

  override get description(): string {
    return `memory table ${this.#table.name}`;
  }

  override toStreaming(): DeltaStreamingWrite<unknown> {
    return new MemoryAutoCdcStreamingWrite(this.#table, this.#info) as DeltaStreamingWrite<unknown>;
  }

  override supportedCustomMetrics(): readonly CustomMetric[] {
    return [new ChangesStaged()];
  }
}

/** Tasks stage changes; the commit merges them into the table in one step. */
class MemoryAutoCdcStreamingWrite extends DeltaStreamingWrite<StagedRows> {
  readonly #table: Table;
  readonly #info: AutoCdcInfo;

  constructor(table: Table, info: AutoCdcInfo) {
    super();
    this.#table = table;
    this.#info = info;
  }

  override createStreamingWriterFactory(): MemoryChangesFactory {
    return new MemoryChangesFactory(this.#table.name);
  }

  override commit(_epochId: number, messages: readonly (StagedRows | null)[], batch: BatchContext): void {
    const staged = messages.filter((message) => message !== null);
    this.#table.commitChanges(staged, batch, this.#info.schema, (rows, changes) =>
      mergeChanges(this.#table, rows, changes as readonly unknown[] as readonly Change[], this.#info),
    );
  }

  override abort(_epochId: number, messages: readonly (StagedRows | null)[], batch: BatchContext): void {
    // After a commit was tried, another run may try it again and need the staged changes.
    if (!batch.commitTried) this.#table.discard(messages.filter((message) => message !== null));
  }
}

/** Its fields travel to the tasks as JSON. */
class MemoryChangesFactory implements DeltaStreamingWriterFactory<StagedRows> {
  readonly table: string;

  constructor(table: string) {
    this.table = table;
  }

  createWriter(
    _partitionId: number,
    taskId: number,
    _epochId: number,
    { incarnation, batchId, attempt }: TaskContext,
  ): MemoryChangesWriter {
    return new MemoryChangesWriter(this.table, `${incarnation}/${batchId}/${attempt}/${taskId}`);
  }
}

/** Stages the changes of one task attempt. */
class MemoryChangesWriter extends DeltaWriter<StagedRows> {
  readonly #table: string;
  readonly #key: string;
  readonly #changes: Change[] = [];
  #staged: StagedRows | undefined;

  constructor(table: string, key: string) {
    super();
    this.#table = table;
    this.#key = key;
  }

  override update(metadata: NamedRow | null, id: NamedRow, row: NamedRow): void {
    this.#changes.push({ ...copied(metadata, id), row: { ...row } });
  }

  override delete(metadata: NamedRow | null, id: NamedRow): void {
    this.#changes.push(copied(metadata, id));
  }

  override insert(): never {
    throw new TypeError("a stream of changes has only updates and deletes");
  }

  override commit(): StagedRows {
    this.#staged = openTable(this.#table).stage(this.#key, this.#changes as readonly object[] as NamedRow[]);
    return this.#staged;
  }

  override abort(): void {
    if (this.#staged !== undefined) openTable(this.#table).discard([this.#staged]);
  }

  override currentMetricsValues(): readonly CustomTaskMetric[] {
    return [{ name: new ChangesStaged().name, value: this.#changes.length }];
  }
}

/** Copies what the engine may use again. */
function copied(metadata: NamedRow | null, id: NamedRow): Change {
  return { metadata: { ...metadata }, id: { ...id } };
}
