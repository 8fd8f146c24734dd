import type { RecordBatch, Schema } from "apache-arrow";
import { rowsOf } from "../arrow/rows.ts";
import { DataSourceArrowWriter } from "../contract/batch-writer.ts";
import type { BatchContext, TaskContext } from "../contract/context.ts";
import type { DataSourceClass } from "../contract/data-source.ts";
import { MillraceError } from "../contract/errors.ts";
import type { Filter } from "../contract/filters.ts";
import { BatchPipeline, type Pipeline, StreamPipeline } from "../contract/pipeline.ts";
import type { PipelineDefinition } from "../contract/pipeline-definition.ts";
import type { SupportsCommitLookup, SupportsStagedFiles } from "../contract/stream-writer.ts";
import type { AnyDataWriter } from "../contract/write/data-writer.ts";
import type { SupportsWrite } from "../contract/write/table.ts";
import type { TableWrite } from "../engine/ports/ledger.ts";
import type { Ports } from "../engine/ports/runtime.ts";
import { SinkSession, type WriteRequest } from "../engine/sessions/sink-session.ts";
import type { SinkWrite } from "../engine/sessions/sink-write.ts";
import { SqliteLedger } from "../platform/embedded/sqlite-ledger.ts";
import type { Surroundings } from "./surroundings.ts";
import { throughJson } from "./through-json.ts";

/** Number of partitions of the batches that a check writes. */
const PARTITIONS = 2;
/** The number of rows in a summary, if it is unknown, as in Spark. */
const UNKNOWN_ROWS = -1;

/** A table that is checked. */
export interface TableParts {
  readonly dataSource: DataSourceClass<never>;
  readonly options: object;
  readonly surroundings: Surroundings;
  readonly kind: "stream" | "batch";
}

/** What a write learns of its batch. */
type BatchKey = Pick<BatchContext, "planId" | "incarnation">;

/** What a check asks of a table itself, beside what it asks of every sink. */
export interface TableAccess {
  readonly name: string;
  /** Returns the table of a new data source. */
  table(schema: Schema): Promise<SupportsWrite>;
  /** Begins an attempt of a task. */
  begin(schema: Schema, task: TaskContext): Promise<TableAttempt>;
  /** Returns a writer whose batches replace the rows that match the filter. */
  overwriting(schema: Schema, condition: Filter): Promise<TableWriter>;
  /** Plans a batch, and returns false if it needs no authorization of its commits. */
  isCoordinated(schema: Schema, batch: BatchKey): Promise<boolean>;
}

/** A factory of writers that drive a table as the engine does. */
export interface TableWriterFactory {
  readonly kind: "stream" | "batch";
  readonly access: TableAccess;
  make(schema: Schema, overwrite: boolean): Promise<TableWriter>;
}

/** Returns a factory whose writers make a new data source and a new chain for each call. */
export function tableFactory(parts: TableParts): TableWriterFactory {
  const { dataSource, options, surroundings, kind } = parts;
  const plans = new Map<string, TableWrite | undefined>();
  const writer = (schema: Schema, settings: Partial<PipelineDefinition>) =>
    TableWriter.open({ session: sessionOf(parts, settings), schema, kind, surroundings, plans, settings });
  const truncating = kind === "batch" ? { saveMode: "overwrite" } : { outputs: "complete" };
  return {
    kind,
    make: (schema, overwrite) => writer(schema, overwrite ? (truncating as Partial<PipelineDefinition>) : {}),
    access: {
      name: dataSource.name,
      table: async (schema) => {
        const opened = new dataSource(options as never, surroundings.dataSourceRuntime());
        return (await opened.table?.(schema)) as SupportsWrite;
      },
      begin: async (schema, task) => await (await writer(schema, {})).begin(task),
      overwriting: (schema, condition) =>
        writer(schema, { saveMode: "overwrite", overwrites: { replaces: "matching", condition } }),
      isCoordinated: async (schema, batch) =>
        (await (await writer(schema, {})).plan(batch))?.isCoordinated === true,
    },
  };
}

/** Returns the engine's session with the sink of a pipeline that has the table as its sink. */
function sessionOf(
  { dataSource, options, surroundings, kind }: TableParts,
  settings: Partial<PipelineDefinition>,
): SinkSession {
  const configured = { dataSource, options: options as Readonly<Record<string, unknown>> };
  const definition = { name: surroundings.pipeline, source: configured, sink: configured };
  const pipeline =
    kind === "batch"
      ? new BatchPipeline({ ...definition, saveMode: "append", ...settings })
      : new StreamPipeline({ ...definition, ...settings });
  const ports: Ports = {
    ledger: new SqliteLedger(":memory:"),
    store: surroundings.store,
    openStore: (location) => surroundings.openStore(location),
    runtime: surroundings.runtime,
  };
  return new SinkSession(pipeline as unknown as Pipeline, ports, options);
}

interface TableWriterParts {
  readonly session: SinkSession;
  readonly schema: Schema;
  readonly kind: "stream" | "batch";
  readonly surroundings: Surroundings;
  /** The record of each batch that was planned. */
  readonly plans: Map<string, TableWrite | undefined>;
  readonly settings: Partial<PipelineDefinition>;
}

/** A writer in the form of PySpark's API that drives a table as the engine does. */
export class TableWriter extends DataSourceArrowWriter<unknown> {
  readonly #parts: TableWriterParts;
  /** The table's own `hasCommitted`, if it has one. */
  readonly hasCommitted?: SupportsCommitLookup["hasCommitted"];
  /** The table's own `findDamaged`, if it has one. */
  readonly findDamaged?: SupportsStagedFiles<unknown>["findDamaged"];

  private constructor(
    parts: TableWriterParts,
    asked: Partial<SupportsCommitLookup & SupportsStagedFiles<unknown>>,
  ) {
    super();
    this.#parts = parts;
    if (asked.hasCommitted !== undefined) this.hasCommitted = asked.hasCommitted.bind(asked);
    if (asked.findDamaged !== undefined) this.findDamaged = asked.findDamaged.bind(asked);
  }

  /** Error: `WRITE_NOT_SUPPORTED` if the table cannot do what the settings ask for. */
  static async open(parts: TableWriterParts): Promise<TableWriter> {
    return new TableWriter(parts, await parts.session.newAsked(parts.schema));
  }

  /**
   * Plans a batch, the first time, and returns what the engine would record of it: nothing of
   * writers in the form of PySpark's API.
   */
  async plan({ planId, incarnation }: BatchKey): Promise<TableWrite | undefined> {
    const { session, schema, plans, settings } = this.#parts;
    const { saveMode, outputs, overwrites } = settings;
    const key = JSON.stringify([planId, incarnation, saveMode, outputs, overwrites?.replaces]);
    if (plans.has(key)) return plans.get(key);
    const request = { ...this.#request({ planId, incarnation }), isPlanning: true };
    const planned = await session.planWrite(schema, request, PARTITIONS);
    if (planned === undefined)
      throw new MillraceError("WRITER_INVALID", "build() returned undefined for an append", {
        hint: "Return a write. Only the save modes errorifexists and ignore allow a table to write nothing.",
      });
    const recorded = throughJson(planned.write);
    plans.set(key, recorded);
    return recorded;
  }

  #request({ planId, incarnation }: BatchKey): WriteRequest {
    return { planId, incarnation, plannedAt: this.#parts.surroundings.now };
  }

  /** Makes the write of one step, from a new data source on. */
  async #open(batch: BatchKey): Promise<SinkWrite> {
    const { session, schema } = this.#parts;
    return await session.write(schema, this.#request(batch));
  }

  /** Begins an attempt of a task. */
  async begin(task: TaskContext): Promise<TableAttempt> {
    const recorded = await this.plan(task);
    const write = await this.#open(task);
    const taskId = Number.parseInt(this.#parts.surroundings.runtime.newId().slice(0, 8), 16);
    return new TableAttempt(await write.createWriter(recorded, taskId, task, {}));
  }

  override async write(batches: AsyncIterable<RecordBatch>, task: TaskContext): Promise<unknown> {
    const attempt = await this.begin(task);
    try {
      await attempt.writeAll(batches);
      const message = await attempt.commit();
      await attempt.close();
      return message;
    } catch (error) {
      await attempt.abandon();
      throw error;
    }
  }

  override async commit(messages: readonly unknown[], batch: BatchContext): Promise<unknown> {
    const write = await this.#finalizing(batch);
    for (const message of messages) await write.onDataWriterCommit(message);
    return await write.commit(messages, { rows: UNKNOWN_ROWS, counts: {} }, batch);
  }

  override async abort(messages: readonly unknown[], batch: BatchContext): Promise<void> {
    await (await this.#finalizing(batch)).abort(messages, batch);
  }

  /** Makes the write of the step that commits or aborts, which makes the factory, too. */
  async #finalizing(batch: BatchContext): Promise<SinkWrite> {
    const recorded = await this.plan(batch);
    const write = await this.#open(batch);
    if (recorded !== undefined) await write.repeatFactory(recorded);
    return write;
  }
}

/** One attempt of a task, of which a check makes each call itself. */
export class TableAttempt {
  readonly #writer: AnyDataWriter<unknown>;

  constructor(writer: AnyDataWriter<unknown>) {
    this.#writer = writer;
  }

  /** Writes all rows. Error: `ROWS_NOT_CONSUMED` if the writer leaves some of a record batch. */
  async writeAll(batches: AsyncIterable<RecordBatch>): Promise<void> {
    let open = 0;
    async function* rows() {
      for await (const batch of batches) {
        open += batch.numRows;
        for (const row of rowsOf(batch)) {
          open--;
          yield row;
        }
      }
    }
    const records = this.#writer.form === "arrow" ? batches : rows();
    await (this.#writer.writeAll as (records: AsyncIterable<unknown>) => Promise<void>).call(
      this.#writer,
      records,
    );
    if (open > 0)
      throw new MillraceError("ROWS_NOT_CONSUMED", `writeAll() left ${open} rows of a record batch`, {
        hint: "Read all that writeAll() is given, to its end. What it leaves is lost once the batch is committed.",
      });
  }

  async commit(): Promise<unknown> {
    return await this.#writer.commit();
  }

  async close(): Promise<void> {
    await this.#writer.close?.();
  }

  /** Aborts and closes, like the engine after an error or a denied commit. */
  async abandon(): Promise<void> {
    await this.#writer.abort();
    await this.close();
  }
}

/** The factories of a table: one for batches and one for streams, as its capabilities say. */
export async function tableFactoriesOf(
  parts: Omit<TableParts, "kind">,
  schema: Schema,
): Promise<readonly TableWriterFactory[] | undefined> {
  const probe = tableFactory({ ...parts, kind: "batch" });
  const table = await probe.access.table(schema);
  if (table === undefined) return undefined;
  const { capabilities } = table;
  return (["stream", "batch"] as const)
    .filter((kind) =>
      kind === "stream"
        ? capabilities.has("STREAMING_WRITE")
        : capabilities.has("BATCH_WRITE") || capabilities.has("V1_BATCH_WRITE"),
    )
    .map((kind) => (kind === "batch" ? probe : tableFactory({ ...parts, kind })));
}
