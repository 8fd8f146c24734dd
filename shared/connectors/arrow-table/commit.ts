import { isCommitted } from "../../contract/committed-batch.ts";
import type { BatchContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { type KnownLog, type LogPosition, newestIn, openLog } from "./log.ts";
import {
  encodeEntry,
  entryKey,
  formatFor,
  type LogEntry,
  type LogFile,
  type Operation,
  readEntry,
} from "./log-entry.ts";
import { type LogMark, markOf, upTo } from "./log-window.ts";
import { CHECKPOINT_EVERY, type OpenState, tryToKeep, withState } from "./open-state.ts";
import { partitionKey } from "./partitioning.ts";
import { type SchemaChoice, schemaAfter } from "./schema-change.ts";
import { schemaOf, type TableSchema, type TableState } from "./table-state.ts";

/**
 * How often a commit is tried. Another pipeline may commit to the same table at the same time; the
 * commit then tries the next version.
 */
const MAX_CONFLICTS = 100;

/** Number of older entries that one commit summarizes, if the newest checkpoint is far behind. */
const CATCH_UP_ENTRIES = 2048;

/** Number of removed files that are encoded at once. */
const FILES_AT_ONCE = 1000;

/** What a batch changes in a table. */
export interface TableChange {
  /** A batch that was skipped changes neither rows nor schema. A new table gets its schema. */
  readonly kind: Operation | "skip";
  readonly schema: TableSchema;
  /** What happens if the rows have other columns than the table. Default: `fail`. */
  readonly onSchemaChange?: SchemaChoice;
  readonly add: readonly LogFile[];
}

export interface CommitRequest {
  readonly batch: BatchContext;
  readonly change: TableChange;
  /** What the pipeline's last commit to this table knew of its log. */
  readonly known?: KnownLog | undefined;
  /** True if `known.version` has the schema of the change. */
  readonly isSchemaKnown: boolean;
  /** True if the last commit left a checkpoint that is far behind. */
  readonly isBehind: boolean;
  /** The time of the commit, in epoch milliseconds. */
  now(): number;
}

/** What a commit leaves for the next one. */
export interface Committed {
  readonly version: number;
  readonly mark: LogMark;
  /** The schema of the entry of `version`, if this commit has put it. */
  readonly schema?: TableSchema;
  readonly isBehind: boolean;
}

/**
 * Puts the log entry of a batch, unless the log has it. Errors: `TABLE_SCHEMA_MISMATCH`,
 * `TABLE_PARTITIONS_MISMATCH`, `TABLE_BUSY`, `TABLE_LOG_BROKEN`, `TABLE_VERSION`, and those of
 * `isCommitted`.
 */
export async function commitChange(table: ObjectStore, request: CommitRequest): Promise<Committed> {
  const { change } = request;
  for (let conflicts = 0; conflicts < MAX_CONFLICTS; conflicts++) {
    const { kind } = change;
    const committed =
      kind === "append" || kind === "skip"
        ? await append(table, request)
        : await withState(table, { mayWrite: true }, (open) => overwrite(table, request, kind, open));
    if (committed !== undefined) return committed;
  }
  throw new MillraceError("TABLE_BUSY", `${MAX_CONFLICTS} commits in a row met another pipeline's commit`, {
    where: { path: table.location },
    hint: "Fewer pipelines should write this table at once.",
    retryable: true,
  });
}

/** Returns `undefined` if another commit has taken the version. */
async function append(table: ObjectStore, request: CommitRequest): Promise<Committed | undefined> {
  const { batch, change, known, isSchemaKnown, isBehind } = request;
  const position = await openLog(table, batch.pipeline, known);
  const { latest, window } = position;
  if (isCommitted(batch, position.newest)) return present(position);
  const isKnown = isSchemaKnown && latest === known?.version;
  const before = isKnown ? change.schema : await schemaBefore(table, position);
  const isSkip = change.kind === "skip";
  const schema =
    before === undefined || isSkip ? (before ?? change.schema) : tableAfter(table, before, change);
  const version = latest + 1;
  const entry: LogEntry = {
    ...identityOf(request, version),
    format: formatFor(schema),
    operation: "append",
    ...schema,
    add: change.add,
    remove: [],
  };
  const bytes = encodeEntry(entry);
  if (!(await table.put(entryKey(version), bytes))) return undefined;
  const isDue = (version + 1) % CHECKPOINT_EVERY === 0 || isBehind;
  return {
    version,
    mark: markOf(window, bytes.length),
    schema: schemaOf(entry),
    isBehind: isDue && (await catchUp(table)),
  };
}

/** Returns `undefined` if another commit has taken the version. */
async function overwrite(
  table: ObjectStore,
  request: CommitRequest,
  operation: "overwrite" | "overwritePartitions",
  { state, latest, window }: OpenState,
): Promise<Committed | undefined> {
  const { batch, change } = request;
  const newest = await newestIn(table, state, batch.pipeline);
  if (isCommitted(batch, newest)) return present({ latest, window });
  if (state.schema !== undefined) checkPartitions(table, state.schema, change.schema);
  const isNew = state.schema === undefined || operation === "overwrite";
  const schema = isNew ? change.schema : tableAfter(table, state.schema, change);
  const version = latest + 1;
  const entry = {
    ...identityOf(request, version),
    format: formatFor(schema),
    operation,
    ...schema,
    add: change.add,
  };
  let bytes = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of encodeOverwrite(entry, replacedBy(entry, state))) {
      bytes += chunk.length;
      yield chunk;
    }
  }
  // A short entry is put at once, a long one is never held as a whole.
  const isShort = state.live.totals.files <= FILES_AT_ONCE;
  const body = isShort ? Buffer.concat(await Array.fromAsync(counted())) : counted();
  if (!(await table.put(entryKey(version), body))) return undefined;
  if (operation === "overwrite") {
    state.replaced(entry);
    await tryToKeep(table, state).catch(() => undefined);
  }
  return { version, mark: markOf(window, bytes), schema: schemaOf(entry), isBehind: false };
}

/**
 * Yields the live files that an overwrite removes: all, or those of the partitions that it adds.
 */
async function* replacedBy(
  { operation, partitionBy = [], add }: Omit<LogEntry, "remove">,
  { live }: TableState,
): AsyncGenerator<LogFile> {
  if (operation === "overwrite") {
    yield* live.files();
    return;
  }
  const keyOf = ({ partition = {} }: LogFile) => partitionKey(partitionBy, partition);
  const keys = new Set(add.map(keyOf));
  if (keys.size === 0) return;
  for await (const file of live.files()) if (keys.has(keyOf(file))) yield file;
}

/** Yields the entry of an overwrite. */
async function* encodeOverwrite(
  entry: Omit<LogEntry, "remove">,
  removed: AsyncIterable<LogFile>,
): AsyncGenerator<Uint8Array> {
  let text = `${JSON.stringify(entry).slice(0, -1)},"remove":[`;
  let count = 0;
  for await (const { path } of removed) {
    text += `${count === 0 ? "" : ","}${JSON.stringify({ path })}`;
    if (++count % FILES_AT_ONCE > 0) continue;
    yield Buffer.from(text);
    text = "";
  }
  yield Buffer.from(`${text}]}\n`);
}

function identityOf({ batch, now }: CommitRequest, version: number) {
  const { pipeline, incarnation, batchId, planId, start, end } = batch;
  return {
    version,
    timestamp: new Date(now()).toISOString(),
    pipeline,
    incarnation,
    batchId,
    planId,
    start,
    end,
  };
}

/** The result of a commit whose batch the log has already. */
function present({ latest, window }: Pick<LogPosition, "latest" | "window">): Committed {
  const bytes = window.entries.at(-1)?.bytes ?? 0;
  return { version: latest, mark: markOf(upTo(window, latest - 1), bytes), isBehind: false };
}

/** Returns the schema of a table after rows were added. Errors: those of the two checks. */
export function tableAfter(
  table: ObjectStore,
  before: TableSchema,
  { schema, onSchemaChange }: Pick<TableChange, "schema" | "onSchemaChange">,
): TableSchema {
  checkPartitions(table, before, schema);
  return schemaAfter(table, before, schema, onSchemaChange ?? "fail");
}

/** Returns the schema of the newest entry, or `undefined` if the log is empty. */
export async function schemaBefore(
  table: ObjectStore,
  position: LogPosition,
): Promise<TableSchema | undefined> {
  const { latest, schema } = position;
  if (schema !== undefined || latest < 0) return schema;
  return schemaOf(await readEntry(table, latest));
}

function checkPartitions(table: ObjectStore, present: TableSchema, mine: TableSchema): void {
  if (JSON.stringify(present.partitionBy) === JSON.stringify(mine.partitionBy)) return;
  const optionOf = ({ partitionBy }: TableSchema) =>
    partitionBy === undefined ? "no option partitionBy" : `partitionBy: ${JSON.stringify(partitionBy)}`;
  throw new MillraceError(
    "TABLE_PARTITIONS_MISMATCH",
    `the table was made with ${optionOf(present)}, and the sink has ${optionOf(mine)}`,
    {
      where: { path: table.location },
      hint: `An Arrow table keeps its partition columns: give the sink ${optionOf(present)}, or begin another table with \`path: "FOLDER"\`.`,
    },
  );
}

/**
 * Writes a checkpoint after a commit. Returns true if it is still far behind the log. The batch is
 * committed already, so an error here is no error of the batch.
 */
async function catchUp(table: ObjectStore): Promise<boolean> {
  try {
    return await withState(
      table,
      { mayWrite: true, maxEntries: CATCH_UP_ENTRIES },
      async ({ state, latest }) => latest - state.version >= CHECKPOINT_EVERY,
    );
  } catch {
    return false;
  }
}
