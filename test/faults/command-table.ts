import type { CommittedBatch } from "../../shared/contract/batch-identity.ts";
import { isCommitted } from "../../shared/contract/committed-batch.ts";
import type { BatchContext, TaskContext } from "../../shared/contract/context.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import type { InputPartition, NamedRow, Row } from "../../shared/contract/stream-reader.ts";
import { BatchWrite } from "../../shared/contract/write/batch-write.ts";
import { DataWriter, type DataWriterFactory } from "../../shared/contract/write/data-writer.ts";
import { type NamedReference, type Predicate, reference } from "../../shared/contract/write/predicates.ts";
import {
  DeltaWriter,
  type RowLevelCommand,
  type RowLevelOperation,
  type RowLevelOperationBuilder,
  type RowLevelOperationInfo,
  type SupportsDelta,
  type SupportsRowLevelOperations,
} from "../../shared/contract/write/row-level.ts";
import type { Scan, ScanBuilder, SupportsRead } from "../../shared/contract/write/scan.ts";
import type { WriteSummary } from "../../shared/contract/write/summary.ts";
import type { SupportsDeleteV2, SupportsWrite, TableCapability } from "../../shared/contract/write/table.ts";
import { Write } from "../../shared/contract/write/write.ts";
import type { WriteBuilder } from "../../shared/contract/write/write-builder.ts";
import { COMMANDS } from "./commands.ts";
import { landed } from "./database.ts";
import type { Points } from "./faulty-ports.ts";
import { changed, type RowChange, type RowTable, type TableRow } from "./row-table.ts";
import type { CommandSetup } from "./setup.ts";
import { summaryProblem } from "./summaries.ts";
import type { Surroundings } from "./surroundings.ts";

/** Where the table keeps what an attempt of a task has staged. */
interface Staged {
  readonly key: string;
}

/** The run for which the table works. */
export interface CommandRun extends Points {
  readonly isAlone: boolean;
  saw(messages: unknown, batch: BatchContext): void;
}

/** A slice of a scan: a file of the state in which the scan was planned. */
type Slice = { readonly version: number; readonly file: number };

/** What all parts of the table share. */
interface Parts {
  readonly run: CommandRun;
  readonly world: Surroundings;
  readonly table: RowTable;
  readonly setup: CommandSetup;
}

/** The table of a command in the database. It has the changes of rows, or groups of rows. */
export class CommandTable
  implements SupportsWrite, SupportsRead, SupportsRowLevelOperations, SupportsDeleteV2
{
  readonly name = "rows";
  readonly schema = "id int not null, v int";
  readonly capabilities: ReadonlySet<TableCapability> = new Set(["BATCH_READ", "BATCH_WRITE"]);
  readonly #parts: Parts;

  constructor(run: CommandRun, world: Surroundings, setup: CommandSetup) {
    this.#parts = { run, world, setup, table: world.database.table };
  }

  newWriteBuilder(): WriteBuilder {
    return { build: () => new RowsWrite(this.#parts, "insert") };
  }

  newScanBuilder(): ScanBuilder {
    return { build: () => scanOf(this.#parts, () => undefined) };
  }

  newRowLevelOperationBuilder({ command }: RowLevelOperationInfo): RowLevelOperationBuilder {
    const { form = "delta" } = this.#parts.setup;
    const build = () =>
      form === "delta" ? new DeltaOperation(command, this.#parts) : new GroupOperation(command, this.#parts);
    return { build };
  }

  canDeleteWhere(): boolean {
    return this.#parts.setup.name === "delete by filter";
  }

  deleteWhere(_predicates: readonly Predicate[], _options?: unknown, batch?: BatchContext): Promise<void> {
    const { run, table } = this.#parts;
    return run.point("sink.commit", async () => {
      // The case decides about the condition, so that the table needs no predicates.
      const left = COMMANDS.delete.meaning(table.rows);
      // A caller that names no batch deletes at once, and leaves no record.
      if (batch === undefined) return table.change(left);
      run.saw([], batch);
      if (!isCommitted(batch, this.#newest)) land(this.#parts, batch, left);
    });
  }

  hasCommitted(_batchId: number, batch: BatchContext): Promise<boolean> {
    return this.#parts.run.point("sink.hasCommitted", async () => isCommitted(batch, this.#newest));
  }

  newestBatch(): Promise<CommittedBatch | undefined> {
    return this.#parts.run.point("sink.newestBatch", async () => this.#newest);
  }

  get #newest(): CommittedBatch | undefined {
    return this.#parts.world.database.newest;
  }
}

/** Ends a batch in one transaction: its rows, and the record of it. */
function land({ world, table }: Parts, batch: BatchContext, rows: readonly TableRow[]): void {
  const ended = landed(batch, []);
  world.database.add(ended);
  table.land(ended, rows);
}

/** Returns a scan. `onPlanned` gets the number of the state in which it is planned. */
function scanOf({ run, world, table, setup }: Parts, onPlanned: (version: number) => void): Scan {
  return {
    readSchema: () => "id int not null, v int",
    toBatch: () => ({
      planInputPartitions: () =>
        run.point("table.scan", async (): Promise<readonly InputPartition[]> => {
          const { version } = table;
          onPlanned(version);
          const files = Math.max(1, table.filesOf(version));
          if (setup.rowsChange) table.insertOnce();
          return Array.from({ length: files }, (_, file): Slice => ({ version, file }));
        }),
      createReaderFactory: () => ({
        createReader: async (slice, task) => {
          const { version, file } = slice as Slice;
          return await readRows(run, world, task, table.read(version, file));
        },
      }),
    }),
  };
}

/** Reads rows of the table, or of a merge's source. */
export async function readRows(
  run: CommandRun,
  world: Surroundings,
  { batchId, attempt, partitionId }: TaskContext,
  rows: readonly TableRow[],
): Promise<readonly Row[]> {
  const key = `${batchId}/${attempt}/${partitionId}`;
  return await run.point("source.read", async () => {
    world.sawRead(key, run.isAlone);
    return rows.map(({ id, v }) => [id, v]);
  });
}

/** Writes the groups of rows again that the scan has read: all rows. */
class GroupOperation implements RowLevelOperation {
  readonly command: RowLevelCommand;
  protected readonly parts: Parts;
  #version: number | undefined;

  constructor(command: RowLevelCommand, parts: Parts) {
    this.command = command;
    this.parts = parts;
  }

  newScanBuilder(): ScanBuilder {
    const onPlanned = (version: number) => {
      this.#version = version;
    };
    return { build: () => scanOf(this.parts, onPlanned) };
  }

  scanned([first]: readonly InputPartition[]): void {
    this.#version = (first as Slice | undefined)?.version;
  }

  newWriteBuilder(): WriteBuilder {
    const { form = "delta" } = this.parts.setup;
    return { build: () => new RowsWrite(this.parts, form, () => this.#version) };
  }
}

/** Writes the changes. */
class DeltaOperation extends GroupOperation implements SupportsDelta {
  rowId(): readonly NamedReference[] {
    return [reference("id")];
  }

  override newWriteBuilder(): ReturnType<SupportsDelta["newWriteBuilder"]> {
    return super.newWriteBuilder() as ReturnType<SupportsDelta["newWriteBuilder"]>;
  }
}

type Form = "delta" | "group" | "insert";

class RowsWrite extends Write {
  readonly #parts: Parts;
  readonly #form: Form;
  readonly #scanned: () => number | undefined;

  constructor(parts: Parts, form: Form, scanned: () => number | undefined = () => undefined) {
    super();
    this.#parts = parts;
    this.#form = form;
    this.#scanned = scanned;
  }

  override toBatch(): BatchWrite<Staged> {
    return new RowsBatchWrite(this.#parts, this.#form, this.#scanned);
  }
}

/** Its field `version` travels to the commit: what was scanned. */
class RowsFactory implements DataWriterFactory<Staged> {
  readonly version: number | null;
  readonly #parts: Parts;
  readonly #form: Form;

  constructor(parts: Parts, form: Form, version: number | null) {
    this.#parts = parts;
    this.#form = form;
    this.version = version;
  }

  createWriter(_partitionId: number, taskId: number, task: TaskContext): DataWriter<NamedRow, Staged> {
    const { batchId, attempt, partitionId, attemptNumber } = task;
    const key = `${batchId}/${attempt}/${partitionId}/${attemptNumber}/${taskId}`;
    const staging = new Staging(this.#parts, key);
    return this.#form === "delta" ? new ChangesWriter(staging) : new RowsWriter(staging);
  }
}

class RowsBatchWrite extends BatchWrite<Staged> {
  readonly #parts: Parts;
  readonly #form: Form;
  readonly #scanned: () => number | undefined;
  #factory: RowsFactory | undefined;

  constructor(parts: Parts, form: Form, scanned: () => number | undefined) {
    super();
    this.#parts = parts;
    this.#form = form;
    this.#scanned = scanned;
  }

  override createBatchWriterFactory(): RowsFactory {
    this.#factory = new RowsFactory(this.#parts, this.#form, this.#scanned() ?? null);
    return this.#factory;
  }

  override commit(
    messages: readonly (Staged | null)[],
    summary: WriteSummary | undefined,
    batch: BatchContext,
  ): Promise<void> {
    const { run, world, table } = this.#parts;
    return run.point("sink.commit", async () => {
      run.saw(messages, batch);
      if (isCommitted(batch, world.database.newest)) return;
      const changes = messages.flatMap((message) => this.#staged(message));
      if (this.#form !== "insert" && this.#factory?.version !== table.version) throw rowsChanged();
      const problem = summaryProblem(this.#form, summary, changes);
      if (problem !== undefined && messages.length > 0) world.broken(problem);
      const rows = changes.flatMap(({ row }) => row ?? []);
      land(this.#parts, batch, this.#form === "group" ? rows : changed(table.rows, changes));
    });
  }

  #staged(message: Staged | null): readonly RowChange[] {
    const { world, table } = this.#parts;
    const changes = table.staged.get(message?.key ?? "");
    if (changes === undefined) world.broken("the rows of a recorded attempt are gone");
    return changes ?? [];
  }

  override abort(messages: readonly (Staged | null)[], { commitTried }: BatchContext): Promise<void> {
    const { run, table } = this.#parts;
    return run.point("sink.abort", async () => {
      // After a commit was tried, it may still land.
      if (!commitTried) for (const message of messages) table.staged.delete(message?.key ?? "");
    });
  }
}

function rowsChanged(): MillraceError {
  return MillraceError.from({ code: "ROWS_CHANGED", message: "rows have changed since they were read" });
}

/** What one attempt of a task stages. */
class Staging {
  readonly #parts: Parts;
  readonly #key: string;
  readonly #changes: RowChange[] = [];

  constructor(parts: Parts, key: string) {
    this.#parts = parts;
    this.#key = key;
  }

  add(id: NamedRow | undefined, row?: NamedRow): void {
    this.#changes.push({
      ...(id === undefined ? {} : { id: Number(id["id"]) }),
      ...(row === undefined ? {} : { row: { id: Number(row["id"]), v: Number(row["v"]) } }),
    });
  }

  commit(): Promise<Staged> {
    const { run, table } = this.#parts;
    return run.point("writer.commit", async () => {
      table.staged.set(this.#key, this.#changes);
      return { key: this.#key };
    });
  }

  abort(): Promise<void> {
    const { run, table } = this.#parts;
    return run.point("writer.abort", async () => {
      table.staged.delete(this.#key);
    });
  }
}

/** Receives rows: new ones, or all rows of a group. */
class RowsWriter extends DataWriter<NamedRow, Staged> {
  readonly #staging: Staging;

  constructor(staging: Staging) {
    super();
    this.#staging = staging;
  }

  override write(row: NamedRow): void {
    this.#staging.add(undefined, row);
  }

  override commit(): Promise<Staged> {
    return this.#staging.commit();
  }

  override abort(): Promise<void> {
    return this.#staging.abort();
  }
}

/** Receives changes. */
class ChangesWriter extends DeltaWriter<Staged> {
  readonly #staging: Staging;

  constructor(staging: Staging) {
    super();
    this.#staging = staging;
  }

  override delete(_metadata: NamedRow | null, id: NamedRow): void {
    this.#staging.add(id);
  }

  override update(_metadata: NamedRow | null, id: NamedRow, row: NamedRow): void {
    this.#staging.add(id, row);
  }

  override insert(row: NamedRow): void {
    this.#staging.add(undefined, row);
  }

  override commit(): Promise<Staged> {
    return this.#staging.commit();
  }

  override abort(): Promise<void> {
    return this.#staging.abort();
  }
}
