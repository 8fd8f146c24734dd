import type { CommittedBatch } from "../../contract/batch-identity.ts";
import { isCommitted } from "../../contract/committed-batch.ts";
import type { BatchContext } from "../../contract/context.ts";
import type { NamedRow } from "../../contract/stream-reader.ts";
import { notInMemory } from "./stream.ts";

/** A committed batch of a memory table. */
export interface MemoryBatch {
  /** Name of the pipeline that wrote the batch. */
  readonly pipeline: string;
  /** Id of the batch, counted from 0. */
  readonly batchId: number;
  /** Rows keyed by field name, with JSON values. */
  readonly rows: readonly NamedRow[];
}

/** The committed batches of a table that the sink `memory` wrote. */
export interface MemoryTable {
  /** Name of the table, which the option `table` of the sink has. */
  readonly name: string;
  /**
   * Returns all rows in the order of their batches and partitions, keyed by field name, with JSON
   * values.
   */
  rows(): NamedRow[];
  /** Returns the batches in the order of their commits. */
  batches(): MemoryBatch[];
}

/** The commit message of a task. The rows themselves stay in memory. */
export type StagedRows = {
  /** The table's own id. A table of the same name in another thread has another id. */
  readonly table: string;
  readonly key: string;
};

const tables = new Map<string, Table>();

/**
 * Returns the table with this name in the memory of this thread. If there is none, it is created
 * empty.
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
  readonly #newest = new Map<string, CommittedBatch>();
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

  /** Returns true if the batch is committed. Error: `LEDGER_BEHIND_SINK`. */
  has(batch: BatchContext): boolean {
    // A new process begins with an empty table, so earlier batches may be missing.
    const continuity = batch.continuity === "strict" ? "rewound" : batch.continuity;
    return isCommitted({ ...batch, continuity }, this.#newest.get(batch.pipeline));
  }

  /**
   * Adds a batch or, with `overwrite`, replaces all rows by it. Does nothing if the batch is
   * already committed. Errors: `MEMORY_NOT_HERE`, `LEDGER_BEHIND_SINK`.
   */
  commit(messages: readonly StagedRows[], batch: BatchContext, overwrite: boolean): void {
    if (this.has(batch)) return;
    const rows = messages.flatMap((message) => this.#stagedRows(message));
    const { pipeline, incarnation, batchId, planId, start, end } = batch;
    this.#batches = [...(overwrite ? [] : this.#batches), { pipeline, batchId, rows }];
    this.#newest.set(pipeline, { incarnation, batchId, planId, start, end });
    this.discard(messages);
  }

  discard(messages: readonly StagedRows[]): void {
    for (const { key } of messages) this.#staged.delete(key);
  }

  #stagedRows({ table, key }: StagedRows): readonly NamedRow[] {
    const rows = this.#staged.get(key);
    if (table === this.#id && rows !== undefined) return rows;
    throw notInMemory(`what a task wrote for memory table "${this.name}"`);
  }
}
