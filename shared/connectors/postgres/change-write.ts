import type { BatchContext, Runtime, TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { NamedRow } from "../../contract/stream-reader.ts";
import { CustomSumMetric, type CustomTaskMetric } from "../../contract/write/metrics.ts";
import {
  DeltaBatchWrite,
  DeltaStreamingWrite,
  type DeltaStreamingWriterFactory,
  DeltaWrite,
  DeltaWriter,
  type DeltaWriterFactory,
} from "../../contract/write/row-level.ts";
import { dropAborted, type StagedRows } from "../kit/staging.ts";
import { CHANGE, type ChangeLayout, ChangeStage } from "./staged-changes.ts";

/** What a write of changes does that is not the same for all of them. */
export interface ChangeCommit {
  /** Name of the write, for people. */
  readonly description: string;
  readonly layout: ChangeLayout;
  readonly runtime: Runtime;
  /** True if an id that is null is an error of the row. */
  readonly refusesNullIds: boolean;
  readonly metrics: readonly CustomSumMetric[];
  /** Checks the table in the step that plans the batch. */
  check(): Promise<void>;
  /** Commits the batch, and returns the values of the metrics. */
  commit(messages: readonly (StagedRows | null)[], batch: BatchContext): Promise<readonly CustomTaskMetric[]>;
}

/** A metric that only the commit knows. */
export class CommitMetric extends CustomSumMetric {
  override readonly name: string;
  override readonly description: string;

  constructor(name: string, description: string) {
    super();
    this.name = name;
    this.description = description;
  }
}

/** A write of changes, which tasks stage and the commit applies in one transaction. */
export class ChangeWrite extends DeltaWrite {
  readonly #parts: ChangeCommit;
  #values: readonly CustomTaskMetric[] = [];

  constructor(parts: ChangeCommit) {
    super();
    this.#parts = parts;
  }

  override get description(): string {
    return this.#parts.description;
  }

  override toBatch(): DeltaBatchWrite<unknown> {
    return new ChangeBatchWrite(this.#parts, this.#commit) as DeltaBatchWrite<unknown>;
  }

  override toStreaming(): DeltaStreamingWrite<unknown> {
    return new ChangeStreamingWrite(this.#parts, this.#commit) as DeltaStreamingWrite<unknown>;
  }

  readonly #commit: Commit = async (messages, batch) => {
    this.#values = await this.#parts.commit(messages, batch);
  };

  override supportedCustomMetrics(): readonly CustomSumMetric[] {
    return this.#parts.metrics;
  }

  override reportDriverMetrics(): readonly CustomTaskMetric[] {
    return this.#values;
  }
}

type Messages = readonly (StagedRows | null)[];
type Commit = (messages: Messages, batch: BatchContext) => Promise<void>;

class ChangeBatchWrite extends DeltaBatchWrite<StagedRows> {
  readonly #parts: ChangeCommit;
  readonly #commit: Commit;

  constructor(parts: ChangeCommit, commit: Commit) {
    super();
    this.#parts = parts;
    this.#commit = commit;
  }

  override async createBatchWriterFactory(): Promise<DeltaWriterFactory<StagedRows>> {
    await this.#parts.check();
    return new BatchFactory(this.#parts);
  }

  /** Tasks and the commit do not check the table again. */
  override restoreBatchWriterFactory(): DeltaWriterFactory<StagedRows> {
    return new BatchFactory(this.#parts);
  }

  /** What a task stages is invisible, so two attempts may stage at once. The ledger keeps one. */
  override useCommitCoordinator(): boolean {
    return false;
  }

  override async commit(messages: Messages, _summary: unknown, batch: BatchContext): Promise<void> {
    await this.#commit(messages, batch);
  }

  override async abort(messages: Messages, batch: BatchContext): Promise<void> {
    await dropAborted(messages, batch);
  }
}

class ChangeStreamingWrite extends DeltaStreamingWrite<StagedRows> {
  readonly #parts: ChangeCommit;
  readonly #commit: Commit;

  constructor(parts: ChangeCommit, commit: Commit) {
    super();
    this.#parts = parts;
    this.#commit = commit;
  }

  override async createStreamingWriterFactory(): Promise<DeltaStreamingWriterFactory<StagedRows>> {
    await this.#parts.check();
    return new StreamingFactory(this.#parts);
  }

  override restoreStreamingWriterFactory(): DeltaStreamingWriterFactory<StagedRows> {
    return new StreamingFactory(this.#parts);
  }

  override useCommitCoordinator(): boolean {
    return false;
  }

  override async commit(_epochId: number, messages: Messages, batch: BatchContext): Promise<void> {
    await this.#commit(messages, batch);
  }

  override async abort(_epochId: number, messages: Messages, batch: BatchContext): Promise<void> {
    await dropAborted(messages, batch);
  }
}

class BatchFactory implements DeltaWriterFactory<StagedRows> {
  readonly #parts: ChangeCommit;

  constructor(parts: ChangeCommit) {
    this.#parts = parts;
  }

  createWriter(_partitionId: number, _taskId: number, task: TaskContext): ChangeWriter {
    return new ChangeWriter(this.#parts, task);
  }
}

class StreamingFactory implements DeltaStreamingWriterFactory<StagedRows> {
  readonly #parts: ChangeCommit;

  constructor(parts: ChangeCommit) {
    this.#parts = parts;
  }

  createWriter(_partitionId: number, _taskId: number, _epochId: number, task: TaskContext): ChangeWriter {
    return new ChangeWriter(this.#parts, task);
  }
}

/** Stages the changes of one task attempt. */
class ChangeWriter extends DeltaWriter<StagedRows> {
  readonly #parts: ChangeCommit;
  readonly #stage: ChangeStage;

  constructor(parts: ChangeCommit, task: TaskContext) {
    super();
    this.#parts = parts;
    this.#stage = new ChangeStage(task, parts.runtime.newId(), parts.layout);
  }

  override delete(metadata: NamedRow | null, id: NamedRow): Promise<void> | undefined {
    this.#checkId(id);
    return this.#stage.add({ operation: CHANGE.delete, id, row: null, metadata });
  }

  override update(metadata: NamedRow | null, id: NamedRow, row: NamedRow): Promise<void> | undefined {
    this.#checkId(id);
    return this.#stage.add({ operation: CHANGE.update, id, row, metadata });
  }

  override insert(row: NamedRow): Promise<void> | undefined {
    return this.#stage.add({ operation: CHANGE.insert, id: null, row, metadata: null });
  }

  /** SQL takes nulls for different from each other, so such a row would never be found again. */
  #checkId(id: NamedRow): void {
    if (!this.#parts.refusesNullIds) return;
    const field = this.#parts.layout.ids.fields.find(({ name }) => id[name] == null);
    if (field === undefined) return;
    throw new MillraceError("KEY_IS_NULL", `field "${field.name}", which is one of the keys, is null`, {
      where: { field: field.name },
      hint: "Nothing was written. Leave such changes out where they are read.",
    });
  }

  override commit(): Promise<StagedRows> {
    return this.#stage.finish();
  }

  override abort(): Promise<void> {
    return this.#stage.drop();
  }
}
