import type { RecordBatch, Schema } from "apache-arrow";
import { DataSourceReader } from "../../../shared/contract/batch-reader.ts";
import type { SaveMode as PipelineSaveMode } from "../../../shared/contract/batch-writer.ts";
import { DataSource, type DataSourceClass } from "../../../shared/contract/data-source.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import { DataSourceStreamReader, type NamedRow } from "../../../shared/contract/stream-reader.ts";
import {
  DataSourceV2,
  type DataSourceWriter,
  type DataWriter,
  type DataWriterFactory,
  type OutputMode,
  SaveMode,
  type StreamWriter,
  type StreamWriteSupport,
  type WriterSupport,
} from "../../../shared/contract/write/spark-2.3/index.ts";
import { EngineWorld, type Run } from "../../support/engine.ts";

type Message = { partition: number; attempt: number; ids: number[] };

/** The calls of one test, and what they shall do. */
export class Script {
  readonly calls: string[] = [];
  /** The rows that readers of the target see. */
  readonly table: number[] = [];
  /** The ids of each partition of the source. */
  partitions: number[][] = [[1, 2], [3]];
  /** Called at each call. If this function throws, the call fails with the same error. */
  fault: (call: string) => void = () => undefined;
  /** Awaited while an attempt of a task commits. */
  duringCommit: (attempt: number) => Promise<unknown> = async () => undefined;
  /** Returned in place of the object that the interface asks for. */
  readonly replaced: Record<string, unknown> = {};
  form?: "rows" | "arrow";

  call(name: string, ...args: readonly unknown[]): void {
    const text = `${name}(${args.map((arg) => JSON.stringify(arg)).join(", ")})`;
    this.calls.push(text);
    this.fault(text);
  }

  /** Returns the calls since the last time. */
  take(): string[] {
    return this.calls.splice(0);
  }
}

class AttemptWriter implements DataWriter<NamedRow | RecordBatch, Message> {
  readonly form: "rows" | "arrow";
  readonly #script: Script;
  readonly #message: Message;

  constructor(script: Script, partition: number, attempt: number) {
    this.form = script.form ?? "rows";
    this.#script = script;
    this.#message = { partition, attempt, ids: [] };
  }
  write(record: NamedRow | RecordBatch): void {
    const ids =
      this.form === "arrow" ? [...(record as RecordBatch)].map(({ id }) => id) : [record["id" as never]];
    this.#script.call("write", this.#message.partition, ...ids);
    this.#message.ids.push(...ids);
  }
  async commit(): Promise<Message> {
    this.#script.call("commitTask", this.#message.partition, this.#message.attempt);
    await this.#script.duringCommit(this.#message.attempt);
    return this.#message;
  }
  abort(): void {
    this.#script.call("abortTask", this.#message.partition, this.#message.attempt);
  }
  close(): void {
    this.#script.call("close");
  }
}

function recorder(script: Script) {
  class Factory implements DataWriterFactory<Message> {
    createDataWriter(partitionId: number, attemptNumber: number): DataWriter<never, Message> {
      script.call("createDataWriter", partitionId, attemptNumber);
      return (script.replaced["createDataWriter"] ??
        new AttemptWriter(script, partitionId, attemptNumber)) as never;
    }
  }

  const factory = () => {
    script.call("createWriterFactory");
    return (script.replaced["createWriterFactory"] ?? new Factory()) as Factory;
  };
  const ids = (messages: readonly (Message | null)[]) => messages.map((message) => message?.ids ?? null);

  class BatchWriter implements DataSourceWriter<Message> {
    readonly #mode: SaveMode;

    constructor(mode: SaveMode) {
      this.#mode = mode;
    }
    createWriterFactory = factory;
    commit(messages: readonly (Message | null)[]): void {
      script.call("commit", ids(messages));
      if (this.#mode === SaveMode.Overwrite) script.table.length = 0;
      script.table.push(...messages.flatMap((message) => message?.ids ?? []));
    }
    abort(messages: readonly (Message | null)[]): void {
      script.call("abort", ids(messages));
    }
  }

  class EpochWriter implements StreamWriter<Message> {
    createWriterFactory = factory;
    commit(epochId: number, messages: readonly (Message | null)[]): void {
      script.call("commit", epochId, ids(messages));
    }
    abort(epochId: number, messages: readonly (Message | null)[]): void {
      script.call("abort", epochId, ids(messages));
    }
  }

  /** Keeps to the modes, as the interface asks. */
  return class Rec
    extends DataSourceV2<{ readonly path?: string }>
    implements WriterSupport, StreamWriteSupport
  {
    createWriter(jobId: string, _schema: Schema, mode: SaveMode): DataSourceWriter<unknown> | undefined {
      script.call("createWriter", jobId, mode);
      if (script.table.length > 0 && mode === SaveMode.ErrorIfExists) throw new Error("there are rows");
      if (script.table.length > 0 && mode === SaveMode.Ignore) return undefined;
      return (script.replaced["createWriter"] as undefined) ?? new BatchWriter(mode);
    }
    createStreamWriter(queryId: string, _schema: Schema, outputMode: OutputMode): StreamWriter<unknown> {
      script.call("createStreamWriter", queryId, outputMode);
      return (script.replaced["createStreamWriter"] as undefined) ?? new EpochWriter();
    }
  };
}

export function source(script: Script): DataSourceClass<object> {
  class BatchReader extends DataSourceReader<number[]> {
    override partitions = () => script.partitions;
    override *read(ids: number[]) {
      for (const id of ids) yield { id };
    }
  }
  class StreamReader extends DataSourceStreamReader<{ n: number }, number[]> {
    override initialOffset = () => ({ n: 0 });
    override latestOffset = () => ({ n: 1 });
    override partitions = () => script.partitions;
    override *read(ids: number[]) {
      for (const id of ids) yield { id };
    }
  }
  return class Ids extends DataSource<object> {
    override schema = () => "id int NOT NULL";
    override reader = () => new BatchReader() as never;
    override streamReader = () => new StreamReader() as never;
  };
}

export const JOB = '"20261121000000-00000000-0000-4000-8000-';

/** Leaves out the plan id, which is random. */
export const brief = (calls: readonly string[]) =>
  calls.map((call) => call.replace(/"\d{14}-[-\w]+"/, "JOB"));

export class Stage {
  readonly script = new Script();
  readonly world = new EngineWorld();

  async run(mode: PipelineSaveMode = "append"): Promise<Run> {
    const { script, world } = this;
    const batch = pipeline("numbers").read.format(source(script)).write.format(recorder(script)).mode(mode);
    return await world.run(batch as unknown as Pipeline, "a");
  }

  async stream(outputMode: "append" | "complete" = "append"): Promise<Run> {
    const { script, world } = this;
    const stream = pipeline("numbers").readStream.format(source(script)).writeStream.format(recorder(script));
    return await world.run(stream.outputMode(outputMode) as unknown as Pipeline, "a");
  }
}
