import { Schema } from "apache-arrow";
import type { BatchContext, Runtime } from "../../contract/context.ts";
import type { CustomTaskMetric } from "../../contract/write/metrics.ts";
import { type NamedReference, reference } from "../../contract/write/predicates.ts";
import type {
  DeltaWriteBuilder,
  RowLevelCommand,
  RowLevelOperationBuilder,
  SupportsDelta,
} from "../../contract/write/row-level.ts";
import type { LogicalWriteInfo } from "../../contract/write/write-info.ts";
import type { Server } from "../kit/postgres/connection.ts";
import type { StagedRows } from "../kit/staging.ts";
import { DeltaApplier, type DeltaCounts } from "./apply-delta.ts";
import { type BatchesTable, batchesTableOf } from "./batches-table.ts";
import { type ChangeCommit, ChangeWrite, CommitMetric } from "./change-write.ts";
import { commitStaged } from "./commit.ts";
import type { ParsedOptions } from "./options.ts";
import { PostgresScanBuilder, type ScannedTable, scannedTable } from "./scan.ts";
import { type ChangeLayout, changeColumns, loadChanges } from "./staged-changes.ts";
import { readTable } from "./table.ts";

/** What operations on the table's rows need. */
export interface DeltaParts {
  readonly options: ParsedOptions;
  readonly server: Server;
  readonly runtime: Runtime;
}

/** Builds an operation. It looks up what identifies a row. */
export class PostgresOperationBuilder implements RowLevelOperationBuilder {
  readonly #parts: DeltaParts;
  readonly #command: RowLevelCommand;

  constructor(parts: DeltaParts, command: RowLevelCommand) {
    this.#parts = parts;
    this.#command = command;
  }

  /** Error: `POSTGRES_TABLE_MISMATCH`, if nothing identifies a row. */
  async build(): Promise<PostgresOperation> {
    const { options, server } = this.#parts;
    const known = await server.use((session) => scannedTable(session, options));
    return new PostgresOperation(this.#parts, this.#command, known);
  }
}

/** Changes rows of a table, which it finds by its primary key or a unique index. */
class PostgresOperation implements SupportsDelta {
  readonly command: RowLevelCommand;
  readonly description: string;
  readonly #parts: DeltaParts;
  readonly #known: ScannedTable;

  constructor(parts: DeltaParts, command: RowLevelCommand, known: ScannedTable) {
    this.command = command;
    this.description = `${command} of ${known.table.sql}`;
    this.#parts = parts;
    this.#known = known;
  }

  rowId(): readonly NamedReference[] {
    return this.#known.rowId.map((name) => reference(name));
  }

  newScanBuilder(): PostgresScanBuilder {
    const { options, server } = this.#parts;
    return new PostgresScanBuilder(options, server, this.#known);
  }

  newWriteBuilder(info: LogicalWriteInfo): DeltaWriteBuilder {
    const { schema } = this.#known;
    const ids = info.rowIdSchema ?? schema.select([...this.#known.rowId]);
    const layout: ChangeLayout = { rows: info.schema, ids, metadata: new Schema([]) };
    return { build: () => new ChangeWrite(new DeltaCommit(this.#parts, this.description, layout)) };
  }
}

const METRICS = {
  deleted: new CommitMetric("rowsDeleted", "rows deleted"),
  updated: new CommitMetric("rowsUpdated", "rows updated"),
  inserted: new CommitMetric("rowsInserted", "rows inserted"),
  gone: new CommitMetric("rowsGone", "rows that others had deleted meanwhile"),
} as const satisfies Readonly<Record<keyof DeltaCounts, CommitMetric>>;

/** The commit of an operation's changes. */
class DeltaCommit implements ChangeCommit {
  readonly description: string;
  readonly layout: ChangeLayout;
  readonly runtime: Runtime;
  readonly refusesNullIds = false;
  readonly metrics: readonly CommitMetric[] = Object.values(METRICS);
  readonly #parts: DeltaParts;
  readonly #batches: BatchesTable;

  constructor(parts: DeltaParts, description: string, layout: ChangeLayout) {
    this.description = description;
    this.layout = layout;
    this.runtime = parts.runtime;
    this.#parts = parts;
    this.#batches = batchesTableOf(parts.options);
  }

  async check(): Promise<void> {
    const { server, options } = this.#parts;
    changeColumns(await server.use((session) => readTable(session, options.table)), this.layout);
  }

  async commit(
    messages: readonly (StagedRows | null)[],
    batch: BatchContext,
  ): Promise<readonly CustomTaskMetric[]> {
    const { server, options } = this.#parts;
    const counts = await commitStaged(server, this.#batches, messages, batch, async (session) => {
      const table = await readTable(session, options.table);
      await loadChanges(session, table, this.layout, messages, batch);
      return await new DeltaApplier(session, table, this.layout).apply();
    });
    return Object.entries(counts ?? {}).map(([count, value]) => ({
      name: METRICS[count as keyof DeltaCounts].name,
      value,
    }));
  }
}
