import type { Schema } from "apache-arrow";
import { DataSourceReader } from "../../contract/batch-reader.ts";
import type { TaskContext } from "../../contract/context.ts";
import { DataSource, type DataSourceClass } from "../../contract/data-source.ts";
import type { RowSource } from "../../contract/stream-reader.ts";
import type { SupportsWrite, TableCapability } from "../../contract/write/table.ts";
import type { WriteBuilder } from "../../contract/write/write-builder.ts";
import type { LogicalWriteInfo } from "../../contract/write/write-info.ts";
import type { EngineTable, PlannedInput } from "../sessions/engine-write.ts";
import type { CommandSession } from "./command-session.ts";
import { isDeletedByTable, type SidedPartition } from "./command-step.ts";
import type { CommandTable } from "./command-table.ts";

/** Methods of the table that the engine calls before or after a write. */
const ASKED = ["exists", "targetName", "hasCommitted", "newestBatch", "vacuum"] as const;
/** Those about what tasks staged. A table that deletes by itself has staged nothing. */
const ASKED_OF_STAGED = ["findDamaged", "abortTask"] as const;

/**
 * Returns the data source that a command reads and writes: its rows are those that the scan of the
 * table returns, and those of a merge's source; its table is written by operation rows.
 */
export function commandSource(
  name: string,
  session: CommandSession,
  openTable: () => Promise<CommandTable>,
): DataSourceClass<never> {
  return class CommandSource extends DataSource<object> {
    static override readonly name: string = name;

    override async schema(): Promise<Schema> {
      return await session.schema();
    }

    override reader(): DataSourceReader<SidedPartition> {
      return new CommandReader(session);
    }

    override async table(schema: Schema): Promise<SupportsWrite> {
      return commandTable(session, await openTable(), schema);
    }
  };
}

class CommandReader extends DataSourceReader<SidedPartition> {
  readonly #session: CommandSession;

  constructor(session: CommandSession) {
    super();
    this.#session = session;
  }

  override async partitions(): Promise<readonly SidedPartition[]> {
    return await this.#session.partitions();
  }

  override read(partition: SidedPartition, task: TaskContext): RowSource {
    return this.#session.read(partition, task);
  }
}

function commandTable(session: CommandSession, table: CommandTable, schema: Schema): EngineTable {
  const asked = isDeletedByTable(schema) ? ASKED : [...ASKED, ...ASKED_OF_STAGED];
  const methods = asked.flatMap((name) => {
    const method: unknown = Reflect.get(table, name);
    return typeof method === "function" ? [[name, method.bind(table)] as const] : [];
  });
  const made: EngineTable = {
    takesInput: true,
    name: table.name,
    // What the command needs of the table is checked when its step is opened.
    capabilities: new Set<TableCapability>(["BATCH_READ", "BATCH_WRITE", "ACCEPT_ANY_SCHEMA"]),
    newWriteBuilder: (info: LogicalWriteInfo, input?: PlannedInput): WriteBuilder => ({
      build: () => session.newWrite(info, input),
    }),
  };
  return Object.assign(made, Object.fromEntries(methods));
}
