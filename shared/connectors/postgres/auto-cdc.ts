import { Field, Schema } from "apache-arrow";
import type { BatchContext, Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { AutoCdcInfo } from "../../contract/write/auto-cdc.ts";
import type { CustomTaskMetric } from "../../contract/write/metrics.ts";
import type { DeltaWriteBuilder } from "../../contract/write/row-level.ts";
import type { Session } from "../kit/postgres/session.ts";
import type { StagedRows } from "../kit/staging.ts";
import { type BatchesTable, batchesTableOf, makeTable } from "./batches-table.ts";
import { type ChangeCommit, ChangeWrite, CommitMetric } from "./change-write.ts";
import { ChangesTable, END, START } from "./changes-table.ts";
import { commitStaged } from "./commit.ts";
import { definitionOf } from "./create.ts";
import type { DeltaParts } from "./delta.ts";
import type { MergeCounts } from "./merge.ts";
import { mergeAllStates } from "./merge-all-states.ts";
import { mergeNewestState } from "./merge-newest-state.ts";
import { type ChangeLayout, changeColumns, loadChanges, SEQUENCE_FIELD } from "./staged-changes.ts";
import { findTable, quoteTable, readTable, type Table } from "./table.ts";
import { checkUnique } from "./unique-keys.ts";

/** Returns a builder of a write that merges changes by key. */
export function autoCdcBuilder(parts: DeltaParts, info: AutoCdcInfo): DeltaWriteBuilder {
  if ((info.onSchemaChange ?? "fail") !== "fail") {
    throw new MillraceError("WRITE_NOT_SUPPORTED", "a merge into PostgreSQL does not change its columns", {
      hint: `Nothing was read or written. Remove \`.onSchemaChange("${info.onSchemaChange}")\`, and give the table the columns by ALTER TABLE.`,
    });
  }
  return { build: () => new ChangeWrite(new MergeCommit(parts, info)) };
}

const METRICS = {
  upserted: new CommitMetric("changesUpserted", "changes that wrote a row"),
  deleted: new CommitMetric("changesDeleted", "changes that deleted a key"),
  outdated: new CommitMetric("changesOutdated", "changes older than the last one of their key"),
} as const satisfies Readonly<Record<keyof MergeCounts, CommitMetric>>;

/** The commit of a merge by key. */
class MergeCommit implements ChangeCommit {
  readonly description: string;
  readonly layout: ChangeLayout;
  readonly runtime: Runtime;
  readonly refusesNullIds = true;
  readonly metrics: readonly CommitMetric[] = Object.values(METRICS);
  readonly #parts: DeltaParts;
  readonly #info: AutoCdcInfo;
  readonly #keys: readonly string[];
  readonly #batches: BatchesTable;
  readonly #changes: ChangesTable;

  constructor(parts: DeltaParts, info: AutoCdcInfo) {
    const ids = info.rowIdSchema ?? new Schema([]);
    this.description = `merge into ${parts.options.table}`;
    this.layout = { rows: info.schema, ids, metadata: new Schema([...metadataOf(info)]) };
    this.runtime = parts.runtime;
    this.#parts = parts;
    this.#info = info;
    this.#keys = ids.fields.map(({ name }) => name);
    this.#batches = batchesTableOf(parts.options);
    this.#changes = new ChangesTable(parts.options, this.#keys, info.storedAsScdType);
  }

  /** The columns by which a row of the target is found again. */
  get #unique(): readonly string[] {
    return this.#info.storedAsScdType === 1 ? this.#keys : [...this.#keys, START];
  }

  async check(): Promise<void> {
    const { server, options } = this.#parts;
    await server.use(async (session) => {
      const table = await findTable(session, options.table);
      if (table === undefined) return void this.#definition();
      changeColumns(table, this.layout);
      await checkUnique(session, table, this.#unique);
      await this.#changes.check(session);
    });
  }

  async commit(
    messages: readonly (StagedRows | null)[],
    batch: BatchContext,
  ): Promise<readonly CustomTaskMetric[]> {
    const { server } = this.#parts;
    const counts = await commitStaged(server, this.#batches, messages, batch, async (session) => {
      const target = await this.#makeTarget(session);
      const side = await this.#changes.make(session, target);
      await loadChanges(session, target, this.layout, messages, batch);
      const { storedAsScdType, tombstonesKeptMilliseconds } = this.#info;
      const { layout } = this;
      const { plannedAt } = batch;
      const merge = { session, target, side, layout, plannedAt, tombstonesKeptMilliseconds };
      return storedAsScdType === 1 ? await mergeNewestState(merge) : await mergeAllStates(merge);
    });
    return Object.entries(counts ?? {}).map(([count, value]) => ({
      name: METRICS[count as keyof MergeCounts].name,
      value,
    }));
  }

  async #makeTarget(session: Session): Promise<Table> {
    const { table: name } = this.#parts.options;
    if ((await findTable(session, name)) === undefined)
      await makeTable(session, quoteTable(name), this.#definition());
    const table = await readTable(session, name);
    await checkUnique(session, table, this.#unique);
    return table;
  }

  /** The columns of a new target. */
  #definition(): string {
    const { schema, storedAsScdType } = this.#info;
    if (storedAsScdType === 1) return definitionOf(schema, this.#unique);
    const start = this.layout.metadata.fields.find(({ name }) => name === "__start_at");
    if (start === undefined) throw withoutStart();
    const times = [new Field(START, start.type, false), new Field(END, start.type, true)];
    return definitionOf(new Schema([...schema.fields, ...times]), this.#unique);
  }
}

function metadataOf({ metadataSchema, storedAsScdType }: AutoCdcInfo): readonly Field[] {
  if (storedAsScdType === 1) return [SEQUENCE_FIELD];
  const start = metadataSchema?.fields.find(({ name }) => name === "__start_at");
  if (start === undefined) throw withoutStart();
  return [SEQUENCE_FIELD, start];
}

function withoutStart(): MillraceError {
  return new MillraceError("ROW_LEVEL_INVALID", "changes of which all states are kept need __start_at", {
    hint: "Nothing was written. The metadata of the changes must have the column __start_at.",
  });
}
