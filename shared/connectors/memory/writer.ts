import type { Schema } from "apache-arrow";
import type { SupportsExists } from "../../contract/batch-writer.ts";
import type { BatchContext, Runtime } from "../../contract/context.ts";
import type { NamedRow } from "../../contract/stream-reader.ts";
import {
  DataSourceStreamWriter,
  type SupportsCommitLookup,
  type SupportsTargetName,
  type SupportsTaskAbort,
} from "../../contract/stream-writer.ts";
import { openTable, type StagedRows, type Table } from "./table.ts";
import { present } from "./write.ts";

/** The table's writes in the form of PySpark's API, which knows appends and overwrites of all rows. */
export class MemoryWriter
  extends DataSourceStreamWriter<StagedRows>
  implements SupportsTaskAbort<StagedRows>, SupportsCommitLookup, SupportsTargetName, SupportsExists
{
  readonly #schema: Schema;
  readonly #table: Table;
  readonly #overwrite: boolean;
  readonly #runtime: Runtime;

  constructor(schema: Schema, table: string, overwrite: boolean, runtime: Runtime) {
    super();
    this.#schema = schema;
    this.#table = openTable(table);
    this.#overwrite = overwrite;
    this.#runtime = runtime;
  }

  override async write(rows: AsyncIterable<NamedRow>): Promise<StagedRows> {
    return this.#table.stage(this.#runtime.newId(), await Array.fromAsync(rows));
  }

  override commit(messages: readonly (StagedRows | null)[], _batchId: number, batch: BatchContext): void {
    this.#table.commit(present(messages), batch, {
      schema: this.#schema,
      replaced: { replaces: this.#overwrite ? "all" : "none" },
    });
  }

  override abort(messages: readonly (StagedRows | null)[], _batchId: number, batch: BatchContext): void {
    // After a commit was tried, another run may try it again and need the staged rows.
    if (!batch.commitTried) this.#table.discard(present(messages));
  }

  abortTask(message: StagedRows | null): void {
    this.#table.discard(present([message]));
  }

  hasCommitted(_batchId: number, batch: BatchContext): boolean {
    return this.#table.has(batch);
  }

  targetName(): string {
    return this.#table.name;
  }

  exists(): boolean {
    return this.#table.batches().length > 0;
  }
}
