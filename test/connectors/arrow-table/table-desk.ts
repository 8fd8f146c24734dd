import { utimesSync } from "node:fs";
import { join } from "node:path";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { ArrowTable } from "../../../shared/connectors/arrow-table/index.ts";
import { readTable } from "../../../shared/connectors/arrow-table/read.ts";
import type { ArrowTableWriter, TableRows } from "../../../shared/connectors/arrow-table/writer.ts";
import { pathsOf } from "../../../shared/connectors/kit/staging.ts";
import type { BatchContext, TaskContext } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { JsonValue } from "../../../shared/contract/json.ts";
import type { ObjectStore } from "../../../shared/contract/object-store.ts";
import type { OpenBatch } from "../../../shared/contract/stream-writer.ts";
import { DirectoryStore } from "../../../shared/platform/embedded/directory-store.ts";
import { batchFields } from "../../support/batch-context.ts";
import { EngineWorld } from "../../support/engine.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { withStores } from "../../support/runtime.ts";

/** Returns the path of the first file that a task staged. */
export function pathOf(staged: TableRows): string {
  return pathsOf([staged])[0] ?? "";
}

const DEFAULTS = { pipeline: "orders", incarnation: "life-1", batchId: 0, attempt: 1 };

/** An Arrow table in a folder, with methods that write and remove batches. */
export class Desk {
  readonly folder: string = temporaryFolder();
  readonly store: ObjectStore;
  readonly world: EngineWorld = new EngineWorld();
  readonly path: string = join(this.folder, "table");
  readonly table: ObjectStore;

  constructor(wrap: (store: ObjectStore) => ObjectStore = (store) => store) {
    this.store = wrap(new DirectoryStore(this.folder));
    this.table = this.store.at("table");
  }

  writer(ddl = "id bigint"): ArrowTableWriter {
    return new ArrowTable({}, withStores(this.world.ports().runtime)).streamWriter(
      parseDdl(ddl),
      false,
    ) as ArrowTableWriter;
  }

  context(overrides: Partial<BatchContext> = {}): BatchContext {
    return {
      ...DEFAULTS,
      ...batchFields({ ...DEFAULTS, ...overrides }),
      commitTried: false,
      plannedAt: 0,
      store: this.store,
      openStore: (path) => new DirectoryStore(path),
      ...overrides,
    };
  }

  task(overrides: Partial<TaskContext> = {}): TaskContext {
    return {
      ...this.context(),
      partitionId: 0,
      attemptNumber: 0,
      signal: new AbortController().signal,
      ...overrides,
    };
  }

  async stage(
    ids: readonly number[],
    overrides: Partial<TaskContext> = {},
    ddl?: string,
  ): Promise<TableRows> {
    async function* batches() {
      if (ids.length > 0)
        yield recordBatchOf(
          parseDdl(ddl ?? "id bigint"),
          ids.map((id) => [id]),
        );
    }
    return await this.writer(ddl).write(batches(), this.task(overrides));
  }

  async commit(
    messages: readonly (TableRows | null)[],
    overrides: Partial<BatchContext> = {},
  ): Promise<JsonValue> {
    const context = this.context(overrides);
    return await this.writer().commit(messages, context.batchId, context);
  }

  async ids(): Promise<number[]> {
    const ids: number[] = [];
    for await (const batch of readTable(this.table))
      for (const row of rowsOf(batch)) ids.push(Number(row["id"]));
    return ids;
  }

  async vacuum(
    options: { olderThan?: number; open?: OpenBatch; dryRun?: boolean; incarnation?: string } = {},
  ) {
    return await this.writer().vacuum({
      ...this.context(options.incarnation === undefined ? {} : { incarnation: options.incarnation }),
      now: Date.now(),
      olderThan: options.olderThan ?? 0,
      dryRun: options.dryRun ?? false,
      readOpenBatch: async () => options.open,
    });
  }

  /** Sets the modification time of a file to some milliseconds ago. */
  age(path: string, milliseconds: number): void {
    const then = (Date.now() - milliseconds) / 1000;
    utimesSync(join(this.path, path), then, then);
  }
}
