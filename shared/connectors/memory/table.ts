import type { Schema } from "apache-arrow";
import { matcherOf } from "../../arrow/predicates/row-matcher.ts";
import { recordBatchOf } from "../../arrow/record-batches.ts";
import type { CommittedBatch } from "../../contract/batch-identity.ts";
import { isCommitted } from "../../contract/committed-batch.ts";
import type { BatchContext } from "../../contract/context.ts";
import { optional } from "../../contract/optional.ts";
import type { NamedRow } from "../../contract/stream-reader.ts";
import type { Predicate } from "../../contract/write/predicates.ts";
import type { WriteSummary } from "../../contract/write/summary.ts";
import { commonSchema, TableScans } from "./scans.ts";
import { keyText, readableRows } from "./stored-values.ts";
import { notInMemory } from "./stream.ts";

/** A committed batch of a memory table. */
export interface MemoryBatch {
  /** Name of the pipeline that wrote the batch; of a `V1Write` its query id. */
  readonly pipeline: string;
  /** Id of the batch, counted from 0. */
  readonly batchId: number;
  /** Rows keyed by field name, with JSON values. Later batches may have replaced some. */
  readonly rows: readonly NamedRow[];
  /** What the commit was told about the rows. Only an append of a batch pipeline has it. */
  readonly summary?: WriteSummary;
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

/** Which rows of the table go when new rows come. */
export type Replaced =
  | { readonly replaces: "none" | "all" }
  | { readonly replaces: "matching"; readonly predicates: readonly Predicate[] }
  | { readonly replaces: "partitions"; readonly partitionBy: readonly string[] };

/** New rows, and what they replace. */
export interface MemoryChange {
  readonly schema: Schema;
  readonly replaced: Replaced;
  readonly summary?: WriteSummary | undefined;
}

/** What a command changes. */
export interface RowChanges {
  /** The columns of the table. */
  readonly schema: Schema;
  /** The new row of each old one, or `undefined` if it is deleted. */
  readonly replaced: ReadonlyMap<NamedRow, NamedRow | undefined>;
  /** New rows, by task. */
  readonly added: readonly (readonly NamedRow[])[];
}

/** Rows that leave a table, and rows that come. */
export interface ChangedRows {
  readonly removed: ReadonlySet<NamedRow>;
  readonly added: readonly NamedRow[];
}

/** A batch with the schema of its rows. */
interface StoredBatch extends MemoryBatch {
  readonly schema: Schema;
}

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
  /** The newest batch of each pipeline, and how many rows it replaced. */
  readonly #newest = new Map<string, CommittedBatch & { readonly rowsReplaced: number }>();
  /** The queries whose rows were inserted in one call. */
  readonly #inserted = new Map<string, number>();
  #batches: readonly StoredBatch[] = [];
  /** Rows as scans of commands have found them. */
  readonly scans: TableScans = new TableScans(() => this.#batches.map(({ rows }) => rows));

  constructor(name: string) {
    this.name = name;
  }

  rows(): NamedRow[] {
    return this.#batches.flatMap(({ rows }) => rows);
  }

  batches(): MemoryBatch[] {
    return this.#batches.map(({ schema: _, ...batch }) => batch);
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
   * Adds a batch, and removes the rows that it replaces. Does nothing if the batch is already
   * committed. Returns how many rows the batch has replaced. Errors: `MEMORY_NOT_HERE`,
   * `LEDGER_BEHIND_SINK`, `FILTER_INVALID`.
   */
  commit(messages: readonly StagedRows[], batch: BatchContext, change: MemoryChange): number {
    const { pipeline, incarnation, batchId, planId, start, end } = batch;
    if (this.has(batch)) return this.#newest.get(pipeline)?.rowsReplaced ?? 0;
    const files = messages.map((message) => this.#stagedRows(message));
    for (const file of files) this.scans.addFile(file);
    const rows = files.flat();
    const rowsReplaced = this.#add({ pipeline, batchId, rows }, change);
    this.#newest.set(pipeline, { incarnation, batchId, planId, start, end, rowsReplaced });
    this.discard(messages);
    return rowsReplaced;
  }

  /**
   * Like `commit`, for changes of a stream. `merge` gets the rows of the table and what the tasks
   * staged. It is called once for each batch.
   */
  commitChanges(
    messages: readonly StagedRows[],
    batch: BatchContext,
    schema: Schema,
    merge: (rows: readonly NamedRow[], staged: readonly NamedRow[]) => ChangedRows,
  ): void {
    if (this.has(batch)) return;
    const { pipeline, incarnation, batchId, planId, start, end } = batch;
    const staged = messages.flatMap((message) => this.#stagedRows(message));
    const { removed, added } = merge(this.rows(), staged);
    const remaining = this.#batches.map((each) => ({
      ...each,
      rows: each.rows.filter((row) => !removed.has(row)),
    }));
    this.#batches = [...remaining, { pipeline, batchId, rows: added, schema }];
    this.#newest.set(pipeline, { incarnation, batchId, planId, start, end, rowsReplaced: removed.size });
    this.discard(messages);
  }

  /** Like `commit`, for rows that come in one call. `queryId` identifies them. */
  insert(rows: readonly NamedRow[], queryId: string, change: MemoryChange): number {
    const known = this.#inserted.get(queryId);
    if (known !== undefined) return known;
    const rowsReplaced = this.#add({ pipeline: queryId, batchId: 0, rows }, change);
    this.#inserted.set(queryId, rowsReplaced);
    return rowsReplaced;
  }

  /** True if the rows of this query came in one call. */
  hasInserted(queryId: string): boolean {
    return this.#inserted.has(queryId);
  }

  /**
   * Removes rows, but not again for the same batch. Returns how many they were. Error:
   * `FILTER_INVALID`.
   */
  delete(replaced: Replaced, batch?: BatchContext): number {
    if (batch === undefined) return this.#replace(replaced, []);
    const { pipeline, incarnation, batchId, planId, start, end } = batch;
    if (this.has(batch)) return this.#newest.get(pipeline)?.rowsReplaced ?? 0;
    const rowsReplaced = this.#replace(replaced, []);
    this.#newest.set(pipeline, { incarnation, batchId, planId, start, end, rowsReplaced });
    return rowsReplaced;
  }

  /**
   * Like `commit`, for a command. `change` gets what each task staged, and returns which rows go or
   * change, and which come. It is called once for each batch.
   */
  commitRows(
    messages: readonly StagedRows[],
    batch: BatchContext,
    summary: WriteSummary | undefined,
    change: (staged: readonly (readonly NamedRow[])[]) => RowChanges,
  ): void {
    if (this.has(batch)) return;
    const { pipeline, incarnation, batchId, planId, start, end } = batch;
    const { schema, replaced, added } = change(messages.map((message) => this.#stagedRows(message)));
    const changed = this.#batches.map((each) => {
      if (!each.rows.some((row) => replaced.has(row))) return each;
      const rows = each.rows.flatMap((row): readonly NamedRow[] => {
        const changed = replaced.has(row) ? replaced.get(row) : row;
        return changed === undefined ? [] : [changed];
      });
      return { ...each, rows, schema };
    });
    for (const [old, row] of replaced) if (row !== undefined) this.scans.replace(old, row);
    for (const file of added) this.scans.addFile(file);
    const rows = added.flat();
    this.#batches = [...changed, { pipeline, batchId, rows, schema, ...optional("summary", summary) }];
    this.#newest.set(pipeline, { incarnation, batchId, planId, start, end, rowsReplaced: replaced.size });
    this.discard(messages);
  }

  /** Returns the columns that the rows have, or `undefined` if no batch was committed. */
  columns(): Schema | undefined {
    return commonSchema(this.#batches.map(({ schema }) => schema));
  }

  discard(messages: readonly StagedRows[]): void {
    for (const { key } of messages) this.#staged.delete(key);
  }

  #add(batch: MemoryBatch, { schema, replaced, summary }: MemoryChange): number {
    const rowsReplaced = this.#replace(replaced, batch.rows);
    this.#batches = [...this.#batches, { ...batch, schema, ...optional("summary", summary) }];
    return rowsReplaced;
  }

  #replace(replaced: Replaced, rows: readonly NamedRow[]): number {
    const before = this.rows().length;
    // A copy is changed and then kept as a whole: an error leaves the table as it was.
    this.#batches =
      replaced.replaces === "all"
        ? []
        : this.#batches.map((batch) => ({ ...batch, rows: remaining(batch, replaced, rows) }));
    return before - this.rows().length;
  }

  #stagedRows({ table, key }: StagedRows): readonly NamedRow[] {
    const rows = this.#staged.get(key);
    if (table === this.#id && rows !== undefined) return rows;
    throw notInMemory(`what a task wrote for memory table "${this.name}"`);
  }
}

/** Returns the rows of a batch that stay. */
function remaining(
  { schema, rows }: StoredBatch,
  replaced: Replaced,
  newRows: readonly NamedRow[],
): readonly NamedRow[] {
  if (replaced.replaces === "matching") {
    // Rows for which the predicates are unknown, because of a null, stay.
    const test = matcherOf(schema, replaced.predicates).on(recordBatchOf(schema, readableRows(rows, schema)));
    return rows.filter((_, i) => test(i) !== true);
  }
  if (replaced.replaces !== "partitions") return rows;
  const partitionOf = (row: NamedRow) => keyText(replaced.partitionBy.map((column) => row[column] ?? null));
  const partitions = new Set(newRows.map(partitionOf));
  return rows.filter((row) => !partitions.has(partitionOf(row)));
}
