import { onTestFinished } from "vitest";
import { recordBatchOf, toRecordBatches } from "../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import type { StagedRows } from "../../shared/connectors/kit/staging.ts";
import type { PostgresReader } from "../../shared/connectors/postgres/batch-reader.ts";
import type { Position, Range } from "../../shared/connectors/postgres/cursor.ts";
import { Postgres, type PostgresOptions } from "../../shared/connectors/postgres/index.ts";
import type { PostgresStreamReader } from "../../shared/connectors/postgres/stream-reader.ts";
import { partsOf, type TableOffset } from "../../shared/connectors/postgres/table-mark.ts";
import type { PostgresWriter } from "../../shared/connectors/postgres/writer.ts";
import type { BatchContext, Runtime, TaskContext } from "../../shared/contract/context.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import { toSchema } from "../../shared/contract/ddl/to-schema.ts";
import { parseOptions } from "../../shared/contract/options/parse.ts";
import { ReadAllAvailable, type ReadLimit } from "../../shared/contract/read-limit.ts";
import type { Row, RowSource } from "../../shared/contract/stream-reader.ts";
import type { VacuumContext } from "../../shared/contract/stream-writer.ts";
import { DirectoryStore } from "../../shared/platform/embedded/directory-store.ts";
import { batchFields } from "../support/batch-context.ts";
import { temporaryFolder } from "../support/folder.ts";
import { withStores } from "../support/runtime.ts";
import type { Database, PostgresServer } from "./databases.ts";

export type NamedRow = Record<string, unknown>;
type Session = Awaited<ReturnType<Database["session"]>>;

/** The database of one test, and a connector that uses it. */
export class Desk {
  readonly db: Database;
  readonly folder: string = temporaryFolder();
  readonly store: DirectoryStore = new DirectoryStore(this.folder);
  /** Called each time the connector sleeps. */
  onSleep: () => void | Promise<void> = () => undefined;
  sleeps = 0;
  env: Record<string, string>;

  static async open(server: PostgresServer): Promise<Desk> {
    return new Desk(await server.database());
  }

  private constructor(db: Database) {
    this.db = db;
    this.env = db.env;
  }

  /** Opens a session that ends with the test. */
  async session(): Promise<Session> {
    const session = await this.db.session();
    onTestFinished(() => session.end());
    return session;
  }

  get runtime(): Runtime {
    return {
      now: Date.now,
      monotonic: Date.now,
      random: () => 0.5,
      newId: () => crypto.randomUUID(),
      env: this.env,
      sleep: async () => {
        this.sleeps++;
        await this.onSleep();
      },
    };
  }

  async source(options: PostgresOptions): Promise<Postgres> {
    return new Postgres(await parseOptions(Postgres, { ...options }), withStores(this.runtime));
  }

  /**
   * Returns a reader of new rows. It reads the table `t`, unless the options name another table.
   */
  async streamReader(options: Partial<PostgresOptions> = {}, ddl?: string): Promise<PostgresStreamReader> {
    const source = await this.source({ table: "t", cursorColumn: "id", ...options });
    const schema = ddl === undefined ? await source.schema() : parseDdl(ddl);
    return source.streamReader(schema) as PostgresStreamReader;
  }

  async reader(options: Partial<PostgresOptions> = {}, ddl?: string): Promise<PostgresReader> {
    const source = await this.source({ table: "t", ...options });
    const schema = ddl === undefined ? await source.schema() : parseDdl(ddl);
    return source.reader(schema) as PostgresReader;
  }

  async writer(
    options: Partial<PostgresOptions> = {},
    ddl = "id bigint NOT NULL, word string",
    overwrite = false,
  ): Promise<PostgresWriter> {
    const sink = await this.source({ table: "t", ...options });
    return sink.writer(parseDdl(ddl), overwrite) as PostgresWriter;
  }

  /** Converts rows as the engine does. */
  async rows(options: Partial<PostgresOptions>, source: RowSource, ddl?: string): Promise<NamedRow[]> {
    const schema =
      ddl === undefined
        ? toSchema(await (await this.source({ table: "t", ...options })).schema())
        : parseDdl(ddl);
    const batches = await Array.fromAsync(toRecordBatches(schema, source, {}));
    return batches.flatMap((batch) => [...rowsOf(batch)]);
  }

  /**
   * Reads the next batch. Each partition is read with a new reader. `position` is `end` without what
   * it tells of the table.
   */
  async batch(
    start: TableOffset,
    options: Partial<PostgresOptions> = {},
    limit: ReadLimit = new ReadAllAvailable(),
  ): Promise<{ end: TableOffset; position: Position; partitions: readonly NamedRow[][] }> {
    const planner = await this.streamReader(options);
    const end = json(await planner.latestOffset(json(start), limit));
    const ranges = JSON.stringify(end) === JSON.stringify(start) ? [] : await planner.partitions(start, end);
    const partitions = await Promise.all(ranges.map((range) => this.read(json(range), options)));
    return { end, position: partsOf(end).position, partitions };
  }

  async read(range: Range, options: Partial<PostgresOptions> = {}): Promise<NamedRow[]> {
    const reader = await this.streamReader(options);
    return await this.rows(options, reader.read(range, this.task()));
  }

  context(overrides: Partial<BatchContext> = {}): BatchContext {
    return {
      pipeline: "orders",
      ...batchFields(overrides),
      attempt: 1,
      commitTried: false,
      plannedAt: 0,
      store: this.store,
      openStore: (path) => new DirectoryStore(path),
      ...overrides,
    };
  }

  task(overrides: Partial<TaskContext> = {}): TaskContext {
    return {
      ...this.context(),
      partitionId: 0,
      attemptNumber: 0,
      signal: new AbortController().signal,
      ...overrides,
    };
  }

  vacuumContext(overrides: Partial<VacuumContext> = {}): VacuumContext {
    return {
      ...this.context(),
      now: Date.now(),
      olderThan: 0,
      dryRun: false,
      readOpenBatch: async () => undefined,
      ...overrides,
    };
  }

  async stage(
    writer: PostgresWriter,
    rows: readonly Row[],
    ddl = "id bigint NOT NULL, word string",
    task: Partial<TaskContext> = {},
  ): Promise<StagedRows> {
    async function* batches() {
      if (rows.length > 0) yield recordBatchOf(parseDdl(ddl), rows);
    }
    return await writer.write(batches(), this.task(task));
  }

  /** Writes rows as one batch. Each array of rows is one partition. */
  async land(
    partitions: readonly (readonly Row[])[],
    options: Partial<PostgresOptions> = {},
    overrides: Partial<BatchContext> & { ddl?: string; overwrite?: boolean } = {},
  ): Promise<void> {
    const { ddl, overwrite, ...context } = overrides;
    const writer = await this.writer(options, ddl, overwrite);
    const messages: StagedRows[] = [];
    for (const rows of partitions) messages.push(await this.stage(writer, rows, ddl, context));
    const batch = this.context(context);
    await writer.commit(json(messages), batch.batchId, batch);
  }
}

export const json = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

/** Returns the values of one column, in the order of partitions and rows. */
export function valuesOf(partitions: readonly NamedRow[][], column = "id"): unknown[] {
  return partitions.flat().map((row) => row[column]);
}
