import { Bool, Field, type RecordBatch, Schema } from "apache-arrow";
import { toRecordBatches } from "../../arrow/record-batches.ts";
import { arrangedMerge } from "../../contract/arrangement.ts";
import type { DataSourceRuntime, TaskContext } from "../../contract/context.ts";
import { toSchema } from "../../contract/ddl/to-schema.ts";
import type { ErrorLocation } from "../../contract/errors.ts";
import type { RowCommand } from "../../contract/row-command.ts";
import type { InputPartition, RowSource } from "../../contract/stream-reader.ts";
import type { RowLevelOperation } from "../../contract/write/row-level.ts";
import { BatchPlanner } from "../sessions/batch-planner.ts";
import { BATCH_READER, checkImplementation } from "../sessions/check-implementation.ts";
import { guard } from "../sessions/guard.ts";
import { rowPipeline } from "../steps/row-pipeline.ts";
import { type CommandPlan, planCommand } from "./command-plan.ts";
import {
  type CommandPath,
  type CommandTable,
  choosePath,
  isRowLevel,
  metadataColumnsOf,
  type OpenedSource,
  openTable,
  operationOf,
} from "./command-table.ts";
import { factsOf, insertFacts, type OperationFacts } from "./facts.ts";
import { joinedBatch } from "./joined-rows.ts";
import { conditionsOf } from "./pushdown.ts";
import { filterGroups } from "./runtime-filter.ts";
import { TableScan } from "./table-scan.ts";

/** What all steps of a command share. */
export interface CommandParts {
  readonly command: RowCommand;
  readonly table: OpenedSource;
  /** The source of a merge. */
  readonly source: OpenedSource | undefined;
  readonly runtime: DataSourceRuntime;
  readonly where: ErrorLocation;
}

/** A slice of one side, which a task reads. It is recorded in the plan. */
export type SidedPartition = { readonly side: "target" | "source"; readonly partition: InputPartition };

/** The rows of a merge's source. */
export interface MergeSource {
  /** The schema of the rows after the steps of the source. */
  readonly schema: Schema;
  readonly reader: BatchPlanner;
  read(partition: InputPartition, task: TaskContext): Promise<AsyncIterable<RecordBatch>>;
}

/** The schema of the rows of a command that the table carries out by itself: there are none. */
const DELETES = new Schema([new Field("__deleted_by_the_table", new Bool(), true)]);

/** True if the planning step has decided that the table deletes the rows by itself. */
export function isDeletedByTable(schema: Schema): boolean {
  return schema.fields.length === 1 && schema.fields[0]?.name === DELETES.fields[0]?.name;
}

/**
 * The table of a command in one step, its operation, and its scan. One operation makes the scan and
 * the write, the scan first.
 */
export class CommandStep {
  readonly table: CommandTable;
  readonly path: CommandPath;
  readonly parts: CommandParts;
  readonly #plan: CommandPlan | undefined;
  readonly #scan: TableScan | undefined;
  readonly #source: MergeSource | undefined;
  /** True if this step has planned the scan, so that its operation knows what was read. */
  hasPlanned = false;

  private constructor(
    parts: CommandParts,
    table: CommandTable,
    path: CommandPath,
    rest: {
      readonly plan?: CommandPlan;
      readonly scan?: TableScan | undefined;
      readonly source?: MergeSource | undefined;
    },
  ) {
    this.parts = parts;
    this.table = table;
    this.path = path;
    this.#plan = rest.plan;
    this.#scan = rest.scan;
    this.#source = rest.source;
  }

  /**
   * Opens a step. `planned` is the recorded schema of the rows, if the batch is planned: it says
   * which way was taken. Errors: `WRITE_NOT_SUPPORTED`, `ROW_LEVEL_INVALID`, `MERGE_INVALID`,
   * `FILTER_INVALID`, `COLUMNS_NOT_MATCHED`, `SOURCE_FAILED`, `SINK_FAILED`.
   */
  static async open(parts: CommandParts, planned?: Schema): Promise<CommandStep> {
    const { command, where, runtime } = parts;
    const { table, columns } = await openTable(parts.table, runtime, where);
    const metadata = metadataColumnsOf(table);
    let facts: OperationFacts = insertFacts(columns, metadata);
    const options = parts.table.options as Readonly<Record<string, unknown>>;
    const check = (operation: RowLevelOperation) => {
      facts = factsOf(operation, command.command, columns, metadata, where);
    };
    const path = await guard("SINK_FAILED", "newRowLevelOperationBuilder() failed", where, async () => {
      if (planned === undefined) return await choosePath(command, table, options, check);
      if (isDeletedByTable(planned)) return { kind: "delete" } as const;
      if (command.command !== "DELETE" || !isRowLevel(table))
        return await choosePath(command, table, options, check);
      const operation = await operationOf(command, table, options, check);
      return { kind: "row-level", operation } as const;
    });
    if (path.kind === "delete") return new CommandStep(parts, table, path, {});
    const source = parts.source && (await openMergeSource(parts.source, parts));
    const plan = planCommand(command, facts, source?.schema, where);
    const scan = await openScan(path, table, plan, parts);
    return new CommandStep(parts, table, path, { plan, scan, source });
  }

  /** The plan of a command that the table does not carry out by itself. */
  get plan(): CommandPlan {
    if (this.#plan === undefined) throw new Error("the table carries the command out by itself");
    return this.#plan;
  }

  /** True if no row of the table remains, so that none is read. */
  get deletesAll(): boolean {
    return this.path.kind === "row-level" && this.#scan === undefined;
  }

  /** The schema of the rows that tasks read: a struct for each side. */
  get schema(): Schema {
    return this.#plan?.sides.joined ?? DELETES;
  }

  /** Plans both sides. The source's rows come first. `task` is for rows that planning reads. */
  async partitions(task: TaskContext): Promise<readonly SidedPartition[]> {
    this.hasPlanned = true;
    const ofSource = await this.#source?.reader.partitions();
    const source = (ofSource ?? []).map((partition) => ({ side: "source", partition }) as SidedPartition);
    if (this.#scan === undefined) return source;
    const planned = await this.#scan.partitions();
    const isFiltered = await filterGroups({
      plan: this.plan,
      table: this.table,
      scan: this.#scan.scan,
      options: this.parts.table.options as Readonly<Record<string, unknown>>,
      sourceSchema: this.#source?.schema,
      sourceRows: (columns) => this.#sourceRows(source, columns, task),
      task,
      where: this.parts.where,
    });
    const target = isFiltered ? await this.#scan.partitions() : planned;
    return [...source, ...target.map((partition) => ({ side: "target", partition }) as SidedPartition)];
  }

  /** Yields the rows of a partition, in a struct for their side. */
  async *read({ side, partition }: SidedPartition, task: TaskContext): AsyncGenerator<RecordBatch> {
    const { joined, source } = this.plan.sides;
    const rows =
      side === "source" ? this.#readSource(partition, source, task) : this.#scan?.read(partition, task);
    if (rows === undefined) throw new Error("nothing is read of the table");
    for await (const { numRows, data } of rows) yield joinedBatch(joined, numRows, { [side]: data });
  }

  async *#sourceRows(
    partitions: readonly SidedPartition[],
    columns: Schema,
    task: TaskContext,
  ): AsyncGenerator<RecordBatch> {
    for (const { partition } of partitions) yield* this.#readSource(partition, columns, task);
  }

  async *#readSource(
    partition: InputPartition,
    needed: Schema | undefined,
    task: TaskContext,
  ): AsyncGenerator<RecordBatch> {
    const source = this.#source;
    if (source === undefined || needed === undefined) throw new Error("only a merge has a source");
    const names = source.schema.fields.map(({ name }) => name);
    const indexes = needed.fields.map(({ name }) => names.indexOf(name));
    for await (const batch of await source.read(partition, task)) yield batch.selectAt(indexes);
  }
}

/** Builds the scan. Of groups, nothing is scanned if no row of the table remains. */
async function openScan(
  path: Exclude<CommandPath, { kind: "delete" }>,
  table: CommandTable,
  plan: CommandPlan,
  { command, table: { options }, where }: CommandParts,
): Promise<TableScan | undefined> {
  const request = { pushed: plan.pushed, columns: plan.sides.target, where };
  const given = options as Readonly<Record<string, unknown>>;
  if (path.kind === "insert") {
    return await TableScan.build(() => {
      if (table.newScanBuilder === undefined) throw new Error("the table cannot be read");
      return table.newScanBuilder(given);
    }, request);
  }
  const isAll = command.command === "DELETE" && conditionsOf(command.where) === undefined;
  if (isAll && plan.facts.form === "group") return undefined;
  return await TableScan.build(() => path.operation.newScanBuilder(given), request);
}

async function openMergeSource(
  { configured, options }: OpenedSource,
  { command, runtime, where }: CommandParts,
): Promise<MergeSource> {
  const { dataSource } = configured;
  const given = command.command === "MERGE" ? command.source : undefined;
  if (given?.arrangement !== undefined) throw arrangedMerge(where);
  const made = await guard("SOURCE_FAILED", `making the source "${dataSource.name}" failed`, where, () => {
    return new dataSource(options as never, runtime);
  });
  const sourceSchema = toSchema(
    given?.schema ?? (await guard("SOURCE_FAILED", "schema() failed", where, () => made.schema())),
  );
  const reader = await guard("SOURCE_FAILED", "reader() failed", where, () => made.reader(sourceSchema));
  checkImplementation(reader, "reader", BATCH_READER, where);
  const planner = new BatchPlanner(reader, sourceSchema, given?.filters ?? [], where);
  const steps = rowPipeline(sourceSchema, given?.steps ?? [], where);
  return {
    schema: steps.schema,
    reader: planner,
    async read(partition, task) {
      const rows = (await planner.read(partition, task)) as RowSource;
      const batches = toRecordBatches(sourceSchema, rows, where);
      return given?.steps === undefined ? batches : steps.apply(batches, { where, signal: task.signal });
    },
  };
}
