import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { Schema as ArrowSchema, type RecordBatch, type Schema } from "apache-arrow";
import { openStore } from "../../../local/home.ts";
import { Iceberg, type IcebergOptions } from "../../../shared/connectors/iceberg/index.ts";
import type { IcebergSink } from "../../../shared/connectors/iceberg/sink/table.ts";
import type { BatchContext, DataSourceRuntime, TaskContext } from "../../../shared/contract/context.ts";
import type { JsonValue } from "../../../shared/contract/json.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import type { OpenBatch, VacuumResult } from "../../../shared/contract/stream-writer.ts";
import type { StreamingWrite } from "../../../shared/contract/write/batch-write.ts";
import type { AnyDataWriter } from "../../../shared/contract/write/data-writer.ts";
import type { OnSchemaChange } from "../../../shared/contract/write/write-info.ts";
import { MemoryStore } from "../../../shared/platform/memory/memory-store.ts";

/** What the engine's ledger records of a planned batch. */
export type Recorded = Readonly<Record<string, JsonValue>>;

/** A batch, as far as it differs from the usual one. */
export interface BatchName {
  readonly batchId: number;
  readonly planId?: string;
  readonly attempt?: number;
}

export interface StreamOptions {
  readonly pipeline?: string;
  readonly incarnation?: string;
  readonly onSchemaChange?: OnSchemaChange;
  readonly runtime?: Partial<DataSourceRuntime>;
}

/** Longest pause of a test, in milliseconds. The sink waits longer after conflicts. */
const LONGEST_SLEEP = 20;

/** Returns a runtime for a sink, whose files are in folders of this machine. */
export function sinkRuntime(overrides: Partial<DataSourceRuntime> = {}): DataSourceRuntime {
  const now = () => Date.now();
  return {
    now,
    monotonic: () => Math.floor(performance.now()),
    newId: randomUUID,
    random: Math.random,
    sleep: async (milliseconds, signal) => {
      await setTimeout(Math.min(milliseconds, LONGEST_SLEEP), undefined, signal && { signal });
    },
    env: process.env,
    store: new MemoryStore({ objects: new Map(), uploads: new Map(), now }),
    openStore,
    ...overrides,
  };
}

/**
 * Drives the sink as the engine does: a batch is planned, its tasks stage files, and it is
 * committed. What the ledger records in between is JSON, so each step can run in another process.
 */
export class IcebergStream {
  readonly #options: IcebergOptions;
  readonly #settings: StreamOptions;
  readonly #runtime: DataSourceRuntime;

  constructor(options: IcebergOptions, settings: StreamOptions = {}) {
    this.#options = options;
    this.#settings = settings;
    this.#runtime = sinkRuntime(settings.runtime);
  }

  context({ batchId, planId = `plan-${batchId}`, attempt = 1 }: BatchName): BatchContext {
    const { pipeline = "orders", incarnation = "life-1" } = this.#settings;
    const before = { incarnation, batchId: batchId - 1, planId: `plan-${batchId - 1}` };
    return {
      pipeline,
      incarnation,
      batchId,
      planId,
      start: { n: batchId },
      end: { n: batchId + 1 },
      ...(batchId === 0 ? {} : { follows: before }),
      continuity: "strict",
      formerIncarnations: [],
      attempt,
      commitTried: false,
      plannedAt: 0,
      store: this.#runtime.store,
      openStore: this.#runtime.openStore,
    };
  }

  /** Plans a batch. Creates the table if it does not exist. */
  async plan(schema: Schema): Promise<Recorded> {
    const write = await this.#open(schema);
    const factory = await write.createStreamingWriterFactory({ numPartitions: 1, inputPartitions: 1 });
    return JSON.parse(JSON.stringify(factory)) as Recorded;
  }

  /** Stages the rows of a planned batch, one task for each item of `tasks`. */
  async stage(
    recorded: Recorded,
    schema: Schema,
    tasks: readonly (readonly RecordBatch[] | AsyncIterable<RecordBatch>)[],
    batch: BatchName,
  ): Promise<JsonValue[]> {
    const messages: JsonValue[] = [];
    for (const [partitionId, batches] of tasks.entries()) {
      const context = this.context(batch);
      const task: TaskContext = {
        ...context,
        partitionId,
        attemptNumber: 0,
        signal: new AbortController().signal,
      };
      const write = await this.#restored(recorded, schema);
      const writer = (await write.factory.createWriter(
        partitionId,
        partitionId,
        context.batchId,
        task,
      )) as AnyDataWriter<JsonValue>;
      await writer.writeAll(arriving(batches) as never);
      messages.push((await writer.commit()) ?? null);
      await writer.close();
    }
    return JSON.parse(JSON.stringify(messages)) as JsonValue[];
  }

  /** Commits a staged batch. */
  async commit(
    recorded: Recorded,
    schema: Schema,
    messages: readonly JsonValue[],
    batch: BatchName,
  ): Promise<void> {
    const { write } = await this.#restored(recorded, schema);
    const context = this.context(batch);
    await write.commit(context.batchId, messages, context);
  }

  /** Undoes an attempt, as the engine does after a failed commit. */
  async abort(
    recorded: Recorded,
    schema: Schema,
    messages: readonly JsonValue[],
    batch: BatchName & { readonly commitTried: boolean },
  ): Promise<void> {
    const { write } = await this.#restored(recorded, schema);
    const context = { ...this.context(batch), commitTried: batch.commitTried };
    await write.abort(context.batchId, messages, context);
  }

  /** Writes a batch: all steps in one process. Returns what a replay of its commit needs. */
  async write(
    schema: Schema,
    tasks: readonly (readonly RecordBatch[])[],
    batch: BatchName,
  ): Promise<{ readonly recorded: Recorded; readonly messages: readonly JsonValue[] }> {
    const recorded = await this.plan(schema);
    const messages = await this.stage(recorded, schema, tasks, batch);
    await this.commit(recorded, schema, messages, batch);
    return { recorded, messages };
  }

  /** Removes what lost attempts left, however young it is. */
  async vacuum(openBatch?: OpenBatch): Promise<VacuumResult> {
    const sink = await this.#sink();
    return await sink.vacuum({
      ...this.context({ batchId: openBatch?.batchId ?? 0 }),
      now: this.#runtime.now(),
      olderThan: 0,
      dryRun: false,
      readOpenBatch: async () => openBatch,
    });
  }

  async #sink(): Promise<IcebergSink> {
    const options = await parseOptions(Iceberg, { ...this.#options });
    const source = new Iceberg(options, this.#runtime);
    return source.table(new ArrowSchema([])) as IcebergSink;
  }

  async #open(schema: Schema): Promise<StreamingWrite<JsonValue>> {
    const { onSchemaChange, incarnation = "life-1" } = this.#settings;
    const info = {
      queryId: incarnation,
      schema,
      options: {},
      plannedAt: 0,
      ...(onSchemaChange === undefined ? {} : { onSchemaChange }),
    };
    const write = (await this.#sink()).newWriteBuilder(info).build();
    return write.toStreaming() as StreamingWrite<JsonValue>;
  }

  async #restored(recorded: Recorded, schema: Schema) {
    const write = await this.#open(schema);
    const factory = await write.restoreStreamingWriterFactory?.(recorded);
    if (factory === undefined) throw new Error("the sink restores no factory");
    return { write, factory };
  }
}

async function* arriving(
  batches: readonly RecordBatch[] | AsyncIterable<RecordBatch>,
): AsyncGenerator<RecordBatch> {
  yield* batches;
}
