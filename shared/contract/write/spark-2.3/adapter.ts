import type { BatchContext } from "../../context.ts";
import { MillraceError } from "../../errors.ts";
import { kindOf } from "../../json.ts";
import type { Awaitable } from "../../stream-reader.ts";
import { BatchWrite, StreamingWrite } from "../batch-write.ts";
import type { DataWriterFactory, StreamingDataWriterFactory } from "../data-writer.ts";
import type { SupportsWrite, TableCapability } from "../table.ts";
import { Write } from "../write.ts";
import type { SupportsTruncate } from "../write-builder.ts";
import type { LogicalWriteInfo, PhysicalWriteInfo } from "../write-info.ts";
import { FactoryCarrier, StreamFactoryCarrier } from "./factory.ts";
import { OutputMode, saveModeOf } from "./modes.ts";
import type { DataSourceWriter, StreamWriter, StreamWriteSupport, WriterSupport } from "./writer.ts";

type Support<Options extends object> = Partial<WriterSupport<Options> & StreamWriteSupport<Options>>;

/** A table whose writes are made by a data source in the form of Spark 2.3. */
export class WriterSupportTable<Options extends object> implements SupportsWrite {
  readonly name: string;
  readonly capabilities: ReadonlySet<TableCapability>;
  readonly #options: Options;
  readonly #support: Support<Options>;

  constructor(name: string, options: Options, support: Support<Options>) {
    this.name = name;
    this.#options = options;
    this.#support = support;
    const ofBatches = ["BATCH_WRITE", "TRUNCATE"] as const;
    this.capabilities = new Set<TableCapability>([
      "ACCEPT_ANY_SCHEMA",
      ...(support.createWriter === undefined ? [] : ofBatches),
      ...(support.createStreamWriter === undefined ? [] : (["STREAMING_WRITE"] as const)),
    ]);
  }

  /** Returns false, because `createWriter` itself decides what its mode means for existing data. */
  exists(): boolean {
    return false;
  }

  newWriteBuilder(info: LogicalWriteInfo): WriterSupportBuilder {
    return new WriterSupportBuilder(async (replacesAll) => {
      if (info.saveMode === undefined) return await this.#streamWrite(info, replacesAll);
      const { schema, saveMode } = info;
      const mode = saveModeOf(saveMode, replacesAll);
      const writer: unknown = await this.#support.createWriter?.(jobId(info), schema, mode, this.#options);
      if (writer === undefined) return undefined;
      return new WriterSupportWrite(this.name, checkWriter("createWriter", writer));
    });
  }

  async #streamWrite({ queryId, schema }: LogicalWriteInfo, replacesAll: boolean): Promise<Write> {
    const outputMode = replacesAll ? OutputMode.Complete : OutputMode.Append;
    const writer = await this.#support.createStreamWriter?.(queryId, schema, outputMode, this.#options);
    return new StreamWriteSupportWrite(this.name, checkWriter("createStreamWriter", writer));
  }
}

/** Returns `yyyyMMddHHmmss-<plan id>`, in UTC. */
function jobId({ plannedAt, queryId }: LogicalWriteInfo): string {
  return `${new Date(plannedAt).toISOString().slice(0, 19).replace(/\D/g, "")}-${queryId}`;
}

/** Returns `writer` if it has the methods of both kinds of writers. Throws `WRITER_INVALID`. */
function checkWriter<W extends DataSourceWriter<unknown> | StreamWriter<unknown>>(
  method: string,
  writer: unknown,
): W {
  const methods = ["createWriterFactory", "commit", "abort"] as const;
  const made = writer as Readonly<Record<string, unknown>> | null | undefined;
  const missing = methods.filter((name) => typeof made?.[name] !== "function");
  if (missing.length === 0) return writer as W;
  const found =
    typeof writer === "object" && writer !== null
      ? `an object without ${missing.map((name) => `${name}()`).join(", ")}`
      : kindOf(writer);
  throw new MillraceError("WRITER_INVALID", `${method}() returned ${found}`, {
    hint: "Return an object with createWriterFactory(), commit() and abort(); createWriter() may also return undefined if there is nothing to write.",
  });
}

type MakeWrite = (replacesAll: boolean) => Promise<Write | undefined>;

class WriterSupportBuilder implements SupportsTruncate {
  readonly #make: MakeWrite;
  readonly #replacesAll: boolean;

  constructor(make: MakeWrite, replacesAll = false) {
    this.#make = make;
    this.#replacesAll = replacesAll;
  }

  truncate(): WriterSupportBuilder {
    return new WriterSupportBuilder(this.#make, true);
  }

  async build(): Promise<Write | undefined> {
    return await this.#make(this.#replacesAll);
  }
}

class WriterSupportWrite extends Write {
  readonly #name: string;
  readonly #writer: DataSourceWriter<unknown>;

  constructor(name: string, writer: DataSourceWriter<unknown>) {
    super();
    this.#name = name;
    this.#writer = writer;
  }

  override get description(): string {
    return this.#name;
  }

  override toBatch(): BatchWrite<unknown> {
    return new WriterBatchWrite(this.#writer);
  }
}

class StreamWriteSupportWrite extends Write {
  readonly #name: string;
  readonly #writer: StreamWriter<unknown>;

  constructor(name: string, writer: StreamWriter<unknown>) {
    super();
    this.#name = name;
    this.#writer = writer;
  }

  override get description(): string {
    return this.#name;
  }

  override toStreaming(): StreamingWrite<unknown> {
    return new WriterStreamingWrite(this.#writer);
  }
}

class WriterBatchWrite extends BatchWrite<unknown> {
  readonly #writer: DataSourceWriter<unknown>;
  #hasPartitions = true;

  constructor(writer: DataSourceWriter<unknown>) {
    super();
    this.#writer = writer;
  }

  override async createBatchWriterFactory(info: PhysicalWriteInfo): Promise<DataWriterFactory<unknown>> {
    this.#hasPartitions = info.inputPartitions > 0;
    return new FactoryCarrier(await this.#writer.createWriterFactory(), this.#hasPartitions);
  }

  override useCommitCoordinator(): boolean {
    return false;
  }

  override commit(messages: readonly unknown[], _summary: unknown, batch: BatchContext): Awaitable<unknown> {
    return this.#writer.commit(this.#hasPartitions ? messages : [], batch);
  }

  override abort(messages: readonly unknown[], batch: BatchContext): Awaitable<void> {
    return this.#writer.abort(this.#hasPartitions ? messages : [], batch);
  }
}

class WriterStreamingWrite extends StreamingWrite<unknown> {
  readonly #writer: StreamWriter<unknown>;
  #hasPartitions = true;

  constructor(writer: StreamWriter<unknown>) {
    super();
    this.#writer = writer;
  }

  override async createStreamingWriterFactory(
    info: PhysicalWriteInfo,
  ): Promise<StreamingDataWriterFactory<unknown>> {
    this.#hasPartitions = info.inputPartitions > 0;
    return new StreamFactoryCarrier(await this.#writer.createWriterFactory(), this.#hasPartitions);
  }

  override useCommitCoordinator(): boolean {
    return false;
  }

  override commit(epochId: number, messages: readonly unknown[], batch: BatchContext): Awaitable<unknown> {
    return this.#writer.commit(epochId, this.#hasPartitions ? messages : [], batch);
  }

  override abort(epochId: number, messages: readonly unknown[], batch: BatchContext): Awaitable<void> {
    return this.#writer.abort(epochId, this.#hasPartitions ? messages : [], batch);
  }
}
