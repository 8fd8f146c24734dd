import type { CommittedBatch } from "../../shared/contract/batch-identity.ts";

/** A row of the table of a command. */
export interface TableRow {
  readonly id: number;
  readonly v: number;
}

/** A change that a task stages: without a row a delete, without an id a new row. */
export interface RowChange {
  readonly id?: number;
  readonly row?: TableRow;
}

/**
 * What has changed the table: a batch, with all rows after it, or a row that another writer
 * inserted.
 */
export type TableEvent =
  | { readonly batch: CommittedBatch; readonly rows: readonly TableRow[] }
  | { readonly row: TableRow };

/** The rows of the first state, of which each file has three. */
export const FIRST_ROWS: readonly TableRow[] = [0, 10, 20, 30, 40, 50].map((v, id) => ({ id, v }));
const ROWS_A_FILE = 3;

/** The table of a command, which outlives processes. Each change of it is one transaction. */
export class RowTable {
  readonly events: TableEvent[] = [];
  /** What attempts of tasks have staged. */
  readonly staged = new Map<string, readonly RowChange[]>();
  /** Each state that the table had. A scan reads the state in which it was planned. */
  readonly #states: (readonly TableRow[])[] = [FIRST_ROWS];
  #hasOther = false;

  /** The number of the current state. */
  get version(): number {
    return this.#states.length - 1;
  }

  get rows(): readonly TableRow[] {
    return this.#states.at(-1) ?? [];
  }

  filesOf(version: number): number {
    return Math.ceil((this.#states[version]?.length ?? 0) / ROWS_A_FILE);
  }

  read(version: number, file: number): readonly TableRow[] {
    return this.#states[version]?.slice(file * ROWS_A_FILE, (file + 1) * ROWS_A_FILE) ?? [];
  }

  /** Ends a batch. */
  land(batch: CommittedBatch, rows: readonly TableRow[]): void {
    this.events.push({ batch, rows });
    this.change(rows);
  }

  /** Changes the rows. Another writer then inserts one, of which this batch must know nothing. */
  change(rows: readonly TableRow[]): void {
    this.#states.push(rows);
    this.insert({ id: 100 + this.version, v: 50 });
  }

  insert(row: TableRow): void {
    this.events.push({ row });
    this.#states.push([...this.rows, row]);
  }

  /** Another writer inserts a row between the first scan and its commit. */
  insertOnce(): void {
    if (!this.#hasOther) this.insert({ id: 200, v: 60 });
    this.#hasOther = true;
  }
}

/** Returns the rows after changes by id. Throws if a row that changes is not there. */
export function changed(rows: readonly TableRow[], changes: readonly RowChange[]): readonly TableRow[] {
  const left = [...rows];
  for (const { id, row } of changes) {
    if (id === undefined) continue;
    const at = left.findIndex((each) => each.id === id);
    if (at < 0) throw new Error(`row ${id} is not there`);
    left.splice(at, 1, ...(row === undefined ? [] : [row]));
  }
  return [...left, ...changes.flatMap(({ id, row }) => (id === undefined && row !== undefined ? [row] : []))];
}
