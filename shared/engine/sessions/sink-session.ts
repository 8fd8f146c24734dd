import type { Schema } from "apache-arrow";
import { type BatchIdentity, type CommittedBatch, UNKNOWN_PLAN } from "../../contract/batch-identity.ts";
import type { SupportsExists } from "../../contract/batch-writer.ts";
import type { BatchContext, SinkContext } from "../../contract/context.ts";
import type { DataSource } from "../../contract/data-source.ts";
import type { JsonValue } from "../../contract/json.ts";
import { optional } from "../../contract/optional.ts";
import type { Pipeline } from "../../contract/pipeline.ts";
import type { Awaitable } from "../../contract/stream-reader.ts";
import type {
  SupportsNewestBatch,
  SupportsTargetCheck,
  SupportsTargetName,
  TargetContext,
} from "../../contract/stream-writer.ts";
import type { SupportsAutoCdc } from "../../contract/write/auto-cdc.ts";
import type { SupportsWrite, Table, TableCapability } from "../../contract/write/table.ts";
import type { Write } from "../../contract/write/write.ts";
import type { LogicalWriteInfo } from "../../contract/write/write-info.ts";
import {
  type Disposition,
  isWriterTable,
  WriterTable,
  type WriterWrite,
  writerOf,
} from "../../contract/write/writer-table.ts";
import { mergeTable, newMergeBuilder } from "../auto-cdc/merge-builder.ts";
import type { Batch, BatchRun, Head, SinkPosition } from "../ports/ledger.ts";
import { identityOf, positionOfRun } from "../ports/position.ts";
import type { Ports } from "../ports/runtime.ts";
import {
  AUTO_CDC_TABLE,
  BATCH_WRITER,
  checkImplementation,
  STREAM_WRITER,
  TABLE,
  WRITE,
} from "./check-implementation.ts";
import { dataSourceRuntime } from "./data-source-runtime.ts";
import { inputOf, takesInput } from "./engine-write.ts";
import { guard } from "./guard.ts";
import { keyColumnsOf } from "./key-columns.ts";
import {
  checkCapabilities,
  columnMatch,
  dispositionOf,
  methodOf,
  notV1,
  withDisposition,
} from "./sink-table.ts";
import { modeNotSupported, targetExists } from "./sink-target-errors.ts";
import { type PlannedStages, SinkWrite } from "./sink-write.ts";

/** What the engine asks of writers in the form of PySpark's API. A writer may still refuse. */
const WRITER_CAPABILITIES: ReadonlySet<TableCapability> = new Set<TableCapability>([
  "BATCH_WRITE",
  "STREAMING_WRITE",
  "TRUNCATE",
  "ACCEPT_ANY_SCHEMA",
]);

/** The batch whose write is made, in one step. */
export interface WriteRequest {
  readonly incarnation: string;
  /** Absent for a batch of an older version. */
  readonly planId?: string | undefined;
  /** When the batch was planned first, in epoch milliseconds. */
  readonly plannedAt: number;
  /** True in the step that plans the batch: only this step learns the real save mode. */
  readonly isPlanning?: boolean;
  /** True in a step that plans an attempt: it asks how rows are distributed and sorted. */
  readonly asksRequirement?: boolean;
  /** Present if the batch was skipped by hand: it adds nothing and must replace nothing either. */
  readonly skipped?: Batch["skipped"];
  /** Present in a step between planning and writing. */
  readonly exchanges?: Batch["exchanges"];
}

/** How the tasks of a batch write, and how they exchange rows before. */
export interface PlannedWrite extends PlannedStages, Pick<Batch, "write"> {}

/** The sink of a pipeline: creates its writes and the contexts that they receive. */
export class SinkSession {
  readonly #pipeline: Pipeline;
  readonly #ports: Ports;
  readonly #options: object;
  #asked: { readonly schema: Schema; readonly object: object } | undefined;

  constructor(pipeline: Pipeline, ports: Ports, options: object) {
    this.#pipeline = pipeline;
    this.#ports = ports;
    this.#options = options;
  }

  /**
   * Creates a new write, with the calls of Spark: a builder, what it replaces, `build`, and the
   * write of the batch.
   */
  async #open(table: SupportsWrite, schema: Schema, request: WriteRequest): Promise<SinkWrite | undefined> {
    const pipeline = this.#pipeline;
    const where = { pipeline: pipeline.name };
    const isStream = pipeline.saveMode === undefined;
    const { mergesStream } = pipeline;
    // The columns of changes are not those of the table.
    const match = mergesStream === undefined ? columnMatch(table, schema, pipeline) : undefined;
    const info = this.#infoOf(match?.schema ?? schema, request);
    const replaced: Disposition =
      request.skipped === undefined ? dispositionOf(pipeline) : { replaces: "none" };
    const call = <T>(method: string, body: () => Awaitable<T>) =>
      guard("SINK_FAILED", `${method}() failed`, where, body);
    const builder = await call("newWriteBuilder", () =>
      mergesStream !== undefined
        ? newMergeBuilder(table as Table as SupportsAutoCdc, mergesStream, info, where)
        : takesInput(table)
          ? table.newWriteBuilder(info, inputOf(request))
          : table.newWriteBuilder(info),
    );
    const told = await call(methodOf(replaced), () => withDisposition(table, pipeline, builder, replaced));
    const built = await call("build", () => told.build());
    if (built === undefined && request.isPlanning === true) return undefined;
    const write = checkImplementation(built as Write, "build", WRITE, where);
    const isV1 = !isStream && table.capabilities.has("V1_BATCH_WRITE");
    if (isV1 && !("isV1" in write)) throw notV1(table.name, where);
    const isWriter = this.#isWriter(table);
    return await SinkWrite.open({
      write,
      info,
      isV1,
      isStream,
      isWriter,
      asked: isWriter ? (write as WriterWrite).writer : table,
      match,
      asksRequirement: request.asksRequirement === true,
      arrangement: pipeline.source.arrangement,
      where,
      newId: () => this.#ports.runtime.newId(),
    });
  }

  /**
   * Creates the write of a step after planning. Each step makes its own, because only messages and
   * the recorded fields of the factory may pass between them. Errors: `SINK_FAILED`,
   * `WRITE_NOT_SUPPORTED`, `WRITER_INVALID`.
   */
  async write(schema: Schema, request: WriteRequest): Promise<SinkWrite> {
    // Only the step that plans may get `undefined`.
    return (await this.#open(await this.#table(schema), schema, request)) as SinkWrite;
  }

  /**
   * Makes the write in the step that plans a batch. Returns how its tasks exchange rows; if they do
   * not, also what the ledger records of the write: nothing of writers in the form of PySpark's
   * API. Returns `undefined` if the sink decides by the save mode that there is nothing to write.
   * Errors as those of `write`, and `DISTRIBUTION_INVALID`, `FACTORY_NOT_JSON`,
   * `FACTORY_TOO_LARGE`.
   */
  async planWrite(
    schema: Schema,
    request: WriteRequest,
    inputPartitions: number,
  ): Promise<PlannedWrite | undefined> {
    const table = await this.#table(schema);
    const isPlain = this.#isWriter(table) && this.#pipeline.source.arrangement === undefined;
    if (isPlain) return { exchanges: [], ordering: [], isTransformed: false };
    const write = await this.#open(table, schema, { ...request, asksRequirement: true });
    if (write === undefined) return undefined;
    const stages = write.stages(inputPartitions);
    if (stages.exchanges.length > 0) return stages;
    return { ...stages, ...optional("write", await write.plan(inputPartitions)) };
  }

  /**
   * Creates the write of a step between planning and writing. Returns `undefined` for writers in
   * the form of PySpark's API, which know nothing of exchanges. Errors as those of `write`.
   */
  async writeOfStage(schema: Schema, request: WriteRequest): Promise<SinkWrite | undefined> {
    const table = await this.#table(schema);
    return this.#isWriter(table) ? undefined : ((await this.#open(table, schema, request)) as SinkWrite);
  }

  /** True if the ledger records the write of a batch. */
  async recordsWrite(schema: Schema): Promise<boolean> {
    return !this.#isWriter(await this.#table(schema));
  }

  #infoOf(
    schema: Schema,
    { incarnation, planId = UNKNOWN_PLAN, ...request }: WriteRequest,
  ): LogicalWriteInfo {
    const { saveMode, schemaChange } = this.#pipeline;
    // The step that plans has decided to write. Rows that it wrote must not change that.
    const mode = request.isPlanning === true || saveMode === "overwrite" ? saveMode : "append";
    return {
      queryId: saveMode === undefined ? incarnation : planId,
      schema,
      options: this.#options as Readonly<Record<string, unknown>>,
      plannedAt: request.plannedAt,
      ...(saveMode === undefined ? {} : optional("saveMode", mode)),
      ...optional("onSchemaChange", schemaChange),
    };
  }

  /** Returns the columns by which a person knows a row. Error: `SINK_FAILED`. */
  keyColumns(): Promise<readonly string[]> {
    return keyColumnsOf(this.#pipeline, this.#ports, this.#options);
  }

  /** Creates the sink and its table, and checks what the table can do. */
  async #table(schema: Schema): Promise<SupportsWrite> {
    const { sink, name } = this.#pipeline;
    const { dataSource } = sink;
    const where = { pipeline: name };
    const making = `making the sink "${dataSource.name}" failed`;
    const made = await guard("SINK_FAILED", making, where, async () => {
      const opened = new dataSource(this.#options as never, dataSourceRuntime(this.#ports));
      // What a merge calls of it, `mergeTable` has checked.
      if (this.#pipeline.mergesStream !== undefined)
        return (await mergeTable(opened, schema, this.#pipeline)) as Table as SupportsWrite;
      return opened.table === undefined ? this.#writerTable(opened) : await opened.table(schema);
    });
    const kind = this.#pipeline.mergesStream === undefined ? TABLE : AUTO_CDC_TABLE;
    const table = checkImplementation(made, "table", kind, where);
    checkCapabilities(table, this.#pipeline);
    return table;
  }

  /** True if rows are written by writers in the form of PySpark's API. Changes never are. */
  #isWriter(table: Table): table is WriterTable {
    return this.#pipeline.mergesStream === undefined && isWriterTable(table);
  }

  /** The table of a data source whose writers have the form of PySpark's API. */
  #writerTable(dataSource: DataSource<object>): WriterTable {
    const { sink, saveMode, name } = this.#pipeline;
    const where = { pipeline: name };
    return new WriterTable({
      name: sink.dataSource.name,
      capabilities: WRITER_CAPABILITIES,
      writer: async ({ replaces }, info) => {
        const making = `making the sink "${sink.dataSource.name}" failed`;
        const made = await guard("SINK_FAILED", making, where, () =>
          writerOf(dataSource, info, replaces === "all"),
        );
        return saveMode === undefined
          ? checkImplementation(made, "streamWriter", STREAM_WRITER, where)
          : checkImplementation(made, "writer", BATCH_WRITER, where);
      },
    });
  }

  /**
   * Returns an object that answers questions about the sink, and writes nothing: a table, or a
   * writer in the form of PySpark's API.
   */
  async newAsked(schema: Schema): Promise<object> {
    const table = await this.#table(schema);
    if (!this.#isWriter(table)) return table;
    const { saveMode, schemaChange, name, sink } = this.#pipeline;
    const info = {
      schema,
      ...optional("saveMode", saveMode),
      ...optional("onSchemaChange", schemaChange),
    };
    return await guard(
      "SINK_FAILED",
      `making the sink "${sink.dataSource.name}" failed`,
      { pipeline: name },
      () => table.writer(dispositionOf(this.#pipeline), info),
    );
  }

  /** Like `newAsked`, but the same object for each call. */
  async asked(schema: Schema): Promise<object> {
    this.#asked ??= { schema, object: await this.newAsked(schema) };
    return this.#asked.object;
  }

  /** Creates the sink, so that one with unusable options fails. */
  async checkOptions(schema: Schema): Promise<void> {
    await this.asked(schema);
  }

  /** True if the save mode depends on whether the target exists. */
  get dependsOnTarget(): boolean {
    const { saveMode } = this.#pipeline;
    return saveMode === "errorifexists" || saveMode === "ignore";
  }

  /**
   * Returns false if the target exists and the save mode is `ignore`. Throws `TARGET_EXISTS` if it
   * exists and the mode is `errorifexists`, and `SAVE_MODE_NOT_SUPPORTED` if the writer cannot
   * tell.
   */
  async shouldWriteTarget(schema: Schema, incarnation: string): Promise<boolean> {
    const { sink, saveMode, name } = this.#pipeline;
    const where = { pipeline: name };
    const asked = (await this.newAsked(schema)) as Partial<SupportsExists>;
    if (asked.exists === undefined) throw modeNotSupported(sink.dataSource.name, saveMode ?? "", where);
    const exists = await guard("SINK_FAILED", "exists() failed", where, () =>
      asked.exists?.(this.context(incarnation)),
    );
    if (exists !== true) return true;
    if (saveMode === "ignore") return false;
    throw targetExists(sink.dataSource.name, where);
  }

  context(incarnation: string): SinkContext {
    return { ...this.#target, incarnation };
  }

  get #target(): TargetContext {
    return {
      pipeline: this.#pipeline.name,
      store: this.#ports.store,
      ...optional("tableStore", this.#ports.tableStore),
      openStore: (location, access) => this.#ports.openStore(location, access),
    };
  }

  /** True for a batch pipeline, whose batches do not continue each other. */
  get isIndependent(): boolean {
    return this.#pipeline.saveMode !== undefined;
  }

  /** Returns what the sink must have before the next batch. */
  continuityOf({
    follows,
    isRewound = false,
    formerIncarnations = [],
  }: SinkPosition): Pick<BatchContext, "follows" | "continuity" | "formerIncarnations"> {
    return {
      ...(follows === undefined ? {} : { follows }),
      continuity: this.isIndependent ? "independent" : isRewound ? "rewound" : "strict",
      formerIncarnations,
    };
  }

  /**
   * Asks the sink for the newest batch of the pipeline. Returns `undefined` if the sink cannot
   * tell.
   */
  async newestBatch(
    schema: Schema,
    incarnation: string,
    lastCommit: JsonValue | undefined,
    follows: BatchIdentity | undefined,
  ): Promise<{ readonly newest: CommittedBatch | undefined } | undefined> {
    const asked = (await this.asked(schema)) as Partial<SupportsNewestBatch>;
    if (asked.newestBatch === undefined) return undefined;
    const context = {
      ...this.context(incarnation),
      ...this.#hint(lastCommit),
      ...optional("follows", follows),
    };
    const where = { pipeline: this.#pipeline.name };
    const newest = await guard("SINK_FAILED", "newestBatch() failed", where, () =>
      asked.newestBatch?.(context),
    );
    return { newest: newest ?? undefined };
  }

  /** Lets the sink check that it can be reached and takes the rows. Throws the sink's error. */
  async checkTarget(schema: Schema, { incarnation, lastCommit }: Head): Promise<void> {
    // The open batch may have another schema than its next attempt.
    const known = this.#asked?.schema === schema ? this.#asked.object : undefined;
    const asked = (known ?? (await this.newAsked(schema))) as Partial<SupportsTargetCheck>;
    if (asked.checkTarget === undefined) return;
    const context = { ...this.context(incarnation), ...this.#hint(lastCommit) };
    const where = { pipeline: this.#pipeline.name };
    await guard("SINK_FAILED", "checkTarget() failed", where, () => asked.checkTarget?.(context));
  }

  /** Returns the name of the target, if the sink names it. */
  async targetName(schema: Schema): Promise<string | undefined> {
    const asked = (await this.asked(schema)) as Partial<SupportsTargetName>;
    const where = { pipeline: this.#pipeline.name };
    return await guard("SINK_FAILED", "targetName() failed", where, () => asked.targetName?.(this.#target));
  }

  batchContext(batch: Batch, run: Pick<BatchRun, "position" | "lastCommit">): BatchContext {
    return {
      ...this.context(batch.incarnation),
      ...identityOf(batch),
      start: batch.start,
      end: batch.end,
      ...this.continuityOf(positionOfRun({ ...batch, ...run })),
      attempt: batch.attempt,
      commitTried: batch.lastTriedAttempt === batch.attempt,
      plannedAt: batch.plannedAt,
      ...this.#hint(run.lastCommit),
    };
  }

  /**
   * Only `append` continues from the last commit. In other modes the target may have been deleted
   * since.
   */
  #hint(lastCommit: JsonValue | undefined): { readonly lastCommit?: JsonValue } {
    const { saveMode = "append" } = this.#pipeline;
    return lastCommit === undefined || saveMode !== "append" ? {} : { lastCommit };
  }
}
