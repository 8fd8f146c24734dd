import type { TaskContext } from "../../../shared/contract/context.ts";
import { schemaToJson } from "../../../shared/contract/ddl/json.ts";
import type { JsonValue } from "../../../shared/contract/json.ts";
import type { NamedRow } from "../../../shared/contract/stream-reader.ts";
import { BatchWrite, StreamingWrite } from "../../../shared/contract/write/batch-write.ts";
import {
  type CustomMetric,
  CustomSumMetric,
  type CustomTaskMetric,
} from "../../../shared/contract/write/metrics.ts";
import type { WriteSummary } from "../../../shared/contract/write/summary.ts";
import { type InsertableRelation, V1Write, Write } from "../../../shared/contract/write/write.ts";
import type { LogicalWriteInfo, PhysicalWriteInfo } from "../../../shared/contract/write/write-info.ts";
import type { Disposition } from "../../../shared/contract/write/writer-table.ts";
import type { Args } from "../trace.ts";
import { log } from "./log.ts";
import type { OpRow } from "./op.ts";
import type { RecSettings } from "./rec-settings.ts";
import { jsonOf, type Message, RecWriter } from "./rec-writer.ts";

/** What a builder built. */
export interface RecWriteParts {
  readonly settings: RecSettings;
  readonly info: LogicalWriteInfo;
  readonly replaces: Disposition;
}

type Messages = readonly (Message | null)[];

/** Returns a schema as the recordings print it: `id BIGINT NOT NULL,p INT`. */
export function ddlOf({ schema }: Pick<LogicalWriteInfo, "schema">): string {
  const columns = schemaToJson(schema).fields.map(
    ({ name, type, nullable }) => `${name} ${type.toUpperCase()}${nullable ? "" : " NOT NULL"}`,
  );
  return columns.join(",");
}

const columnsOf = ({ info }: RecWriteParts): readonly string[] => info.schema.fields.map(({ name }) => name);
const idsOf = (messages: Messages): readonly number[] =>
  messages.flatMap((message) => (message === null ? [] : [message.taskId]));

class RowsSeen extends CustomSumMetric {
  override readonly name = "rowsSeen";
  override readonly description = "rows seen by the writers";
}

class FilesAdded extends CustomSumMetric {
  override readonly name = "filesAdded";
  override readonly description = "files added";
}

/** The metrics that a table with `metrics` has of its own, beside those of its writers. */
export const TABLE_METRICS: readonly CustomMetric[] = [new FilesAdded()];
export const WRITE_METRICS: readonly CustomMetric[] = [new RowsSeen(), ...TABLE_METRICS];

export function askMetrics(settings: RecSettings, point: string, metrics: readonly CustomMetric[]) {
  if (!settings.hasMetrics) return [];
  log(point, { returns: metrics.map(({ name }) => name) });
  settings.faults.strike(point);
  return metrics;
}

export async function reportMetrics(settings: RecSettings, point: string): Promise<CustomTaskMetric[]> {
  const metrics = settings.hasMetrics ? [{ name: "filesAdded", value: 7 }] : [];
  log(point, { returns: metrics.map(({ name, value }) => ({ [name]: value })) });
  await settings.faults.strikeLater(point);
  return metrics;
}

/** The write of the recordings. */
export class RecWrite extends Write {
  readonly #parts: RecWriteParts;

  constructor(parts: RecWriteParts) {
    super();
    this.#parts = parts;
  }

  override async toBatch(): Promise<RecBatchWrite> {
    return await toBatch(this.#parts);
  }

  override async toStreaming(): Promise<RecStreamingWrite> {
    log("Write.toStreaming");
    await this.#parts.settings.faults.strikeLater("Write.toStreaming");
    return new RecStreamingWrite(this.#parts);
  }

  override supportedCustomMetrics(): readonly CustomMetric[] {
    return askMetrics(this.#parts.settings, "Write.supportedCustomMetrics", WRITE_METRICS);
  }

  override async reportDriverMetrics(): Promise<readonly CustomTaskMetric[]> {
    return await reportMetrics(this.#parts.settings, "Write.reportDriverMetrics");
  }
}

async function toBatch(parts: RecWriteParts): Promise<RecBatchWrite> {
  log("Write.toBatch");
  await parts.settings.faults.strikeLater("Write.toBatch");
  return new RecBatchWrite(parts);
}

/** The write of a table with `v1`. Like Spark's, it also has `toBatch`. */
export class RecV1Write extends V1Write {
  readonly #parts: RecWriteParts;

  constructor(parts: RecWriteParts) {
    super();
    this.#parts = parts;
  }

  override async toBatch(): Promise<RecBatchWrite> {
    return await toBatch(this.#parts);
  }

  override supportedCustomMetrics(): readonly CustomMetric[] {
    return askMetrics(this.#parts.settings, "Write.supportedCustomMetrics", WRITE_METRICS);
  }

  override async reportDriverMetrics(): Promise<readonly CustomTaskMetric[]> {
    return await reportMetrics(this.#parts.settings, "Write.reportDriverMetrics");
  }

  override async toInsertableRelation(): Promise<InsertableRelation> {
    const { settings, info, replaces } = this.#parts;
    log("V1Write.toInsertableRelation");
    await settings.faults.strikeLater("V1Write.toInsertableRelation");
    const insert = async (records: AsyncIterable<NamedRow>, overwrite: boolean) => {
      const rows: OpRow[] = [];
      for await (const record of records)
        rows.push(columnsOf(this.#parts).map((name) => jsonOf(record[name])));
      log("InsertableRelation.insert", { schema: ddlOf(info), rows, overwrite });
      await settings.faults.strikeLater("InsertableRelation.insert");
      settings.table.insert(replaces, [rows]);
    };
    return { insert };
  }
}

class RecBatchWrite extends BatchWrite<Message> {
  readonly #parts: RecWriteParts;

  constructor(parts: RecWriteParts) {
    super();
    this.#parts = parts;
  }

  override async createBatchWriterFactory({ numPartitions }: PhysicalWriteInfo) {
    const { settings } = this.#parts;
    log("BatchWrite.createBatchWriterFactory", { numPartitions });
    await settings.faults.strikeLater("BatchWrite.createBatchWriterFactory");
    const createWriter = async (partitionId: number, taskId: number, task: TaskContext) => {
      log("DataWriterFactory.createWriter", { partitionId, taskId });
      await settings.faults.strikeLater("DataWriterFactory.createWriter", { partitionId });
      return newWriter(this.#parts, { partitionId, taskId, task });
    };
    return { createWriter };
  }

  override useCommitCoordinator(): boolean {
    return useCommitCoordinator(this.#parts, "BatchWrite.useCommitCoordinator");
  }

  override async onDataWriterCommit(message: Message | null): Promise<void> {
    log("BatchWrite.onDataWriterCommit", { message });
    const place = message === null ? {} : { partitionId: message.partition };
    await this.#parts.settings.faults.strikeLater("BatchWrite.onDataWriterCommit", place);
  }

  override async commit(messages: Messages, summary: WriteSummary | undefined): Promise<void> {
    const told = summary === undefined ? {} : { summary: summaryArgs(summary) };
    await commit(this.#parts, "BatchWrite.commit", {}, messages, told);
  }

  override async abort(messages: Messages): Promise<void> {
    await abort(this.#parts, "BatchWrite.abort", {}, messages);
  }
}

class RecStreamingWrite extends StreamingWrite<Message> {
  readonly #parts: RecWriteParts;

  constructor(parts: RecWriteParts) {
    super();
    this.#parts = parts;
  }

  override async createStreamingWriterFactory({ numPartitions }: PhysicalWriteInfo) {
    const { settings } = this.#parts;
    log("StreamingWrite.createStreamingWriterFactory", { numPartitions });
    await settings.faults.strikeLater("StreamingWrite.createStreamingWriterFactory");
    const createWriter = async (partitionId: number, taskId: number, epochId: number, task: TaskContext) => {
      log("StreamingDataWriterFactory.createWriter", { partitionId, taskId, epochId });
      await settings.faults.strikeLater("StreamingDataWriterFactory.createWriter", { partitionId, epochId });
      return newWriter(this.#parts, { partitionId, taskId, epochId, task });
    };
    return { createWriter };
  }

  override useCommitCoordinator(): boolean {
    return useCommitCoordinator(this.#parts, "StreamingWrite.useCommitCoordinator");
  }

  override async commit(epochId: number, messages: Messages): Promise<void> {
    await commit(this.#parts, "StreamingWrite.commit", { epochId }, messages, {});
  }

  override async abort(epochId: number, messages: Messages): Promise<void> {
    await abort(this.#parts, "StreamingWrite.abort", { epochId }, messages);
  }
}

interface Task {
  readonly partitionId: number;
  readonly taskId: number;
  readonly epochId?: number;
  readonly task: TaskContext;
}

function newWriter(parts: RecWriteParts, { task, ...ids }: Task): RecWriter {
  return new RecWriter({
    settings: parts.settings,
    columns: columnsOf(parts),
    attempt: task.attemptNumber,
    ...ids,
  });
}

function useCommitCoordinator({ settings }: RecWriteParts, point: string): boolean {
  log(point, { returns: settings.isCoordinated });
  settings.faults.strike(point);
  return settings.isCoordinated;
}

async function commit(
  { settings, replaces }: RecWriteParts,
  point: string,
  epoch: { readonly epochId?: number },
  messages: Messages,
  told: Args,
): Promise<void> {
  const { table, faults } = settings;
  log(point, { ...epoch, messages, ...told });
  await faults.strikeLater(point, epoch);
  table.commit(replaces, idsOf(messages));
  // The recorded table tells of its return only if a fault waits there.
  if (faults.knows(`${point}:return`)) log(`${point}:return`, epoch);
  await faults.strikeLater(`${point}:return`, epoch);
}

async function abort(
  { settings }: RecWriteParts,
  point: string,
  epoch: { readonly epochId?: number },
  messages: Messages,
): Promise<void> {
  log(point, { ...epoch, messages });
  await settings.faults.strikeLater(point, epoch);
  for (const taskId of idsOf(messages)) settings.table.drop(taskId);
}

/** The recordings name the kind of a summary `type`. */
function summaryArgs({ kind, ...numbers }: WriteSummary): JsonValue {
  return { type: kind, ...numbers };
}
