import type { BatchContext } from "../../contract/context.ts";
import type { NamedRow } from "../../contract/stream-reader.ts";
import { notHere } from "./stream.ts";

/** A batch that a memory table has. */
export interface MemoryBatch {
  /** The pipeline that wrote it. */
  readonly pipeline: string;
  /** From 0. */
  readonly batchId: number;
  /** By field name, values as JSON has them. */
  readonly rows: readonly NamedRow[];
}

/** What the sink `memory` wrote into a table, as far as it was committed. */
export interface MemoryTable {
  /** As in the option `table`. */
  readonly name: string;
  /**
   * All rows, in the order of their batches and partitions: by field name, values as JSON has them.
   */
  rows(): NamedRow[];
  /** The batches, in the order of their commits. */
  batches(): MemoryBatch[];
}

/** What a task staged; the rows stay in memory. */
export type StagedRows = {
  /** The table's own id: one of the same name in another thread is another one. */
  readonly table: string;
  readonly key: string;
};

const tables = new Map<string, Table>();

/**
 * The table of that name in the memory of this process, and of this thread of it; an empty one
 * if there is none yet.
 */
export function memoryTable(name: string): MemoryTable {
  return openTable(name);
}

export function openTable(name: string): Table {
  const table = tables.get(name) ?? new Table(name);
  tables.set(name, table);
  return table;
}

export class Table implements MemoryTable {
  readonly name: string;
  readonly #id: string = crypto.randomUUID();
  readonly #staged = new Map<string, readonly NamedRow[]>();
  readonly #landed = new Set<string>();
  #batches: readonly MemoryBatch[] = [];

  constructor(name: string) {
    this.name = name;
  }

  rows(): NamedRow[] {
    return this.#batches.flatMap(({ rows }) => rows);
  }

  batches(): MemoryBatch[] {
    return [...this.#batches];
  }

  stage(key: string, rows: readonly NamedRow[]): StagedRows {
    this.#staged.set(key, rows);
    return { table: this.#id, key };
  }

  has(batch: BatchContext): boolean {
    return this.#landed.has(idOf(batch));
  }

  /**
   * Adds a batch, or puts it in the place of all there is, unless it is there already. Error:
   * `MEMORY_NOT_HERE`.
   */
  commit(messages: readonly StagedRows[], batch: BatchContext, overwrite: boolean): void {
    if (this.has(batch)) return;
    const rows = messages.flatMap((message) => this.#stagedRows(message));
    const { pipeline, batchId } = batch;
    this.#batches = [...(overwrite ? [] : this.#batches), { pipeline, batchId, rows }];
    this.#landed.add(idOf(batch));
    this.discard(messages);
  }

  discard(messages: readonly StagedRows[]): void {
    for (const { key } of messages) this.#staged.delete(key);
  }

  #stagedRows({ table, key }: StagedRows): readonly NamedRow[] {
    const rows = this.#staged.get(key);
    if (table === this.#id && rows !== undefined) return rows;
    throw notHere(`what a task wrote for memory table "${this.name}"`);
  }
}

function idOf({ incarnation, batchId }: BatchContext): string {
  return `${incarnation} ${batchId}`;
}
