import { join } from "node:path";
import { recordBatchOf } from "../../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../../shared/arrow/rows.ts";
import type {
  CatalogOutcome,
  IcebergCatalog,
  LoadedTable,
  TableCommit,
} from "../../../../shared/connectors/iceberg/catalog/catalog.ts";
import { parseTableName } from "../../../../shared/connectors/iceberg/catalog/identifier.ts";
import { openCatalog } from "../../../../shared/connectors/iceberg/catalog/open-catalog.ts";
import { CATALOG_OPTIONS } from "../../../../shared/connectors/iceberg/catalog/options.ts";
import type { TableMetadata } from "../../../../shared/connectors/iceberg/format/types.ts";
import type { IcebergOptions } from "../../../../shared/connectors/iceberg/options.ts";
import { readSnapshot } from "../../../../shared/connectors/iceberg/read/read-snapshot.ts";
import type { FilesMessage } from "../../../../shared/connectors/iceberg/sink/message.ts";
import { filesOf, type SinkParts } from "../../../../shared/connectors/iceberg/sink/open-table.ts";
import { IcebergSink } from "../../../../shared/connectors/iceberg/sink/table.ts";
import type { BatchContext, DataSourceRuntime, TaskContext } from "../../../../shared/contract/context.ts";
import { parseDdl } from "../../../../shared/contract/ddl/parse.ts";
import type { JsonValue } from "../../../../shared/contract/json.ts";
import type { StoreAccess } from "../../../../shared/contract/object-store.ts";
import { optional } from "../../../../shared/contract/optional.ts";
import type { OpenBatch, VacuumResult } from "../../../../shared/contract/stream-writer.ts";
import type { DataWriter } from "../../../../shared/contract/write/data-writer.ts";
import type { OnSchemaChange } from "../../../../shared/contract/write/write-info.ts";
import { DirectoryStore } from "../../../../shared/platform/embedded/directory-store.ts";
import { batchFields } from "../../../support/batch-context.ts";
import { Clock } from "../../../support/clock.ts";
import { temporaryFolder } from "../../../support/folder.ts";
import { withStores } from "../../../support/runtime.ts";

const INCARNATION = "11111111-1111-4111-8111-111111111111";
const DEFAULTS = { pipeline: "orders", incarnation: INCARNATION, batchId: 0, attempt: 1 };

/** A fault of a call of `commitTable`. The default does what is asked. */
export type Deed = (
  commit: () => Promise<CatalogOutcome>,
  request: TableCommit,
  attempt: number,
) => Promise<CatalogOutcome>;

/** A write of one batch, made by the calls of the engine. */
export interface StagedBatch {
  readonly batch: BatchContext;
  readonly messages: readonly (FilesMessage | null)[];
  readonly fields: Readonly<Record<string, JsonValue>>;
}

interface WriteOptions {
  readonly ddl?: string;
  readonly replaces?: "none" | "all" | "partitions";
  readonly onSchemaChange?: OnSchemaChange;
  readonly context?: Partial<BatchContext>;
  /** Rows of each task. */
  readonly tasks?: readonly (readonly Readonly<Record<string, JsonValue>>[])[];
}

/** An Iceberg table in a folder with a SQLite catalog, and methods that write batches to it. */
export class Desk {
  readonly folder: string = temporaryFolder();
  readonly clock: Clock = new Clock();
  readonly parts: SinkParts;
  readonly sink: IcebergSink;
  /** The calls of `commitTable`. */
  readonly commits: TableCommit[] = [];
  deed: Deed = (commit) => commit();
  /** Changes what the catalog says about the table. The default changes nothing. */
  see: (loaded: LoadedTable) => LoadedTable | undefined = (loaded) => loaded;
  /** The locations that were opened with credentials of the catalog, and those without. */
  readonly opened: { readonly vended: Set<string>; readonly own: Set<string> } = {
    vended: new Set(),
    own: new Set(),
  };
  #attempts = 0;

  constructor(options: Partial<IcebergOptions> = {}) {
    const stores = withStores({ ...this.clock.runtime, sleep: async () => undefined });
    const runtime: DataSourceRuntime = Object.assign(Object.create(stores) as DataSourceRuntime, {
      openStore: (location: string, access?: StoreAccess) => {
        this.opened[access === undefined ? "own" : "vended"].add(location);
        return stores.openStore(location, access);
      },
    });
    const catalog = CATALOG_OPTIONS.parse({ type: "sqlite", path: join(this.folder, "warehouse") });
    this.parts = {
      options: { table: "shop.orders", ...(options as object) },
      runtime,
      openCatalog: async () =>
        this.#watched(
          await openCatalog(catalog, { runtime, openStore: (location) => new DirectoryStore(location) }),
        ),
    };
    this.sink = new IcebergSink(this.parts);
  }

  #watched(catalog: IcebergCatalog): IcebergCatalog {
    return {
      description: catalog.description,
      loadTable: async (table) => {
        const loaded = await catalog.loadTable(table);
        return loaded === undefined ? undefined : this.see(loaded);
      },
      createTable: (table, spec) => catalog.createTable(table, spec),
      commitTable: async (table, base, commit) => {
        this.commits.push(commit);
        return await this.deed(() => catalog.commitTable(table, base, commit), commit, ++this.#attempts);
      },
      close: () => catalog.close(),
    };
  }

  context(overrides: Partial<BatchContext> = {}): BatchContext {
    return {
      ...DEFAULTS,
      ...batchFields({ ...DEFAULTS, ...overrides }),
      commitTried: false,
      plannedAt: 0,
      store: new DirectoryStore(this.folder),
      openStore: (path) => new DirectoryStore(path),
      ...overrides,
    };
  }

  #write({ ddl = "id bigint", replaces = "none", onSchemaChange, context = {} }: WriteOptions) {
    const builder = this.sink.newWriteBuilder({
      queryId: context.incarnation ?? INCARNATION,
      schema: parseDdl(ddl),
      options: {},
      plannedAt: 0,
      ...(onSchemaChange === undefined ? {} : { onSchemaChange }),
    });
    const told =
      replaces === "all"
        ? builder.truncate()
        : replaces === "partitions"
          ? builder.overwriteDynamicPartitions()
          : builder;
    return told.build().toStreaming();
  }

  /** Plans a batch, and lets each task write its rows. */
  async stage(options: WriteOptions = {}): Promise<StagedBatch> {
    const { tasks = [[{ id: 1 }]], ddl = "id bigint", context = {} } = options;
    const planned = await (await this.#write(options)).createStreamingWriterFactory({
      numPartitions: tasks.length,
      inputPartitions: tasks.length,
    });
    const fields = JSON.parse(JSON.stringify(planned)) as Record<string, JsonValue>;
    const batch = this.context(context);
    const messages: (FilesMessage | null)[] = [];
    for (const [partitionId, rows] of tasks.entries()) {
      const write = await this.#write(options);
      const factory = await write.restoreStreamingWriterFactory?.(fields);
      const writer = (await factory?.createWriter(partitionId, partitionId, batch.batchId, {
        ...batch,
        partitionId,
        attemptNumber: 0,
        signal: new AbortController().signal,
      } as TaskContext)) as DataWriter<unknown, FilesMessage>;
      const schema = parseDdl(ddl);
      await writer.writeAll(
        (async function* () {
          if (rows.length > 0) yield recordBatchOf(schema, rows);
        })(),
      );
      messages.push(JSON.parse(JSON.stringify(await writer.commit())) as FilesMessage);
    }
    return { batch, messages, fields };
  }

  /** Commits a staged batch in a write of its own, as Finalize does. */
  async finalize({ batch, messages, fields }: StagedBatch, options: WriteOptions = {}): Promise<void> {
    const write = await this.#write(options);
    await write.restoreStreamingWriterFactory?.(fields);
    await write.commit(batch.batchId, messages, batch);
  }

  async abort({ batch, messages, fields }: StagedBatch, options: WriteOptions = {}): Promise<void> {
    const write = await this.#write(options);
    await write.restoreStreamingWriterFactory?.(fields);
    await write.abort(batch.batchId, messages, batch);
  }

  /** Stages and commits a batch. */
  async write(batchId: number, ids: readonly number[], options: WriteOptions = {}): Promise<StagedBatch> {
    const context = { batchId, ...options.context };
    const full = { tasks: [ids.map((id) => ({ id }))], ...options, context };
    const staged = await this.stage(full);
    await this.finalize(staged, full);
    return staged;
  }

  /** Commits changes as another writer of the table does. */
  async asOther(change: (metadata: TableMetadata) => TableCommit["updates"]): Promise<void> {
    const catalog = await this.parts.openCatalog();
    const table = parseTableName("shop.orders");
    const loaded = (await catalog.loadTable(table)) as LoadedTable;
    const { deed } = this;
    this.deed = (commit) => commit();
    const updates = change(loaded.metadata);
    const result = await catalog.commitTable(table, loaded, { requirements: [], updates });
    this.deed = deed;
    this.commits.pop();
    await catalog.close();
    if (result.outcome !== "committed") throw new Error(JSON.stringify(result));
  }

  async load(): Promise<LoadedTable> {
    const catalog = await this.parts.openCatalog();
    try {
      return (await catalog.loadTable(parseTableName("shop.orders"))) as LoadedTable;
    } finally {
      await catalog.close();
    }
  }

  async metadata(): Promise<TableMetadata> {
    return (await this.load()).metadata;
  }

  /** Returns the rows of the newest snapshot, or of another one. */
  async rows(snapshotId?: bigint): Promise<Record<string, unknown>[]> {
    const loaded = await this.load();
    const rows: Record<string, unknown>[] = [];
    for await (const batch of readSnapshot(
      filesOf(this.parts, loaded),
      loaded.metadata,
      optional("snapshotId", snapshotId),
    ))
      rows.push(...rowsOf(batch));
    return rows;
  }

  /** Returns the ids of all rows, sorted. */
  async ids(snapshotId?: bigint): Promise<unknown[]> {
    return (await this.rows(snapshotId)).map(({ id }) => Number(id)).sort((a, b) => a - b);
  }

  /** Returns the keys of the table's files, sorted. */
  async files(prefix = ""): Promise<string[]> {
    const { root } = filesOf(this.parts, await this.load());
    return (await Array.fromAsync(root.list(prefix))).map(({ key }) => key).sort();
  }

  async vacuum(open?: OpenBatch, formerIncarnations: readonly string[] = []): Promise<VacuumResult> {
    return await this.sink.vacuum({
      ...this.context(),
      now: Number.MAX_SAFE_INTEGER,
      olderThan: 0,
      formerIncarnations,
      dryRun: false,
      readOpenBatch: async () => open,
    });
  }
}
