import { DataSource, type DataSourceClass } from "../../shared/contract/data-source.ts";
import type { NamedRow } from "../../shared/contract/stream-reader.ts";
import { BatchWrite, StreamingWrite } from "../../shared/contract/write/batch-write.ts";
import { DataWriter } from "../../shared/contract/write/data-writer.ts";
import { CustomSumMetric } from "../../shared/contract/write/metrics.ts";
import type { SupportsWrite, TableCapability } from "../../shared/contract/write/table.ts";
import { V1Write, Write } from "../../shared/contract/write/write.ts";
import type { WriteBuilder } from "../../shared/contract/write/write-builder.ts";
import type { LogicalWriteInfo, PhysicalWriteInfo } from "../../shared/contract/write/write-info.ts";

/** What a `RecordingTable` does, and what was called of it. */
export interface Recording {
  /** The calls, each as `name` or `name argument`. */
  readonly calls: string[];
  readonly infos: LogicalWriteInfo[];
  readonly rows: NamedRow[];
  capabilities: readonly TableCapability[];
  /** The columns of the table. Absent: it has no columns that the engine knows. */
  schema?: string;
  /** Methods that the builder has besides `build`. */
  builder: readonly ("truncate" | "overwrite" | "overwriteDynamicPartitions")[];
  isCoordinated: boolean;
  isV1: boolean;
  /** Fields of the factory, besides its method. */
  factory: () => object;
  /** True if the write restores a factory from its recorded fields. */
  restores: boolean;
  /** Called with the name of each call and its argument; what it throws, the call throws. */
  fault: (call: string, argument: unknown) => void;
  /** What the writer of a task waits for in its commit; the number counts its writers. */
  gate: (writer: number) => Promise<void>;
  /** The values that the driver reports. */
  driverMetrics: Readonly<Record<string, number>>;
}

/** Returns a recording, and the class of a data source with a table that logs its calls in it. */
export function recordingTable(settings: Partial<Recording> = {}): {
  recording: Recording;
  dataSource: DataSourceClass<object>;
} {
  const recording: Recording = {
    calls: [],
    infos: [],
    rows: [],
    capabilities: ["BATCH_WRITE", "STREAMING_WRITE", "TRUNCATE", "OVERWRITE_BY_FILTER", "OVERWRITE_DYNAMIC"],
    builder: ["truncate", "overwrite", "overwriteDynamicPartitions"],
    isCoordinated: true,
    isV1: false,
    factory: () => ({}),
    restores: false,
    fault: () => undefined,
    gate: async () => undefined,
    driverMetrics: {},
    ...settings,
  };
  class Recorded extends DataSource<object> {
    static override readonly name: string = "recorded";
    override table(): SupportsWrite {
      return tableOf(recording);
    }
  }
  return { recording, dataSource: Recorded };
}

/** Notes a call, and throws what the test wants it to throw. */
function note(recording: Recording, call: string, argument?: unknown): void {
  recording.calls.push(argument === undefined ? call : `${call} ${JSON.stringify(argument)}`);
  recording.fault(call, argument);
}

function tableOf(recording: Recording): SupportsWrite {
  return {
    name: "t",
    capabilities: new Set(recording.capabilities),
    ...(recording.schema === undefined ? {} : { schema: recording.schema }),
    newWriteBuilder(info) {
      note(recording, "newWriteBuilder");
      recording.infos.push(info);
      return builderOf(recording);
    },
  };
}

function builderOf(recording: Recording): WriteBuilder {
  const builder = {
    build(): Write {
      note(recording, "build");
      return recording.isV1 ? new RecordedV1Write(recording) : new RecordedWrite(recording);
    },
  };
  const further = {
    truncate: () => told("truncate"),
    overwrite: (predicates: unknown) => told("overwrite", predicates),
    overwriteDynamicPartitions: () => told("overwriteDynamicPartitions"),
  };
  const told = (call: string, argument?: unknown): WriteBuilder => {
    note(recording, call, argument);
    return builder;
  };
  return Object.assign(
    { ...builder },
    Object.fromEntries(recording.builder.map((name) => [name, further[name]])),
  );
}

class RowsSeen extends CustomSumMetric {
  override readonly name = "rows";
  override readonly description = "rows seen";
}

class RecordedWrite extends Write {
  readonly #recording: Recording;

  constructor(recording: Recording) {
    super();
    this.#recording = recording;
  }

  override toBatch(): BatchWrite<unknown> {
    note(this.#recording, "toBatch");
    const write = new RecordedBatchWrite(this.#recording);
    return this.#recording.restores
      ? Object.assign(write, {
          restoreBatchWriterFactory: (fields: object) =>
            restored(this.#recording, "restoreBatchWriterFactory", fields),
        })
      : write;
  }

  override toStreaming(): StreamingWrite<unknown> {
    note(this.#recording, "toStreaming");
    const write = new RecordedStreamingWrite(this.#recording);
    return this.#recording.restores
      ? Object.assign(write, {
          restoreStreamingWriterFactory: (fields: object) =>
            restored(this.#recording, "restoreStreamingWriterFactory", fields),
        })
      : write;
  }

  override supportedCustomMetrics() {
    return [new RowsSeen()];
  }

  override reportDriverMetrics() {
    note(this.#recording, "reportDriverMetrics");
    return valuesOf(this.#recording.driverMetrics);
  }
}

class RecordedV1Write extends V1Write {
  readonly #recording: Recording;

  constructor(recording: Recording) {
    super();
    this.#recording = recording;
  }

  override toInsertableRelation() {
    note(this.#recording, "toInsertableRelation");
    return {
      insert: async (rows: AsyncIterable<NamedRow>, overwrite: boolean) => {
        const given = await Array.fromAsync(rows);
        note(this.#recording, "insert", [given.length, overwrite]);
        this.#recording.rows.push(...given);
      },
    };
  }

  override reportDriverMetrics() {
    note(this.#recording, "reportDriverMetrics");
    return valuesOf(this.#recording.driverMetrics);
  }
}

function valuesOf(metrics: Readonly<Record<string, number>>) {
  return Object.entries(metrics).map(([name, value]) => ({ name, value }));
}

class RecordedBatchWrite extends BatchWrite<unknown> {
  readonly #recording: Recording;

  constructor(recording: Recording) {
    super();
    this.#recording = recording;
  }

  override createBatchWriterFactory(info: PhysicalWriteInfo) {
    note(this.#recording, "createBatchWriterFactory", info.numPartitions);
    return factoryOf(this.#recording);
  }

  override useCommitCoordinator(): boolean {
    note(this.#recording, "useCommitCoordinator");
    return this.#recording.isCoordinated;
  }

  override onDataWriterCommit(message: unknown): void {
    note(this.#recording, "onDataWriterCommit", message);
  }

  override commit(messages: readonly unknown[], summary: unknown): void {
    note(this.#recording, "commit", [messages, summary]);
  }

  override abort(messages: readonly unknown[]): void {
    note(this.#recording, "abort", messages);
  }
}

class RecordedStreamingWrite extends StreamingWrite<unknown> {
  readonly #recording: Recording;

  constructor(recording: Recording) {
    super();
    this.#recording = recording;
  }

  override createStreamingWriterFactory(info: PhysicalWriteInfo) {
    note(this.#recording, "createStreamingWriterFactory", info.numPartitions);
    return factoryOf(this.#recording);
  }

  override useCommitCoordinator(): boolean {
    note(this.#recording, "useCommitCoordinator");
    return this.#recording.isCoordinated;
  }

  override commit(epochId: number, messages: readonly unknown[]): void {
    note(this.#recording, "commit", [epochId, messages]);
  }

  override abort(epochId: number, messages: readonly unknown[]): void {
    note(this.#recording, "abort", [epochId, messages]);
  }
}

const WRITERS = new WeakMap<Recording, number>();

function factoryOf(recording: Recording) {
  return {
    ...recording.factory(),
    createWriter(this: object, partitionId: number): DataWriter {
      const { createWriter: _method, ...fields } = this as Record<string, unknown>;
      note(recording, "createWriter", Object.keys(fields).length === 0 ? partitionId : [partitionId, fields]);
      return new RecordedWriter(recording, partitionId);
    },
  };
}

function restored(recording: Recording, call: string, fields: object) {
  note(recording, call, fields);
  return { ...factoryOf(recording), ...fields };
}

class RecordedWriter extends DataWriter {
  readonly #recording: Recording;
  readonly #partitionId: number;
  readonly #number: number;
  #rows = 0;

  constructor(recording: Recording, partitionId: number) {
    super();
    this.#number = WRITERS.get(recording) ?? 0;
    WRITERS.set(recording, this.#number + 1);
    this.#recording = recording;
    this.#partitionId = partitionId;
  }

  override write(_row: NamedRow): void {
    this.#rows++;
    this.#recording.fault("write", this.#partitionId);
  }

  override async commit() {
    note(this.#recording, "writer.commit", this.#partitionId);
    await this.#recording.gate(this.#number);
    return { partition: this.#partitionId, rows: this.#rows };
  }

  override abort(): void {
    note(this.#recording, "writer.abort", this.#partitionId);
  }

  override close(): void {
    note(this.#recording, "writer.close", this.#partitionId);
  }

  override currentMetricsValues() {
    this.#recording.fault("currentMetricsValues", this.#rows);
    return [{ name: "rows", value: this.#rows }];
  }
}
