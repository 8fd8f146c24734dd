import type { RecordBatch, Schema } from "apache-arrow";
import type { CommittedBatch } from "../../contract/batch-identity.ts";
import type { SupportsExists } from "../../contract/batch-writer.ts";
import { isCommitted } from "../../contract/committed-batch.ts";
import type { BatchContext, Runtime, SinkContext, TaskContext } from "../../contract/context.ts";
import { toDdl } from "../../contract/ddl/json.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { optional } from "../../contract/optional.ts";
import { STORE_FOLDER } from "../../contract/store-layout.ts";
import {
  type DamagedFile,
  DataSourceStreamArrowWriter,
  type NewestBatchContext,
  type SupportsCommitLookup,
  type SupportsNewestBatch,
  type SupportsStagedFiles,
  type SupportsTargetName,
  type SupportsTaskAbort,
  type SupportsVacuum,
  type TargetContext,
  type VacuumContext,
  type VacuumResult,
} from "../../contract/stream-writer.ts";
import { sha256 } from "../kit/sha256.ts";
import { filesOf, findDamagedFiles, pathsOf, putRows, type StagedRows } from "../kit/staging.ts";
import { dataKey } from "./data-files.ts";
import {
  LOG_FORMAT,
  LOG_START,
  type LogEntry,
  type LogPosition,
  latestVersion,
  liveFiles,
  newestBatch,
  type Operation,
  putEntry,
  readEntry,
} from "./log.ts";
import { isSameTable, type TableSchema, tableSchemaOf } from "./table-schema.ts";
import { vacuumTable } from "./vacuum.ts";

/**
 * How often a commit is tried. Another pipeline may commit to the same table at the same time; the
 * commit then tries the next version.
 */
const MAX_CONFLICTS = 100;

/**
 * The commit message of a task. `table` is the location of the table when its files were staged. It
 * is `null` for the table in the pipeline's own folder, because that one moves together with the
 * pipeline's home.
 */
export type TableRows = StagedRows & { readonly table: string | null };

/**
 * Stages the Arrow files of each task. A commit puts one log entry, which appends the files or replaces
 * the existing ones.
 */
export class ArrowTableWriter
  extends DataSourceStreamArrowWriter<TableRows>
  implements
    SupportsTaskAbort<TableRows>,
    SupportsStagedFiles<TableRows>,
    SupportsCommitLookup,
    SupportsNewestBatch,
    SupportsTargetName,
    SupportsExists,
    SupportsVacuum
{
  readonly #schema: Schema;
  readonly #operation: Operation;
  readonly #path: string | undefined;
  readonly #runtime: Runtime;
  readonly #fileBytes: number | undefined;

  /** `fileBytes` is the size at which a data file is closed. */
  constructor(
    schema: Schema,
    operation: Operation,
    path: string | undefined,
    runtime: Runtime,
    fileBytes?: number,
  ) {
    super();
    this.#operation = operation;
    this.#schema = schema;
    this.#path = path;
    this.#runtime = runtime;
    this.#fileBytes = fileBytes;
  }

  override async write(batches: AsyncIterable<RecordBatch>, task: TaskContext): Promise<TableRows> {
    const table = this.#table(task);
    const keyOf = (fileId: string) => dataKey(task, fileId);
    const id = this.#runtime.newId();
    const files = await putRows(table, keyOf, id, this.#schema, batches, this.#fileBytes);
    return { table: this.#recordedLocation(table), files };
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
    const schema = tableSchemaOf(this.#schema);
    const schemaDigest = digestOf(schema);
    const known = hintFor(location, batch);
    for (let conflicts = 0; conflicts < MAX_CONFLICTS; conflicts++) {
      const latest = await latestVersion(table, known.version);
      const newest = await newestBatch(table, latest, batch.pipeline, known);
      const { incarnation, planId } = batch;
      const hint = { table: location, newest: { incarnation, batchId, planId }, schemaDigest };
      if (isCommitted(batch, newest)) return { ...hint, version: latest };
      // A batch without messages was skipped. It changes neither rows nor schema.
      const change =
        messages.length === 0
          ? await noChange(table, latest, schema)
          : await this.#change(table, latest, messages, {
              schema,
              isSchemaKnown: latest === known.version && known.schemaDigest === schemaDigest,
            });
      const version = latest + 1;
      const isPut = await putEntry(table, {
        version,
        format: LOG_FORMAT,
        timestamp: new Date(this.#runtime.now()).toISOString(),
        pipeline: batch.pipeline,
        incarnation,
        batchId,
        planId,
        start: batch.start,
        end: batch.end,
        ...change,
      });
      if (isPut) return { ...hint, schemaDigest: digestOf(change), version };
    }
    throw new MillraceError("TABLE_BUSY", `${MAX_CONFLICTS} commits in a row met another pipeline's commit`, {
      where: { path: table.location },
      hint: "Fewer pipelines should write this table at once.",
      retryable: true,
    });
  }

  /** Returns what the batch changes in the table. Error: `TABLE_SCHEMA_MISMATCH`. */
  async #change(
    table: ObjectStore,
    latest: number,
    messages: readonly (TableRows | null)[],
    { schema, isSchemaKnown }: { readonly schema: TableSchema; readonly isSchemaKnown: boolean },
  ): Promise<TableChange> {
    const isOverwrite = this.#operation === "overwrite";
    if (!isOverwrite && !isSchemaKnown) await this.#checkSchema(table, latest);
    const replaced = isOverwrite ? await liveFiles(table) : [];
    return {
      operation: this.#operation,
      ...schema,
      add: messages.flatMap(filesOf),
      remove: replaced.map(({ path }) => ({ path })),
    };
  }

  async hasCommitted(_batchId: number, batch: BatchContext): Promise<boolean> {
    return isCommitted(batch, await this.newestBatch(batch));
  }

  async newestBatch(context: NewestBatchContext): Promise<CommittedBatch | undefined> {
    const table = this.#table(context);
    const known = hintFor(this.#recordedLocation(table), context);
    return await newestBatch(table, await latestVersion(table, known.version), context.pipeline, known);
  }

  /** Returns the folder of the table, or `undefined` if it is in the pipeline's own folder. */
  targetName(context: TargetContext): string | undefined {
    return this.#recordedLocation(this.#table(context)) ?? undefined;
  }

  /** Returns true if the table has at least one commit. */
  async exists(context: SinkContext): Promise<boolean> {
    return (await latestVersion(this.#table(context))) >= 0;
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
    return this.#path === undefined ? context.store.at(STORE_FOLDER.table) : context.openStore(this.#path);
  }

  #recordedLocation(table: ObjectStore): string | null {
    return this.#path === undefined ? null : table.location;
  }

  async #checkSchema(table: ObjectStore, latest: number): Promise<void> {
    if (latest < 0) return;
    const present = await readEntry(table, latest);
    const mine = tableSchemaOf(this.#schema);
    if (isSameTable(present, mine)) return;
    throw new MillraceError(
      "TABLE_SCHEMA_MISMATCH",
      `the table has (${toDdl(present.schema)}), the batch has (${toDdl(mine.schema)})`,
      {
        where: { path: table.location },
        hint: "An Arrow table keeps its schema: write to another path, or change the schema back.",
      },
    );
  }
}

function digestOf({ schema, arrowSchema }: TableSchema): string {
  return sha256(JSON.stringify(schema) + (arrowSchema ?? "")).toString("hex");
}

type TableChange = TableSchema & Pick<LogEntry, "operation" | "add" | "remove">;

async function noChange(table: ObjectStore, latest: number, schema: TableSchema): Promise<TableChange> {
  const { schema: json, arrowSchema } = latest < 0 ? schema : await readEntry(table, latest);
  return { operation: "append", schema: json, ...optional("arrowSchema", arrowSchema), add: [], remove: [] };
}

/**
 * The data that one commit stores for the next one. With it, the next commit only lists the newer
 * log entries, and reads none if there are none.
 */
type CommitHint = {
  readonly table: string | null;
  readonly version: number;
  /** The newest batch of the pipeline up to `version`. */
  readonly newest: { readonly incarnation: string; readonly batchId: number; readonly planId: string };
  /**
   * SHA-256 of the schema in the log entry of `version`, in hexadecimal. Absent after a batch that
   * was skipped.
   */
  readonly schemaDigest?: string;
};

/** Returns the hint that the last commit stored, or `LOG_START` if there is none for this table. */
function hintFor(
  recordedLocation: string | null,
  { lastCommit }: NewestBatchContext,
): LogPosition & { readonly schemaDigest?: string } {
  const hint = lastCommit as Partial<CommitHint> | null | undefined;
  // The hint of an older version has no `newest`.
  const isHint =
    typeof hint?.version === "number" && hint.newest !== undefined && hint.table === recordedLocation;
  return isHint ? (hint as CommitHint) : LOG_START;
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
