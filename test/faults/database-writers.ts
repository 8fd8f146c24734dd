import type { RecordBatch, Schema } from "apache-arrow";
import {
  dropAborted,
  dropStaged,
  findDamagedFiles,
  readStaged,
  type StagedRows,
  stageRows,
  stagingOf,
} from "../../shared/connectors/kit/staging.ts";
import { vacuumStaged } from "../../shared/connectors/kit/vacuum.ts";
import type { CommittedBatch } from "../../shared/contract/batch-identity.ts";
import { isCommitted } from "../../shared/contract/committed-batch.ts";
import type { BatchContext, Runtime, TaskContext } from "../../shared/contract/context.ts";
import type { NamedRow } from "../../shared/contract/stream-reader.ts";
import {
  type DamagedFile,
  DataSourceStreamArrowWriter,
  DataSourceStreamWriter,
  type VacuumContext,
  type VacuumResult,
} from "../../shared/contract/stream-writer.ts";
import { type BatchItem, type Database, landed } from "./database.ts";

type Ids = readonly number[];

/** Stages files and loads them in a transaction that looks for the batch, as for PostgreSQL. */
export class StagingWriter extends DataSourceStreamArrowWriter<StagedRows> {
  readonly #schema: Schema;
  readonly #database: Database;
  readonly #runtime: Runtime;

  constructor(schema: Schema, database: Database, runtime: Runtime) {
    super();
    this.#schema = schema;
    this.#database = database;
    this.#runtime = runtime;
  }

  override async write(batches: AsyncIterable<RecordBatch>, task: TaskContext): Promise<StagedRows> {
    return await stageRows(this.#schema, batches, task, this.#runtime.newId());
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
    if (!isCommitted(batch, this.#database.newest)) {
      const ids: number[] = [];
      for await (const { batch: rows } of readStaged(messages, batch)) ids.push(...idsOf(rows));
      // Another commit may have come first while the files were read.
      if (!isCommitted(batch, this.#database.newest)) this.#database.add(landed(batch, ids));
    }
    await dropStaged(messages, batch).catch(() => undefined);
  }

  hasCommitted(_batchId: number, batch: BatchContext): boolean {
    return isCommitted(batch, this.#database.newest);
  }

  newestBatch(): CommittedBatch | undefined {
    return this.#database.newest;
  }

  override async abort(
    messages: readonly (StagedRows | null)[],
    _batchId: number,
    batch: BatchContext,
  ): Promise<void> {
    await dropAborted(messages, batch);
  }

  async vacuum(context: VacuumContext): Promise<VacuumResult> {
    return await vacuumStaged(context, async () => {
      const own = this.#database.batches.filter(({ incarnation }) => incarnation === context.incarnation);
      return own.at(-1)?.batchId ?? -1;
    });
  }
}

/** Lets the ledger write its rows, except those of every second batch, as for DynamoDB. */
export class TransactionalWriter extends DataSourceStreamArrowWriter<Ids> {
  readonly #database: Database;

  constructor(database: Database) {
    super();
    this.#database = database;
  }

  override async write(batches: AsyncIterable<RecordBatch>): Promise<Ids> {
    return (await Array.fromAsync(batches)).flatMap(idsOf);
  }

  transactionItems(messages: readonly (Ids | null)[], batch: BatchContext): readonly BatchItem[] | undefined {
    if (batch.batchId % 2 === 1) return undefined;
    if (isCommitted(batch, this.#database.newest)) return [];
    const after = this.#database.batches.length;
    return [{ kind: "batch", batch: landed(batch, allIds(messages)), after }];
  }

  override commit(messages: readonly (Ids | null)[], _batchId: number, batch: BatchContext): void {
    if (!isCommitted(batch, this.#database.newest)) this.#database.add(landed(batch, allIds(messages)));
  }

  newestBatch(): CommittedBatch | undefined {
    return this.#database.newest;
  }

  override abort(): void {}
}

/** A user's writer: it keeps the ids of its batches together with their rows, and no more. */
export class PlainWriter extends DataSourceStreamWriter<Ids> {
  readonly #database: Database;

  constructor(database: Database) {
    super();
    this.#database = database;
  }

  override async write(rows: AsyncIterable<NamedRow>): Promise<Ids> {
    return (await Array.fromAsync(rows)).map(({ id }) => Number(id));
  }

  override commit(messages: readonly (Ids | null)[], _batchId: number, batch: BatchContext): void {
    if (!this.#database.has(batch)) this.#database.add(landed(batch, allIds(messages)));
  }

  override abort(): void {}
}

function allIds(messages: readonly (Ids | null)[]): Ids {
  return messages.flatMap((ids) => ids ?? []);
}

function idsOf(batch: RecordBatch): Ids {
  return [...(batch.getChild("id") ?? [])].map(Number);
}
