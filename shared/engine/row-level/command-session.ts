import type { Schema } from "apache-arrow";
import type { TaskContext } from "../../contract/context.ts";
import type { Write } from "../../contract/write/write.ts";
import type { LogicalWriteInfo } from "../../contract/write/write-info.ts";
import { readPartitionsFile } from "../partitions-file.ts";
import type { Ports } from "../ports/runtime.ts";
import { checkImplementation, WRITE } from "../sessions/check-implementation.ts";
import type { PlannedInput } from "../sessions/engine-write.ts";
import { guard } from "../sessions/guard.ts";
import { type CommandParts, CommandStep, isDeletedByTable, type SidedPartition } from "./command-step.ts";
import { deletedPredicates, openTable } from "./command-table.ts";
import { commandWrite } from "./command-write.ts";
import { DeleteWrite } from "./delete-write.ts";

/**
 * A command in one process. Its source and its sink share the table and the operation of a step,
 * because Spark makes the scan and the write of one operation.
 */
export class CommandSession {
  readonly #parts: CommandParts;
  readonly #ports: Ports;
  /** The step that has no write yet. */
  #next: Promise<CommandStep> | undefined;
  /** The schema that the engine knows: it says which way the command takes in this process. */
  #schema: Schema | undefined;
  /** The step whose scan tasks read. */
  #reading: Promise<CommandStep> | undefined;

  constructor(parts: CommandParts, ports: Ports) {
    this.#parts = parts;
    this.#ports = ports;
  }

  /** Returns the schema of the rows that tasks read. Errors: those of `CommandStep.open`. */
  async schema(): Promise<Schema> {
    this.#schema ??= (await this.#openNext()).schema;
    return this.#schema;
  }

  /** Plans the scan. A step that has a write already is not used again: its table may be old. */
  async partitions(): Promise<readonly SidedPartition[]> {
    const step = await this.#openNext();
    return step.path.kind === "delete" ? [] : await step.partitions(this.#planningTask());
  }

  async *read(partition: SidedPartition, task: TaskContext) {
    this.#reading ??= this.#openNext();
    yield* (await this.#reading).read(partition, task);
  }

  /** Makes the write of a step. `info.schema` is that of the rows that tasks read. */
  async newWrite(info: LogicalWriteInfo, input: PlannedInput | undefined): Promise<Write> {
    if (input?.isSkipped === true) return await this.#emptyAppend(info);
    const step = await this.#stepOf(info.schema);
    const { table, path, parts } = step;
    const { where } = parts;
    if (path.kind === "delete") {
      const { command } = parts;
      const condition = command.command === "DELETE" ? command.where : undefined;
      return new DeleteWrite({
        table,
        predicates: deletedPredicates(condition),
        options: parts.table.options as Readonly<Record<string, unknown>>,
      });
    }
    const { plan } = step;
    const { row, id, metadata } = plan.columns;
    const own: LogicalWriteInfo = {
      ...info,
      schema: row,
      ...(id === undefined ? {} : { rowIdSchema: id }),
      ...(metadata === undefined ? {} : { metadataSchema: metadata }),
    };
    const builder = await guard("SINK_FAILED", "newWriteBuilder() failed", where, () =>
      path.kind === "insert" ? table.newWriteBuilder(own) : path.operation.newWriteBuilder(own),
    );
    const built = await guard("SINK_FAILED", "build() failed", where, () => builder.build());
    return commandWrite({
      write: checkImplementation(built as Write, "build", WRITE, where),
      plan,
      isInsert: path.kind === "insert",
      deletesAll: step.deletesAll,
      tellScanned: () => this.#tellScanned(step, input),
      where,
    });
  }

  /** A batch that was skipped by hand appends nothing, so that the table knows it. */
  async #emptyAppend(info: LogicalWriteInfo): Promise<Write> {
    const { table: opened, runtime, where } = this.#parts;
    const { table, columns } = await openTable(opened, runtime, where);
    const built = await guard("SINK_FAILED", "newWriteBuilder() failed", where, () =>
      table.newWriteBuilder({ ...info, schema: columns }).build(),
    );
    return checkImplementation(built as Write, "build", WRITE, where);
  }

  async #tellScanned(step: CommandStep, input: PlannedInput | undefined): Promise<void> {
    const operation = step.path.kind === "row-level" ? step.path.operation : undefined;
    const key = input?.partitionsKey;
    if (key === undefined || step.hasPlanned || operation?.scanned === undefined) return;
    const { partitions } = await readPartitionsFile(this.#ports.store, key);
    const ofTable = (partitions as readonly SidedPartition[]).filter(({ side }) => side === "target");
    const own = ofTable.map(({ partition }) => partition);
    await guard("SINK_FAILED", "scanned() failed", step.parts.where, () => operation.scanned?.(own));
  }

  /** Returns the step without a write, if it goes the recorded way; otherwise opens one. */
  async #stepOf(planned: Schema): Promise<CommandStep> {
    const found = await this.#next;
    this.#next = undefined;
    const isSame = (found?.path.kind === "delete") === isDeletedByTable(planned);
    const step = found !== undefined && isSame ? found : await CommandStep.open(this.#parts, planned);
    this.#reading = Promise.resolve(step);
    return step;
  }

  async #openNext(): Promise<CommandStep> {
    this.#next ??= CommandStep.open(this.#parts, this.#schema);
    try {
      return await this.#next;
    } catch (error) {
      // A later call tries again.
      this.#next = undefined;
      throw error;
    }
  }

  /** Planning may read rows, before there is a batch. */
  #planningTask(): TaskContext {
    const { where } = this.#parts;
    return {
      pipeline: where.pipeline ?? "",
      incarnation: "",
      store: this.#ports.store,
      openStore: (location, access) => this.#ports.openStore(location, access),
      batchId: 0,
      planId: "",
      attempt: 1,
      partitionId: 0,
      attemptNumber: 0,
      signal: new AbortController().signal,
    };
  }
}
