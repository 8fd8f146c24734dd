import type { Schema } from "apache-arrow";
import type { TaskContext } from "../../../shared/contract/context.ts";
import { schemaToJson } from "../../../shared/contract/ddl/json.ts";
import type { JsonValue } from "../../../shared/contract/json.ts";
import type { NamedRow } from "../../../shared/contract/stream-reader.ts";
import { BatchWrite } from "../../../shared/contract/write/batch-write.ts";
import type { DataWriter } from "../../../shared/contract/write/data-writer.ts";
import { predicateText } from "../../../shared/contract/write/predicate-text.ts";
import { type NamedReference, type Predicate, reference } from "../../../shared/contract/write/predicates.ts";
import type {
  RowLevelOperation,
  RowLevelOperationInfo,
  SupportsDelta,
} from "../../../shared/contract/write/row-level.ts";
import type {
  Batch,
  MetadataColumn,
  Scan,
  ScanBuilder,
  SupportsRuntimeV2Filtering,
} from "../../../shared/contract/write/scan.ts";
import type { WriteSummary } from "../../../shared/contract/write/summary.ts";
import type { LogicalWriteInfo, PhysicalWriteInfo } from "../../../shared/contract/write/write-info.ts";
import type { Args } from "../trace.ts";
import { log } from "./log.ts";
import { newRowWrite } from "./rec-row-write.ts";
import { RecDeltaWriter, RecGroupWriter, type RowWriterParts } from "./rec-row-writers.ts";
import type { RecSettings } from "./rec-settings.ts";
import type { Message } from "./rec-writer.ts";

/** The metadata columns of the recorded row-level tables. */
export const METADATA_COLUMNS: readonly MetadataColumn[] = [
  { name: "_file", type: "int not null" },
  { name: "_pos", type: "int not null" },
  { name: "_seq", type: "int", preserveOnUpdate: false, preserveOnReinsert: true },
];

type Options = Readonly<Record<string, unknown>>;

/** Returns a schema as the recordings print it; `null` if there is none. */
export function ddlOrNull(schema: Schema | undefined): string | null {
  if (schema === undefined) return null;
  return schemaToJson(schema)
    .fields.map(({ name, type, nullable }) => `${name} ${type.toUpperCase()}${nullable ? "" : " NOT NULL"}`)
    .join(",");
}

/** Returns the operation of a command, as the settings of the table want it. */
export function newOperation(
  settings: RecSettings,
  info: RowLevelOperationInfo,
  schema: string,
): RowLevelOperation {
  log("Table.newRowLevelOperationBuilder", { command: info.command, options: info.options as Args });
  settings.faults.strike("Table.newRowLevelOperationBuilder");
  log("RowLevelOperationBuilder.build");
  settings.faults.strike("RowLevelOperationBuilder.build");
  const operation = new RecOperation(settings, info, schema);
  return settings.isDelta ? Object.assign(operation, deltaOf(settings)) : operation;
}

function deltaOf(settings: RecSettings): Pick<SupportsDelta, "rowId" | "representUpdateAsDeleteAndInsert"> {
  return {
    rowId: () => {
      log("SupportsDelta.rowId", { returns: settings.rowId });
      return settings.rowId.map((name) => reference(name));
    },
    representUpdateAsDeleteAndInsert: () => {
      log("SupportsDelta.representUpdateAsDeleteAndInsert", { returns: settings.splits });
      return settings.splits;
    },
  };
}

class RecOperation implements RowLevelOperation {
  readonly command: RowLevelOperation["command"];
  readonly #settings: RecSettings;
  readonly #schema: string;
  #files: readonly number[] | undefined;

  constructor(settings: RecSettings, { command }: RowLevelOperationInfo, schema: string) {
    this.command = command;
    this.#settings = settings;
    this.#schema = schema;
  }

  requiredMetadataAttributes(): readonly NamedReference[] {
    const names = this.#settings.required;
    log("RowLevelOperation.requiredMetadataAttributes", { returns: names });
    return names.map((name) => reference(name));
  }

  newScanBuilder(options: Options): ScanBuilder {
    log("RowLevelOperation.newScanBuilder", { options: options as Args });
    this.#settings.faults.strike("RowLevelOperation.newScanBuilder");
    return newScanBuilder(this.#settings, this.#schema, {
      log,
      onPlanned: (files) => {
        this.#files = files;
      },
    });
  }

  newWriteBuilder(info: LogicalWriteInfo) {
    log("RowLevelOperation.newWriteBuilder", {
      queryId: info.queryId,
      schema: ddlOrNull(info.schema),
      rowIdSchema: ddlOrNull(info.rowIdSchema),
      metadataSchema: ddlOrNull(info.metadataSchema),
      options: { ...info.options } as Args,
    });
    this.#settings.faults.strike("RowLevelOperation.newWriteBuilder");
    return {
      build: async () => {
        log("WriteBuilder.build");
        await this.#settings.faults.strikeLater("WriteBuilder.build");
        return newRowWrite(
          this.#settings,
          () => new RecRowBatchWrite(this.#settings, info, () => this.#files),
        );
      },
    };
  }

  /** The recorded operation lives in the driver, and knows what its scan has read. */
  scanned(files: readonly JsonValue[]): void {
    this.#files = files as readonly number[];
  }
}

interface ScanHooks {
  log(call: string, args?: Args): void;
  onPlanned(files: readonly number[]): void;
}

/** Returns a builder of scans whose partitions are files. */
export function newScanBuilder(settings: RecSettings, schema: string, hooks: ScanHooks): ScanBuilder {
  const builder = new RecScanBuilder(settings, schema, hooks);
  return builder;
}

class RecScanBuilder implements ScanBuilder {
  readonly #settings: RecSettings;
  readonly #hooks: ScanHooks;
  readonly #all: string;
  #columns: readonly string[];
  #predicates: readonly Predicate[] = [];
  /** Absent in the delta form without a condition, as in Spark. */
  constructor(settings: RecSettings, schema: string, hooks: ScanHooks) {
    this.#settings = settings;
    this.#hooks = hooks;
    this.#all = schema;
    this.#columns = settings.table.columns;
  }

  pushPredicates(predicates: readonly Predicate[]): readonly Predicate[] {
    const texts = predicates.map(predicateText);
    this.#hooks.log("ScanBuilder.pushPredicates", { predicates: texts, returns: texts });
    this.#predicates = predicates;
    return predicates;
  }

  pruneColumns(required: Schema): void {
    this.#hooks.log("ScanBuilder.pruneColumns", { schema: ddlOrNull(required) });
    this.#columns = required.fields.map(({ name }) => name);
  }

  async build(): Promise<Scan> {
    this.#hooks.log("ScanBuilder.build");
    await this.#settings.faults.strikeLater("ScanBuilder.build");
    const scan = new RecScan(this.#settings, this.#ddl(), this.#columns, this.#predicates, this.#hooks);
    return this.#settings.filtersAtRuntime ? Object.assign(scan, scan.filtering) : scan;
  }

  #ddl(): string {
    const types = new Map(this.#all.split(",").map((column) => [column.trim().split(" ")[0], column.trim()]));
    for (const { name, type } of METADATA_COLUMNS) types.set(name, `${name} ${type}`);
    return this.#columns.map((name) => types.get(name)).join(",");
  }
}

class RecScan implements Scan {
  readonly #settings: RecSettings;
  readonly #schema: string;
  readonly #columns: readonly string[];
  readonly #predicates: readonly Predicate[];
  readonly #hooks: ScanHooks;
  #only: readonly number[] | undefined;

  constructor(
    settings: RecSettings,
    schema: string,
    columns: readonly string[],
    predicates: readonly Predicate[],
    hooks: ScanHooks,
  ) {
    this.#settings = settings;
    this.#schema = schema;
    this.#columns = columns;
    this.#predicates = predicates;
    this.#hooks = hooks;
  }

  get filtering(): Pick<SupportsRuntimeV2Filtering, "filterAttributes" | "filter"> {
    return {
      filterAttributes: () => [reference("_file")],
      filter: (predicates) => {
        this.#hooks.log("Scan.filter", { predicates: predicates.map(predicateText) });
        const values = predicates[0]?.children.slice(1) ?? [];
        this.#only = values.map((value) => Number(value.kind === "literal" ? value.value : Number.NaN));
      },
    };
  }

  readSchema(): string {
    return this.#schema;
  }

  toBatch(): Batch<number> {
    const { table, prunes } = this.#settings;
    return {
      planInputPartitions: async () => {
        const all = prunes ? table.filesWith(this.#predicates) : table.fileNumbers;
        const files = all.filter((file) => this.#only?.includes(file) ?? true);
        this.#hooks.log("Batch.planInputPartitions", { files });
        await this.#settings.faults.strikeLater("Batch.planInputPartitions");
        this.#hooks.onPlanned(files);
        return files;
      },
      createReaderFactory: () => ({ createReader: (file) => table.scanned(file, this.#columns) }),
    };
  }
}

/** The messages of tasks that have one. */
const idsOf = (messages: readonly (Message | null)[]) =>
  messages.flatMap((message) => (message === null ? [] : [message.taskId]));

class RecRowBatchWrite extends BatchWrite<Message> {
  readonly #settings: RecSettings;
  readonly #info: LogicalWriteInfo;
  readonly #scanned: () => readonly number[] | undefined;
  #factory: { readonly files?: readonly number[] } = {};

  constructor(settings: RecSettings, info: LogicalWriteInfo, scanned: () => readonly number[] | undefined) {
    super();
    this.#settings = settings;
    this.#info = info;
    this.#scanned = scanned;
  }

  override async createBatchWriterFactory({ numPartitions }: PhysicalWriteInfo) {
    const settings = this.#settings;
    log("BatchWrite.createBatchWriterFactory", { numPartitions });
    await settings.faults.strikeLater("BatchWrite.createBatchWriterFactory");
    const files = this.#scanned();
    const createWriter = async (partitionId: number, taskId: number, task: TaskContext) => {
      log("DataWriterFactory.createWriter", { partitionId, taskId });
      await settings.faults.strikeLater("DataWriterFactory.createWriter", { partitionId });
      return this.#writer({ settings, info: this.#info, partitionId, taskId, attempt: task.attemptNumber });
    };
    const factory = { createWriter, ...(files === undefined ? {} : { files }) };
    this.#factory = factory;
    return factory;
  }

  #writer(parts: RowWriterParts): DataWriter<NamedRow, Message> {
    return this.#settings.isDelta ? new RecDeltaWriter(parts) : new RecGroupWriter(parts);
  }

  override useCommitCoordinator(): boolean {
    log("BatchWrite.useCommitCoordinator", { returns: this.#settings.isCoordinated });
    return this.#settings.isCoordinated;
  }

  override async onDataWriterCommit(message: Message | null): Promise<void> {
    log("BatchWrite.onDataWriterCommit", { message });
    await this.#settings.faults.strikeLater("BatchWrite.onDataWriterCommit");
  }

  override async commit(
    messages: readonly (Message | null)[],
    summary: WriteSummary | undefined,
  ): Promise<void> {
    const { table, faults, isDelta } = this.#settings;
    const told: Args = summary === undefined ? {} : { summary: summaryArgs(summary) };
    log("BatchWrite.commit", { messages, ...told });
    await faults.strikeLater("BatchWrite.commit");
    if (isDelta) table.commitDelta(idsOf(messages), this.#settings.rowId);
    else table.replaceFiles(this.#factory.files, idsOf(messages));
    await faults.strikeLater("BatchWrite.commit:return");
  }

  override async abort(messages: readonly (Message | null)[]): Promise<void> {
    log("BatchWrite.abort", { messages });
    await this.#settings.faults.strikeLater("BatchWrite.abort");
    for (const taskId of idsOf(messages)) this.#settings.table.drop(taskId);
  }
}

function summaryArgs({ kind, ...numbers }: WriteSummary): JsonValue {
  return { type: kind, ...numbers };
}
