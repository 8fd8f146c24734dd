import type { RecordBatch, Schema } from "apache-arrow";
import type { CommittedBatch } from "../../contract/batch-identity.ts";
import type { SupportsExists } from "../../contract/batch-writer.ts";
import { isCommitted } from "../../contract/committed-batch.ts";
import type { BatchContext, Runtime, SinkContext, TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { STORE_FOLDER } from "../../contract/store-layout.ts";
import {
  type DamagedFile,
  DataSourceStreamArrowWriter,
  type NewestBatchContext,
  type SupportsCommitLookup,
  type SupportsNewestBatch,
  type SupportsStagedFiles,
  type SupportsTargetCheck,
  type SupportsTargetName,
  type SupportsTaskAbort,
  type SupportsVacuum,
  type TargetContext,
  type VacuumContext,
  type VacuumResult,
} from "../../contract/stream-writer.ts";
import { sha256 } from "../kit/sha256.ts";
import { filesOf, findDamagedFiles, pathsOf, putRows, type StagedRows } from "../kit/staging.ts";
import { commitChange, schemaBefore, tableAfter } from "./commit.ts";
import { dataKey } from "./data-files.ts";
import { openLog, readHead } from "./log.ts";
import type { LogFile, Operation } from "./log-entry.ts";
import type { LogMark } from "./log-window.ts";
import { putPartitions } from "./partition-files.ts";
import { checkPartitionColumns } from "./partitioning.ts";
import type { SchemaChoice } from "./schema-change.ts";
import { tableSchemaOf } from "./stored-schema.ts";
import type { TableSchema } from "./table-state.ts";
import { vacuumTable } from "./vacuum.ts";

/**
 * The commit message of a task. `table` is the location of the table when its files were staged. It
 * is `null` for the table in the pipeline's own folder, because that one moves together with the
 * pipeline's home.
 */
export type TableRows = StagedRows<LogFile> & { readonly table: string | null };

/** What a writer of an Arrow table is made of. */
export interface ArrowTableParts {
  readonly schema: Schema;
  readonly operation: Operation;
  /** The table's folder. Absent for the table in the pipeline's own folder. */
  readonly path?: string | undefined;
  readonly partitionBy?: readonly string[] | undefined;
  /** What happens if the rows have other columns than the table. Default: `fail`. */
  readonly onSchemaChange?: SchemaChoice | undefined;
  /** The size at which a data file is closed. */
  readonly fileBytes?: number;
}

/**
 * Stages the Arrow files of each task. A commit puts one log entry, which appends the files, or
 * replaces all existing ones or those of the same partitions.
 */
export class ArrowTableWriter
  extends DataSourceStreamArrowWriter<TableRows>
  implements
    SupportsTaskAbort<TableRows>,
    SupportsStagedFiles<TableRows>,
    SupportsCommitLookup,
    SupportsNewestBatch,
    SupportsTargetName,
    SupportsTargetCheck,
    SupportsExists,
    SupportsVacuum
{
  readonly #parts: ArrowTableParts;
  readonly #runtime: Runtime;

  constructor(parts: ArrowTableParts, runtime: Runtime) {
    super();
    this.#parts = parts;
    this.#runtime = runtime;
  }

  override async write(batches: AsyncIterable<RecordBatch>, task: TaskContext): Promise<TableRows> {
    const table = this.#table(task);
    return { table: this.#recordedLocation(table), files: await this.#putFiles(table, batches, task) };
  }

  async #putFiles(
    table: ObjectStore,
    batches: AsyncIterable<RecordBatch>,
    task: TaskContext,
  ): Promise<readonly LogFile[]> {
    const { schema, partitionBy, fileBytes } = this.#parts;
    const id = this.#runtime.newId();
    if (partitionBy === undefined) {
      const keyOf = (fileId: string) => dataKey(task, fileId);
      return await putRows(table, keyOf, id, schema, batches, fileBytes);
    }
    checkPartitionColumns(schema, partitionBy);
    const keyOf = (folder: string, fileId: string) => dataKey(task, fileId, folder);
    return await putPartitions(table, { schema, partitionBy, id, keyOf, fileBytes }, batches);
  }

  async abortTask(message: TableRows | null, task: TaskContext): Promise<void> {
    await this.#table(task).delete(pathsOf([message]));
  }

  /** Leaves out files of another table, which `commit` tells from those that were moved. */
  async findDamaged(
    messages: readonly (TableRows | null)[],
    batch: BatchContext,
  ): Promise<readonly DamagedFile[]> {
    const table = this.#table(batch);
    const location = this.#recordedLocation(table);
    return await findDamagedFiles(
      table,
      messages.map((message) => (message?.table === location ? message : null)),
    );
  }

  override async commit(
    messages: readonly (TableRows | null)[],
    batchId: number,
    batch: BatchContext,
  ): Promise<CommitHint> {
    const table = this.#table(batch);
    const location = this.#recordedLocation(table);
    await checkSameTable(location, messages, table);
    const { operation, partitionBy } = this.#parts;
    if (partitionBy !== undefined) checkPartitionColumns(this.#parts.schema, partitionBy);
    const schema = tableSchemaOf(this.#parts.schema, partitionBy);
    const add = messages.flatMap(filesOf<LogFile>);
    checkStagedPartitions(table, add, partitionBy);
    const schemaDigest = digestOf(schema);
    const hint = hintFor(location, batch);
    const committed = await commitChange(table, {
      batch,
      change: {
        // A batch without messages was skipped.
        kind: messages.length === 0 ? "skip" : operation,
        schema,
        onSchemaChange: this.#parts.onSchemaChange ?? "fail",
        add,
      },
      known: hint,
      isSchemaKnown: hint?.schemaDigest === schemaDigest,
      isBehind: hint?.isBehind === true,
      now: () => this.#runtime.now(),
    });
    return {
      table: location,
      version: committed.version,
      newest: { incarnation: batch.incarnation, batchId, planId: batch.planId },
      ...(committed.schema === undefined ? {} : { schemaDigest: digestOf(committed.schema) }),
      mark: committed.mark,
      ...(committed.isBehind ? { isBehind: true } : {}),
    };
  }

  async hasCommitted(_batchId: number, batch: BatchContext): Promise<boolean> {
    return isCommitted(batch, await this.newestBatch(batch));
  }

  async newestBatch(context: NewestBatchContext): Promise<CommittedBatch | undefined> {
    const table = this.#table(context);
    const known = hintFor(this.#recordedLocation(table), context);
    return (await openLog(table, context.pipeline, known)).newest;
  }

  /**
   * Checks the columns of the rows before a batch is planned. If the last commit left the schema
   * that they have, it asks nothing. Errors: `TABLE_SCHEMA_MISMATCH`, `TABLE_PARTITIONS_MISMATCH`.
   */
  async checkTarget(context: NewestBatchContext): Promise<void> {
    const { operation, schema, partitionBy, onSchemaChange = "fail" } = this.#parts;
    const table = this.#table(context);
    await table.checkWritable?.();
    const known = hintFor(this.#recordedLocation(table), context);
    const mine = tableSchemaOf(schema, partitionBy);
    if (operation === "overwrite" || known?.schemaDigest === digestOf(mine)) return;
    const before = await schemaBefore(table, await openLog(table, context.pipeline, known));
    if (before !== undefined) tableAfter(table, before, { schema: mine, onSchemaChange });
  }

  /** Returns the folder of the table, or `undefined` if it is in the pipeline's own folder. */
  targetName(context: TargetContext): string | undefined {
    return this.#recordedLocation(this.#table(context)) ?? undefined;
  }

  /** Returns true if the table has at least one commit. */
  async exists(context: SinkContext): Promise<boolean> {
    return (await readHead(this.#table(context))) !== undefined;
  }

  override async abort(
    messages: readonly (TableRows | null)[],
    _batchId: number,
    batch: BatchContext,
  ): Promise<void> {
    // A commit that was tried may still take effect later and then needs its files. `vacuum`
    // removes them once that is impossible.
    if (batch.commitTried) return;
    await this.#table(batch).delete(pathsOf(messages));
  }

  async vacuum(context: VacuumContext): Promise<VacuumResult> {
    return await vacuumTable(this.#table(context), context);
  }

  #table(context: TargetContext): ObjectStore {
    const { path } = this.#parts;
    if (path !== undefined) return context.openStore(path);
    return (context.tableStore ?? context.store).at(STORE_FOLDER.table);
  }

  #recordedLocation(table: ObjectStore): string | null {
    return this.#parts.path === undefined ? null : table.location;
  }
}

function digestOf({ schema, arrowSchema, partitionBy }: TableSchema): string {
  const partitions = partitionBy === undefined ? "" : JSON.stringify(partitionBy);
  return sha256(JSON.stringify(schema) + (arrowSchema ?? "") + partitions).toString("hex");
}

/**
 * The data that one commit stores for the next one. With it, the next commit looks for the newest
 * log entries only, and reads those that are new.
 */
type CommitHint = {
  readonly table: string | null;
  readonly version: number;
  /** The newest batch of the pipeline up to `version`. */
  readonly newest: { readonly incarnation: string; readonly batchId: number; readonly planId: string };
  /**
   * SHA-256 of the schema in the log entry of `version`, in hexadecimal. Absent if the table had
   * the batch already.
   */
  readonly schemaDigest?: string;
  /** Absent in the hints of older versions. */
  readonly mark?: LogMark;
  /** True if the newest checkpoint is far behind the log. */
  readonly isBehind?: boolean;
};

/** Returns the hint that the last commit stored, or `undefined` if there is none for this table. */
function hintFor(
  recordedLocation: string | null,
  { lastCommit }: NewestBatchContext,
): CommitHint | undefined {
  const hint = lastCommit as Partial<CommitHint> | null | undefined;
  // The hint of an older version has no `newest`.
  const isHint =
    typeof hint?.version === "number" && hint.newest !== undefined && hint.table === recordedLocation;
  return isHint ? (hint as CommitHint) : undefined;
}

/**
 * Throws `TABLE_MOVED` if the batch was staged in another table and this table does not have the
 * staged files. It has them if the folder was moved with them.
 */
async function checkSameTable(
  recordedLocation: string | null,
  messages: readonly (TableRows | null)[],
  table: ObjectStore,
): Promise<void> {
  let elsewhere: TableRows | undefined;
  for (const message of messages) {
    if (message === null || message.table === recordedLocation) continue;
    if ((await findDamagedFiles(table, [message])).length > 0) elsewhere ??= message;
  }
  if (elsewhere === undefined) return;
  throw new MillraceError(
    "TABLE_MOVED",
    `the batch was staged in ${elsewhere.table ?? "the pipeline's own folder"}, the table is now ${table.location}`,
    {
      where: { path: table.location },
      hint: "Run it with the path, the home and the working directory that it was begun with; the next batch may go elsewhere.",
    },
  );
}

/**
 * Throws `TABLE_PARTITIONS_MISMATCH` if the files were staged with other partition columns, as
 * after a change of the option between two attempts to commit. The batch is aborted then, and its
 * tasks run again.
 */
function checkStagedPartitions(
  table: ObjectStore,
  files: readonly LogFile[],
  partitionBy: readonly string[] = [],
): void {
  const columns = [...partitionBy].sort();
  const other = files.find(
    ({ partition = {} }) => JSON.stringify(Object.keys(partition).sort()) !== JSON.stringify(columns),
  );
  if (other === undefined) return;
  throw new MillraceError(
    "TABLE_PARTITIONS_MISMATCH",
    "the batch was staged with another option partitionBy than the sink has now",
    {
      where: { path: `${table.location}/${other.path}` },
      hint: "Nothing was committed. The next `millrace run` writes the batch again, with the option as it is now.",
    },
  );
}
