import { takesRows, type Writer, writesBatches } from "../batch-writer.ts";
import type { BatchContext, TaskContext } from "../context.ts";
import type { DataSource } from "../data-source.ts";
import type { SchemaLike } from "../schema-like.ts";
import type { Awaitable } from "../stream-reader.ts";
import type { SupportsTaskAbort } from "../stream-writer.ts";
import { BatchWrite, StreamingWrite } from "./batch-write.ts";
import { type AnyDataWriter, DataWriter } from "./data-writer.ts";
import type { Predicate } from "./predicates.ts";
import type { SupportsWrite, Table, TableCapability } from "./table.ts";
import { Write } from "./write.ts";
import type { SupportsDynamicOverwrite, SupportsOverwriteV2, SupportsTruncate } from "./write-builder.ts";
import type { LogicalWriteInfo } from "./write-info.ts";

/** Which rows of the table a write replaces. */
export type Disposition =
  | { readonly replaces: "none" }
  | { readonly replaces: "all" }
  | { readonly replaces: "matching"; readonly predicates: readonly Predicate[] }
  | { readonly replaces: "partitions" };

/** What a writer is made for. */
export type WriterInfo = Pick<LogicalWriteInfo, "schema" | "saveMode" | "onSchemaChange">;

/** The parts of a `WriterTable`. */
export interface WriterTableParts {
  readonly name: string;
  readonly capabilities: ReadonlySet<TableCapability>;
  readonly schema?: SchemaLike;
  readonly insteadOf?: NonNullable<Table["insteadOf"]>;
  /** Returns a new writer. */
  writer(disposition: Disposition, info: WriterInfo): Awaitable<Writer<unknown>>;
}

/**
 * A table whose writes are `Writer`s, in the form of PySpark's API. The questions of
 * `SupportsNewestBatch` and the like are asked of such a writer instead of the table.
 */
export class WriterTable implements SupportsWrite {
  /** Identifies the class even if two copies of the package are installed. */
  readonly kind = "millrace.writer-table" as const;
  readonly name: string;
  readonly capabilities: ReadonlySet<TableCapability>;
  readonly schema?: SchemaLike;
  readonly insteadOf: NonNullable<Table["insteadOf"]>;
  readonly #parts: WriterTableParts;

  constructor(parts: WriterTableParts) {
    this.#parts = parts;
    this.name = parts.name;
    this.capabilities = parts.capabilities;
    this.insteadOf = parts.insteadOf ?? {};
    if (parts.schema !== undefined) this.schema = parts.schema;
  }

  /** Returns a new writer, for questions about the table or for one write. */
  writer(disposition: Disposition, info: WriterInfo): Awaitable<Writer<unknown>> {
    return this.#parts.writer(disposition, info);
  }

  newWriteBuilder(info: WriterInfo): WriterWriteBuilder {
    return new WriterWriteBuilder((disposition) => this.writer(disposition, info));
  }
}

/**
 * Returns the writer that a data source has for a stream or a batch. A subclass of a connector may
 * have methods of its own, so they are called, also by the connector itself.
 */
export function writerOf(
  source: Pick<DataSource<object>, "streamWriter" | "writer">,
  { schema, saveMode }: WriterInfo,
  overwrite: boolean,
): Writer<unknown> {
  return saveMode === undefined ? source.streamWriter(schema, overwrite) : source.writer(schema, overwrite);
}

/** Like `instanceof`, but also true for a table of another copy of the package. */
export function isWriterTable(table: object): table is WriterTable {
  return "kind" in table && table.kind === "millrace.writer-table";
}

type MakeWriter = (disposition: Disposition) => Awaitable<Writer<unknown>>;

/**
 * Builds the write of a `Writer`. What the writer cannot replace is left out of the capabilities.
 */
class WriterWriteBuilder implements SupportsTruncate, SupportsOverwriteV2, SupportsDynamicOverwrite {
  readonly #make: MakeWriter;
  readonly #disposition: Disposition;

  constructor(make: MakeWriter, disposition: Disposition = { replaces: "none" }) {
    this.#make = make;
    this.#disposition = disposition;
  }

  truncate(): WriterWriteBuilder {
    return new WriterWriteBuilder(this.#make, { replaces: "all" });
  }

  overwrite(predicates: readonly Predicate[]): WriterWriteBuilder {
    return new WriterWriteBuilder(this.#make, { replaces: "matching", predicates });
  }

  overwriteDynamicPartitions(): WriterWriteBuilder {
    return new WriterWriteBuilder(this.#make, { replaces: "partitions" });
  }

  async build(): Promise<WriterWrite> {
    return new WriterWrite(await this.#make(this.#disposition));
  }
}

/** The write of a `Writer`. */
export class WriterWrite extends Write {
  readonly writer: Writer<unknown>;

  constructor(writer: Writer<unknown>) {
    super();
    this.writer = writer;
  }

  override get description(): string {
    return this.writer.constructor.name;
  }

  override toBatch(): BatchWrite<unknown> {
    return new WriterBatchWrite(this.writer);
  }

  override toStreaming(): StreamingWrite<unknown> {
    return new WriterStreamingWrite(this.writer);
  }
}

class WriterBatchWrite extends BatchWrite<unknown> {
  readonly #writer: Writer<unknown>;

  constructor(writer: Writer<unknown>) {
    super();
    this.#writer = writer;
  }

  override createBatchWriterFactory() {
    return {
      createWriter: (_partitionId: number, _taskId: number, task: TaskContext) =>
        dataWriterOf(this.#writer, task),
    };
  }

  /** What a task stages is invisible, so two attempts may stage at once. The ledger keeps one. */
  override useCommitCoordinator(): boolean {
    return false;
  }

  override commit(messages: readonly unknown[], _summary: unknown, batch: BatchContext): Awaitable<unknown> {
    return commitWriter(this.#writer, messages, batch);
  }

  override abort(messages: readonly unknown[], batch: BatchContext): Awaitable<void> {
    return abortWriter(this.#writer, messages, batch);
  }
}

class WriterStreamingWrite extends StreamingWrite<unknown> {
  readonly #writer: Writer<unknown>;

  constructor(writer: Writer<unknown>) {
    super();
    this.#writer = writer;
  }

  override createStreamingWriterFactory() {
    return {
      createWriter: (_partitionId: number, _taskId: number, _epochId: number, task: TaskContext) =>
        dataWriterOf(this.#writer, task),
    };
  }

  override useCommitCoordinator(): boolean {
    return false;
  }

  override commit(_epochId: number, messages: readonly unknown[], batch: BatchContext): Awaitable<unknown> {
    return commitWriter(this.#writer, messages, batch);
  }

  override abort(_epochId: number, messages: readonly unknown[], batch: BatchContext): Awaitable<void> {
    return abortWriter(this.#writer, messages, batch);
  }
}

function commitWriter(
  writer: Writer<unknown>,
  messages: readonly unknown[],
  batch: BatchContext,
): Awaitable<unknown> {
  return writesBatches(writer)
    ? writer.commit(messages, batch)
    : writer.commit(messages, batch.batchId, batch);
}

function abortWriter(
  writer: Writer<unknown>,
  messages: readonly unknown[],
  batch: BatchContext,
): Awaitable<void> {
  return writesBatches(writer) ? writer.abort(messages, batch) : writer.abort(messages, batch.batchId, batch);
}

function dataWriterOf(writer: Writer<unknown>, task: TaskContext): AnyDataWriter<unknown> {
  return new WriterDataWriter(writer, task) as AnyDataWriter<unknown>;
}

/** Calls `write` of a `Writer` for all records at once, and keeps its message for `commit`. */
class WriterDataWriter extends DataWriter<unknown, unknown> {
  override readonly form: "rows" | "arrow";
  readonly #writer: Writer<unknown>;
  readonly #task: TaskContext;
  #message: unknown;
  #hasWritten = false;

  constructor(writer: Writer<unknown>, task: TaskContext) {
    super();
    this.form = takesRows(writer) ? "rows" : "arrow";
    this.#writer = writer;
    this.#task = task;
  }

  override write(): never {
    throw new Error("all records are written at once");
  }

  override async writeAll(records: AsyncIterable<unknown>): Promise<void> {
    const write = this.#writer.write as (records: AsyncIterable<unknown>, task: TaskContext) => unknown;
    this.#message = await write.call(this.#writer, records, this.#task);
    this.#hasWritten = true;
  }

  override commit(): unknown {
    return this.#message;
  }

  override async abort(): Promise<void> {
    const writer = this.#writer as unknown as Partial<SupportsTaskAbort<unknown>>;
    if (this.#hasWritten) await writer.abortTask?.(this.#message ?? null, this.#task);
  }
}
