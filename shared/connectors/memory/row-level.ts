import type { BatchContext, TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { InputPartition, NamedRow } from "../../contract/stream-reader.ts";
import { BatchWrite } from "../../contract/write/batch-write.ts";
import { DataWriter } from "../../contract/write/data-writer.ts";
import { type NamedReference, reference } from "../../contract/write/predicates.ts";
import {
  DeltaWriter,
  type RowLevelCommand,
  type RowLevelOperation,
  type SupportsDelta,
} from "../../contract/write/row-level.ts";
import type { ScanBuilder } from "../../contract/write/scan.ts";
import type { WriteSummary } from "../../contract/write/summary.ts";
import { Write } from "../../contract/write/write.ts";
import type { WriteBuilder } from "../../contract/write/write-builder.ts";
import { columnsOf, memoryScanBuilder, type ScannedFile, type ScanOptions } from "./scan.ts";
import { keyText } from "./stored-values.ts";
import { openTable, type RowChanges, type StagedRows, type Table } from "./table.ts";

/** What the pipeline may set about changes of rows. */
export interface RowLevelOptions extends ScanOptions {
  readonly rowLevel: "delta" | "group";
  readonly rowId: readonly string[];
}

/** The scan of an operation. */
interface OwnScan {
  /** Id of what it has found; `null` if that is no file, `undefined` if it is not planned here. */
  scan(): string | null | undefined;
  /** False if no row of the table remains, so that none is read. */
  readonly isMade: boolean;
}

/** A change that a task stages: without a row a delete, without an id a new row. */
type Change = { readonly id?: NamedRow; readonly row?: NamedRow };

/** Returns the operation of a command, in the form that the options want. */
export function memoryOperation(
  command: RowLevelCommand,
  table: Table,
  options: RowLevelOptions,
): RowLevelOperation {
  return options.rowLevel === "delta"
    ? new DeltaOperation(command, table, options)
    : new MemoryOperation(command, table, options);
}

/** Writes whole files again. */
class MemoryOperation implements RowLevelOperation {
  readonly command: RowLevelCommand;
  protected readonly table: Table;
  protected readonly options: RowLevelOptions;
  /** Id of what the scan has found; `null` if it has found no file, `undefined` without a scan. */
  protected scan: string | null | undefined;
  #hasScan = false;

  constructor(command: RowLevelCommand, table: Table, options: RowLevelOptions) {
    this.command = command;
    this.table = table;
    this.options = options;
  }

  get description(): string {
    return `${this.command} of memory table ${this.table.name}`;
  }

  newScanBuilder(): ScanBuilder {
    this.#hasScan = true;
    return memoryScanBuilder(this.table, this.options, (scan) => {
      this.scan = scan;
    });
  }

  scanned(partitions: readonly InputPartition[]): void {
    this.scan = (partitions[0] as ScannedFile | undefined)?.scan ?? null;
  }

  newWriteBuilder(): WriteBuilder {
    return {
      build: () =>
        new RowLevelWrite(this.table, this.options, { scan: () => this.scan, isMade: this.#hasScan }),
    };
  }
}

/** Writes the changes. */
class DeltaOperation extends MemoryOperation implements SupportsDelta {
  rowId(): readonly NamedReference[] {
    return this.options.rowId.map((name) => reference(name));
  }

  override newWriteBuilder(): ReturnType<SupportsDelta["newWriteBuilder"]> {
    return super.newWriteBuilder() as ReturnType<SupportsDelta["newWriteBuilder"]>;
  }
}

class RowLevelWrite extends Write {
  readonly #table: Table;
  readonly #options: RowLevelOptions;
  readonly #scan: OwnScan;

  constructor(table: Table, options: RowLevelOptions, scan: OwnScan) {
    super();
    this.#table = table;
    this.#options = options;
    this.#scan = scan;
  }

  override get description(): string {
    return `memory table ${this.#table.name}`;
  }

  override toBatch(): BatchWrite<unknown> {
    return new RowLevelBatchWrite(this.#table, this.#options, this.#scan) as BatchWrite<unknown>;
  }
}

/** Its fields travel to the tasks as JSON. */
class RowLevelFactory {
  readonly table: string;
  readonly rowLevel: "delta" | "group";
  /** Id of the scan: the commit compares whether its rows are still there. */
  readonly scan?: string | null;

  constructor(table: string, rowLevel: "delta" | "group", scan: string | null | undefined) {
    this.table = table;
    this.rowLevel = rowLevel;
    if (scan !== undefined) this.scan = scan;
  }

  createWriter(_partitionId: number, taskId: number, { incarnation, batchId, attempt }: TaskContext) {
    const staged = new StagedChanges(this.table, `${incarnation}/${batchId}/${attempt}/${taskId}`);
    return this.rowLevel === "delta" ? new ChangesWriter(staged) : new FileWriter(staged);
  }
}

class RowLevelBatchWrite extends BatchWrite<StagedRows> {
  readonly #table: Table;
  readonly #options: RowLevelOptions;
  readonly #scan: OwnScan;
  #factory: RowLevelFactory | undefined;

  constructor(table: Table, options: RowLevelOptions, scan: OwnScan) {
    super();
    this.#table = table;
    this.#options = options;
    this.#scan = scan;
  }

  override createBatchWriterFactory(): RowLevelFactory {
    this.#factory = new RowLevelFactory(this.#table.name, this.#options.rowLevel, this.#scan.scan());
    return this.#factory;
  }

  override commit(
    messages: readonly (StagedRows | null)[],
    summary: WriteSummary | undefined,
    batch: BatchContext,
  ): void {
    const scan = this.#factory?.scan;
    // Without knowing what was read, nothing may be replaced.
    if (scan === undefined && this.#scan.isMade && !this.#table.has(batch)) throw changedSince(this.#table);
    const found = messages.filter((message) => message !== null);
    const table = this.#table;
    table.commitRows(found, batch, summary, (staged) => {
      const changes = staged as readonly (readonly Change[])[];
      return this.#options.rowLevel === "delta"
        ? deltaChanges(table, this.#options, scan, changes)
        : groupChanges(table, this.#options, scan, changes);
    });
    if (typeof scan === "string") table.scans.forget(scan);
  }

  override abort(messages: readonly (StagedRows | null)[], batch: BatchContext): void {
    // After a commit was tried, another run may try it again and need the staged rows.
    if (!batch.commitTried) this.#table.discard(messages.filter((message) => message !== null));
  }
}

const newRows = (changes: readonly (readonly Change[])[]) =>
  changes.map((list) => list.flatMap(({ id, row }) => (id === undefined && row !== undefined ? [row] : [])));

/** The files that were scanned go; without a scan, all. */
function groupChanges(
  table: Table,
  options: RowLevelOptions,
  scan: string | null | undefined,
  changes: readonly (readonly Change[])[],
): RowChanges {
  const schema = columnsOf(table, options);
  const now = table.scans.now();
  const scanned = scan === undefined ? now : scan === null ? new Map() : table.scans.find(scan);
  const replaced = new Map<NamedRow, undefined>();
  for (const [file, rows] of scanned as typeof now) {
    const current = now.get(file) ?? [];
    const isSame = current.length === rows.length && rows.every((row, i) => row === current[i]);
    if (!isSame) throw changedSince(table);
    for (const row of rows) replaced.set(row, undefined);
  }
  return { schema, replaced, added: newRows(changes) };
}

/** Each row that changes must still be the one that was scanned. */
function deltaChanges(
  table: Table,
  options: RowLevelOptions,
  scan: string | null | undefined,
  changes: readonly (readonly Change[])[],
): RowChanges {
  const schema = columnsOf(table, options);
  const idOf = (row: NamedRow) => {
    const { file, position } = table.scans.place(row);
    const places: NamedRow = { _file: file, _pos: position };
    return keyText(options.rowId.map((name) => row[name] ?? places[name] ?? null));
  };
  const scanned = typeof scan === "string" ? [...table.scans.find(scan).values()].flat() : [];
  const byId = Map.groupBy(scanned, idOf);
  const current = new Set(table.rows());
  const replaced = new Map<NamedRow, NamedRow | undefined>();
  for (const { id, row } of changes.flat()) {
    if (id === undefined) continue;
    const found = byId.get(keyText(options.rowId.map((name) => id[name] ?? null))) ?? [];
    const [old] = found;
    if (old === undefined || !current.has(old)) throw changedSince(table);
    if (found.length > 1) throw notUnique(table, options);
    replaced.set(old, row);
  }
  return { schema, replaced, added: newRows(changes) };
}

function changedSince({ name }: Table): MillraceError {
  return new MillraceError(
    "ROWS_CHANGED",
    `rows of memory table "${name}" have changed since the command read them`,
    { hint: "Nothing was written. The batch is aborted, and the next run reads the table again." },
  );
}

function notUnique({ name }: Table, { rowId }: RowLevelOptions): MillraceError {
  return new MillraceError(
    "ROW_LEVEL_INVALID",
    `several rows of memory table "${name}" have the same ${rowId.join(", ")}`,
    {
      hint: "Nothing was written. Choose columns for the option rowId that identify each row, or leave it out.",
    },
  );
}

/** The changes of one task attempt. */
class StagedChanges {
  readonly #table: string;
  readonly #key: string;
  readonly #changes: Change[] = [];
  #staged: StagedRows | undefined;

  constructor(table: string, key: string) {
    this.#table = table;
    this.#key = key;
  }

  /** Copies what it gets, because the engine may use the objects again. */
  add({ id, row }: Change): void {
    const copy = {
      ...(id === undefined ? {} : { id: { ...id } }),
      ...(row === undefined ? {} : { row: { ...row } }),
    };
    this.#changes.push(copy);
  }

  stage(): StagedRows {
    this.#staged = openTable(this.#table).stage(this.#key, this.#changes);
    return this.#staged;
  }

  discard(): void {
    if (this.#staged !== undefined) openTable(this.#table).discard([this.#staged]);
  }
}

/** Receives the rows of whole files. */
class FileWriter extends DataWriter<NamedRow, StagedRows> {
  readonly #staged: StagedChanges;

  constructor(staged: StagedChanges) {
    super();
    this.#staged = staged;
  }

  override write(row: NamedRow): void {
    this.#staged.add({ row });
  }

  override commit(): StagedRows {
    return this.#staged.stage();
  }

  override abort(): void {
    this.#staged.discard();
  }
}

/** Receives changes. */
class ChangesWriter extends DeltaWriter<StagedRows> {
  readonly #staged: StagedChanges;

  constructor(staged: StagedChanges) {
    super();
    this.#staged = staged;
  }

  override delete(_metadata: NamedRow | null, id: NamedRow): void {
    this.#staged.add({ id });
  }

  override update(_metadata: NamedRow | null, id: NamedRow, row: NamedRow): void {
    this.#staged.add({ id, row });
  }

  override insert(row: NamedRow): void {
    this.#staged.add({ row });
  }

  override commit(): StagedRows {
    return this.#staged.stage();
  }

  override abort(): void {
    this.#staged.discard();
  }
}
