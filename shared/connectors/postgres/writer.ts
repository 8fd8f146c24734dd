import type { RecordBatch, Schema } from "apache-arrow";
import type { RefusedRowSink, RefusedRows } from "../../contract/bad-rows.ts";
import type { CommittedBatch } from "../../contract/batch-identity.ts";
import type { SupportsExists } from "../../contract/batch-writer.ts";
import type { BatchContext, Runtime, TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import {
  type DamagedFile,
  DataSourceStreamArrowWriter,
  type NewestBatchContext,
  type SupportsCommitLookup,
  type SupportsNewestBatch,
  type SupportsRefusedRows,
  type SupportsStagedFiles,
  type SupportsTargetCheck,
  type SupportsTargetName,
  type SupportsTaskAbort,
  type SupportsVacuum,
  type VacuumContext,
  type VacuumResult,
} from "../../contract/stream-writer.ts";
import { suggest } from "../../contract/suggest.ts";
import type { OnSchemaChange } from "../../contract/write/write-info.ts";
import type { Server } from "../kit/postgres/connection.ts";
import { isOfRows } from "../kit/postgres/errors.ts";
import type { Session } from "../kit/postgres/session.ts";
import { FAIL_AT_FIRST, withoutRefused } from "../kit/refused-rows.ts";
import {
  dropAborted,
  dropStaged,
  findDamagedFiles,
  readStaged,
  type StagedRows,
  stageRows,
  stagingOf,
} from "../kit/staging.ts";
import { vacuumStaged } from "../kit/vacuum.ts";
import { type BatchesTable, batchesTableOf, makeTable } from "./batches-table.ts";
import { CarefulLoader } from "./careful-load.ts";
import { commitStaged } from "./commit.ts";
import { definitionOf } from "./create.ts";
import { Loader } from "./load.ts";
import { nullKeysIn } from "./null-keys.ts";
import type { ParsedOptions } from "./options.ts";
import { deleteMatching, lockForOverwrite, PartitionDeleter, type Replaced } from "./replace.ts";
import { checkColumns, choiceOf, evolved, type SchemaChoice } from "./schema-change.ts";
import { findTable, quoteTable, readTable, type Table } from "./table.ts";
import { zeroCharactersIn } from "./zero-characters.ts";

/** What a writer is made of. */
export interface PostgresWriterParts {
  readonly schema: Schema;
  readonly options: ParsedOptions;
  readonly replaced: Replaced;
  /** What happens if the rows have columns that the table lacks. Default: `fail`. */
  readonly onSchemaChange?: OnSchemaChange | undefined;
  readonly server: Server;
  readonly runtime: Runtime;
}

/**
 * Stages the Arrow files of each task. The commit loads all of them into the table and records the
 * batch, in one transaction.
 */
export class PostgresWriter
  extends DataSourceStreamArrowWriter<StagedRows>
  implements
    SupportsTaskAbort<StagedRows>,
    SupportsStagedFiles<StagedRows>,
    SupportsCommitLookup,
    SupportsNewestBatch,
    SupportsRefusedRows,
    SupportsTargetCheck,
    SupportsTargetName,
    SupportsVacuum,
    SupportsExists
{
  readonly #schema: Schema;
  readonly #options: ParsedOptions;
  readonly #replaced: Replaced;
  readonly #choice: SchemaChoice;
  readonly #server: Server;
  readonly #runtime: Runtime;
  readonly #batches: BatchesTable;

  constructor({ schema, options, replaced, onSchemaChange, server, runtime }: PostgresWriterParts) {
    super();
    this.#schema = schema;
    this.#options = options;
    this.#replaced = replaced;
    this.#choice = choiceOf(onSchemaChange);
    this.#server = server;
    this.#runtime = runtime;
    this.#batches = batchesTableOf(options);
  }

  get #keyColumns(): readonly string[] {
    return this.#columns("keyColumns", "Name fields of the rows that tell them apart.");
  }

  /**
   * The columns that an option names, which must be fields of the rows. Error: `OPTIONS_INVALID`.
   */
  #columns(option: "keyColumns" | "partitionBy", hint: string): readonly string[] {
    const columns = this.#options[option] ?? [];
    const names = this.#schema.fields.map((field) => field.name);
    const unknown = columns.find((name) => !names.includes(name));
    if (unknown === undefined) return columns;
    throw new MillraceError(
      "OPTIONS_INVALID",
      `Postgres: the rows have no field "${unknown}", which ${option} names${suggest(unknown, names)}`,
      { hint },
    );
  }

  override async write(batches: AsyncIterable<RecordBatch>, task: TaskContext): Promise<StagedRows> {
    const keyColumns = this.#keyColumns;
    const rows = withoutRefused(
      batches,
      task,
      (batch, before) =>
        new Map([...nullKeysIn(batch, before, keyColumns), ...zeroCharactersIn(batch, before)]),
    );
    return await stageRows(this.#schema, rows, task, this.#runtime.newId());
  }

  async abortTask(message: StagedRows | null, task: TaskContext): Promise<void> {
    await dropStaged([message], task);
  }

  async findDamaged(
    messages: readonly (StagedRows | null)[],
    batch: BatchContext,
  ): Promise<readonly DamagedFile[]> {
    return await findDamagedFiles(stagingOf(batch), messages);
  }

  override async commit(
    messages: readonly (StagedRows | null)[],
    _batchId: number,
    batch: BatchContext,
  ): Promise<void> {
    const refused = batch.newRefusedRows?.();
    try {
      await this.#commit(messages, batch, refused);
    } catch (error) {
      if (refused !== undefined || !MillraceError.is(error) || !isOfRows(error)) throw error;
      // Nothing was written. The second try ends at the first such row, and its error names it.
      await this.#commit(messages, batch, FAIL_AT_FIRST);
    }
  }

  /** Loads the staged rows, without those that go to `refused` if it is given. */
  async #commit(
    messages: readonly (StagedRows | null)[],
    batch: BatchContext,
    refused: RefusedRowSink | undefined,
  ): Promise<void> {
    await commitStaged(this.#server, this.#batches, messages, batch, async (session) => {
      const table = await this.#makeTable(session);
      await this.#deleteReplaced(session, table, messages, batch);
      const staged = readStaged(messages, batch);
      if (refused === undefined) {
        const loader = new Loader(session, table, this.#schema, this.#keyColumns);
        for await (const { batch: rows } of staged) await loader.add(rows);
        await loader.flush();
        return;
      }
      const loader = new CarefulLoader(session, table, this.#schema, this.#keyColumns, refused);
      for await (const { partition, batch: rows } of staged) await loader.add(partition, rows);
      await loader.flush();
      const kept = await refused.finish();
      if (kept !== undefined) await this.#batches.recordRefused(session, batch, kept);
    });
  }

  async refusedRows(_batchId: number, batch: BatchContext): Promise<RefusedRows | undefined> {
    return await this.#server.use((session) => this.#batches.refused(session, batch));
  }

  /** Deletes the rows that the batch replaces. */
  async #deleteReplaced(
    session: Session,
    table: Table,
    messages: readonly (StagedRows | null)[],
    batch: BatchContext,
  ): Promise<void> {
    const replaced = this.#replaced;
    if (replaced.replaces === "all") await session.execute(`emptying ${table.sql}`, `TRUNCATE ${table.sql}`);
    if (replaced.replaces === "none" || replaced.replaces === "all") return;
    await lockForOverwrite(session, table);
    if (replaced.replaces === "matching") {
      await deleteMatching(session, table, this.#schema, replaced.filters);
      return;
    }
    const columns = this.#columns("partitionBy", "Name fields of the rows that tell partitions apart.");
    const deleter = new PartitionDeleter(session, table, this.#schema, columns);
    for await (const staged of readStaged(messages, batch)) await deleter.add(staged.batch);
    await deleter.flush();
  }

  /**
   * Looks the batch up. Waits for a commit that is still open on the server, because it may still
   * take effect. Error: `POSTGRES_FAILED`.
   */
  async hasCommitted(_batchId: number, batch: BatchContext): Promise<boolean> {
    return await this.#server.use((session) => this.#batches.has(session, batch));
  }

  async newestBatch({ pipeline }: NewestBatchContext): Promise<CommittedBatch | undefined> {
    return await this.#server.use((session) => this.#batches.newest(session, pipeline));
  }

  /**
   * Checks before a batch is planned that the server answers, and that the table takes the rows or
   * can be created. Errors: `POSTGRES_FAILED`, `POSTGRES_TABLE_MISMATCH`.
   */
  async checkTarget(): Promise<void> {
    await this.#server.use(async (session) => {
      const table = await findTable(session, this.#options.table);
      if (table === undefined) definitionOf(this.#schema, this.#keyColumns);
      else checkColumns(table, this.#schema, this.#keyColumns, this.#choice);
    });
  }

  async targetName(): Promise<string> {
    return `table ${this.#options.table} of database ${await this.#server.database()}`;
  }

  override async abort(
    messages: readonly (StagedRows | null)[],
    _batchId: number,
    batch: BatchContext,
  ): Promise<void> {
    await dropAborted(messages, batch);
  }

  /** Returns true if the table exists, even without rows, as Spark's JDBC source does. */
  async exists(): Promise<boolean> {
    return (await this.#server.use((session) => findTable(session, this.#options.table))) !== undefined;
  }

  async vacuum(context: VacuumContext): Promise<VacuumResult> {
    return await vacuumStaged(context, () =>
      this.#server.use((session) => this.#batches.last(session, context)),
    );
  }

  async #makeTable(session: Session): Promise<Table> {
    const { table } = this.#options;
    const there = await findTable(session, table);
    if (there !== undefined) {
      return this.#choice === "evolve"
        ? await evolved(session, table, there, this.#schema, this.#keyColumns)
        : there;
    }
    await makeTable(session, quoteTable(table), definitionOf(this.#schema, this.#keyColumns));
    return await readTable(session, table);
  }
}
