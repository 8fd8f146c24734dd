import type { Schema } from "apache-arrow";
import { recordBatchOf, toRecordBatches } from "../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import type { StagedRows } from "../../shared/connectors/kit/staging.ts";
import type { PostgresOptions } from "../../shared/connectors/postgres/index.ts";
import type { PostgresTable } from "../../shared/connectors/postgres/writable-table.ts";
import type { BatchContext } from "../../shared/contract/context.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import { toSchema } from "../../shared/contract/ddl/to-schema.ts";
import type { Row } from "../../shared/contract/stream-reader.ts";
import type { ScdType } from "../../shared/contract/write/auto-cdc.ts";
import type { Predicate } from "../../shared/contract/write/predicates.ts";
import type {
  DeltaStreamingWrite,
  DeltaWrite,
  DeltaWriter,
  RowLevelCommand,
  SupportsDelta,
} from "../../shared/contract/write/row-level.ts";
import type { Scan, ScanBuilder, SupportsPushDownV2Filters } from "../../shared/contract/write/scan.ts";
import type { PostgresServer } from "./databases.ts";
import { Desk, json, type NamedRow } from "./desk.ts";

/** A change of one row, as the engine gives it to a writer. */
export type Delta =
  | { readonly delete: NamedRow }
  | { readonly update: NamedRow; readonly row: NamedRow }
  | { readonly insert: NamedRow };

/** A change of a key, with its sequence. Without a row it is a delete. */
export interface KeyChange {
  readonly id: NamedRow;
  readonly sequence: number;
  readonly row?: NamedRow;
}

/** What a merge is told of its table. */
export interface MergeSettings {
  readonly type?: ScdType;
  readonly ddl?: string;
  readonly keys?: string;
  readonly tombstonesKeptMilliseconds?: number;
}

const INFO = { queryId: "q", options: {}, plannedAt: 0 };

/** Plays the engine's steps for changes to rows of the table `t`. Each step has new objects. */
export class ChangeDesk {
  readonly desk: Desk;
  readonly options: Partial<PostgresOptions>;

  static async open(server: PostgresServer, options: Partial<PostgresOptions> = {}): Promise<ChangeDesk> {
    return new ChangeDesk(await Desk.open(server), options);
  }

  constructor(desk: Desk, options: Partial<PostgresOptions> = {}) {
    this.desk = desk;
    this.options = options;
  }

  /** Another pipeline's desk at the same database. */
  with(options: Partial<PostgresOptions>): ChangeDesk {
    return new ChangeDesk(this.desk, { ...this.options, ...options });
  }

  query(sql: string): Promise<(string | null)[][]> {
    return this.desk.db.query(sql);
  }

  async table(): Promise<PostgresTable> {
    const sink = await this.desk.source({ table: "t", ...this.options });
    return sink.table(parseDdl("id bigint"));
  }

  async operation(command: RowLevelCommand = "MERGE"): Promise<SupportsDelta> {
    const table = await this.table();
    const built = await table.newRowLevelOperationBuilder({ command, options: {} }).build();
    return built as SupportsDelta;
  }

  /** Reads the rows that an operation finds. Each partition has a scan of its own. */
  async scan(
    predicates: readonly Predicate[] = [],
    columns?: string,
    builderOf: () => Promise<ScanBuilder> = async () => (await this.operation()).newScanBuilder({}),
  ): Promise<{ rest: readonly Predicate[]; schema: Schema; partitions: NamedRow[][] }> {
    let rest: readonly Predicate[] = [];
    const scan = async (): Promise<Scan> => {
      const builder = (await builderOf()) as SupportsPushDownV2Filters & {
        pruneColumns(schema: Schema): void;
      };
      rest = builder.pushPredicates(predicates);
      if (columns !== undefined) builder.pruneColumns(parseDdl(columns));
      return await builder.build();
    };
    const planned = await (await scan()).toBatch();
    const partitions: NamedRow[][] = [];
    let schema = toSchema((await scan()).readSchema());
    for (const partition of json(await planned.planInputPartitions())) {
      const one = await scan();
      schema = toSchema(one.readSchema());
      const factory = await (await one.toBatch()).createReaderFactory();
      const source = await factory.createReader(partition, this.desk.task());
      const batches = await Array.fromAsync(toRecordBatches(schema, source, {}));
      partitions.push(batches.flatMap((batch) => [...rowsOf(batch)]));
    }
    return { rest, schema, partitions };
  }

  /** Stages deltas. Each array is one task. */
  async stageDeltas(
    tasks: readonly (readonly Delta[])[],
    ddl: string,
    context: Partial<BatchContext> = {},
  ): Promise<readonly StagedRows[]> {
    const messages: StagedRows[] = [];
    for (const [partitionId, deltas] of tasks.entries()) {
      const write = await this.deltaWrite(ddl);
      const batchWrite = await write.toBatch();
      const factory = await batchWrite.restoreBatchWriterFactory?.({});
      const task = this.desk.task({ ...context, partitionId });
      const writer = (await factory?.createWriter(partitionId, partitionId, task)) as DeltaWriter<StagedRows>;
      for (const delta of deltas) {
        if ("delete" in delta) await writer.delete(null, delta.delete);
        else if ("update" in delta) await writer.update(null, delta.update, delta.row);
        else await writer.insert(delta.insert);
      }
      messages.push(await committed(writer));
    }
    return json(messages);
  }

  async deltaWrite(ddl: string): Promise<DeltaWrite> {
    const operation = await this.operation();
    const schema = parseDdl(ddl);
    const rowIdSchema = schema.select(operation.rowId().map(({ attribute }) => attribute[0] ?? ""));
    return await operation.newWriteBuilder({ ...INFO, schema, rowIdSchema }).build();
  }

  /** Commits deltas, and returns the metrics of the commit. */
  async commitDeltas(
    messages: readonly StagedRows[],
    ddl: string,
    context: Partial<BatchContext> = {},
  ): Promise<Record<string, number>> {
    const write = await this.deltaWrite(ddl);
    await (await write.toBatch()).commit(messages, undefined, this.desk.context(context));
    return await metricsOf(write);
  }

  async applyDeltas(
    tasks: readonly (readonly Delta[])[],
    ddl: string,
    context: Partial<BatchContext> = {},
  ): Promise<Record<string, number>> {
    return await this.commitDeltas(await this.stageDeltas(tasks, ddl, context), ddl, context);
  }

  async mergeWrite(settings: MergeSettings = {}): Promise<DeltaWrite> {
    const { type = 1, ddl = "id bigint NOT NULL, v string", keys = "id bigint NOT NULL" } = settings;
    const info = {
      ...INFO,
      schema: parseDdl(ddl),
      rowIdSchema: parseDdl(keys),
      metadataSchema: parseDdl(
        `__sequence binary NOT NULL${type === 2 ? ", __start_at bigint NOT NULL" : ""}`,
      ),
      storedAsScdType: type,
      tombstonesKeptMilliseconds: settings.tombstonesKeptMilliseconds ?? 1_000_000,
    };
    return await (await this.table()).newAutoCdcWriteBuilder(info).build();
  }

  async streaming(settings: MergeSettings = {}): Promise<DeltaStreamingWrite<StagedRows>> {
    return (await (await this.mergeWrite(settings)).toStreaming()) as DeltaStreamingWrite<StagedRows>;
  }

  /** Stages changes of keys. Each array is one task. */
  async stageChanges(
    tasks: readonly (readonly KeyChange[])[],
    settings: MergeSettings = {},
    context: Partial<BatchContext> = {},
  ): Promise<readonly StagedRows[]> {
    const messages: StagedRows[] = [];
    for (const [partitionId, changes] of tasks.entries()) {
      const factory = await (await this.streaming(settings)).restoreStreamingWriterFactory?.({});
      const task = this.desk.task({ ...context, partitionId });
      const writer = await factory?.createWriter(partitionId, partitionId, task.batchId, task);
      for (const { id, row, sequence } of changes) {
        const metadata = { __sequence: sequenceOf(sequence), __start_at: sequence };
        const changer = writer as DeltaWriter<StagedRows>;
        if (row === undefined) await changer.delete(metadata, id);
        else await changer.update(metadata, id, { ...id, ...row });
      }
      messages.push(await committed(writer as DeltaWriter<StagedRows>));
    }
    return json(messages);
  }

  async commitChanges(
    messages: readonly StagedRows[],
    settings: MergeSettings = {},
    context: Partial<BatchContext> = {},
  ): Promise<Record<string, number>> {
    const write = await this.mergeWrite(settings);
    const batch = this.desk.context(context);
    await (await write.toStreaming()).commit(batch.batchId, messages, batch);
    return await metricsOf(write);
  }

  async merge(
    tasks: readonly (readonly KeyChange[])[],
    settings: MergeSettings = {},
    context: Partial<BatchContext> = {},
  ): Promise<Record<string, number>> {
    return await this.commitChanges(await this.stageChanges(tasks, settings, context), settings, context);
  }
}

async function committed(writer: DeltaWriter<StagedRows>): Promise<StagedRows> {
  const message = await writer.commit();
  await writer.close();
  if (message === undefined) throw new Error("the writer has no message");
  return message;
}

async function metricsOf(write: DeltaWrite): Promise<Record<string, number>> {
  return Object.fromEntries((await write.reportDriverMetrics()).map(({ name, value }) => [name, value]));
}

/** Returns the bytes of a sequence, in the order of the numbers, in base64. */
export function sequenceOf(number: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(number) + 2n ** 63n);
  return bytes.toString("base64");
}

/** Returns rows as a record batch would have them. */
export function asRows(ddl: string, rows: readonly Row[]): NamedRow[] {
  return [...rowsOf(recordBatchOf(parseDdl(ddl), rows))];
}
