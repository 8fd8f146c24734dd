import type { Predicate } from "../../../shared/contract/write/predicates.ts";
import type { Disposition } from "../../../shared/contract/write/writer-table.ts";
import type { GivenOp, OpRow } from "./op.ts";
import { matches } from "./predicates.ts";
import type { Files } from "./trace.ts";

/** A table of a scenario: the rows that readers see, one file for each task that added some. */
export class TableState {
  readonly name: string;
  readonly columns: readonly string[];
  readonly #partitionedBy: readonly string[];
  #files = new Map<number, readonly OpRow[]>();
  /** Rows of task attempts that committed, by task id. Readers do not see them. */
  readonly #staged = new Map<number, readonly OpRow[]>();
  #next = 0;

  constructor(name: string, columns: readonly string[], partitionedBy: readonly string[] = []) {
    this.name = name;
    this.columns = columns;
    this.#partitionedBy = partitionedBy;
  }

  /** The table as a scenario begins with it. */
  static given({ table, schema, partitionedBy }: GivenOp, files: Files): TableState {
    const state = new TableState(table, columnsOf(schema), partitionedBy);
    for (const number of Object.keys(files)
      .map(Number)
      .sort((a, b) => a - b)) {
      state.#files.set(number, files[number] ?? []);
      state.#next = number + 1;
    }
    return state;
  }

  get files(): Files {
    return Object.fromEntries(this.#files);
  }

  stage(taskId: number, rows: readonly OpRow[]): void {
    this.#staged.set(taskId, rows);
  }

  drop(taskId: number): void {
    this.#staged.delete(taskId);
  }

  /** Adds the rows of these task attempts, in place of those that they replace. */
  commit(replaces: Disposition, taskIds: readonly number[]): void {
    this.insert(
      replaces,
      taskIds.map((taskId) => this.#staged.get(taskId) ?? []),
    );
    for (const taskId of taskIds) this.drop(taskId);
  }

  /** Adds one file for each list of rows that is not empty. */
  insert(replaces: Disposition, added: readonly (readonly OpRow[])[]): void {
    this.#remove(replaces, added.flat());
    for (const rows of added) if (rows.length > 0) this.#files.set(this.#next++, rows);
  }

  /** Removes the rows that match all predicates. */
  delete(predicates: readonly Predicate[]): void {
    this.#keep((row) => !matches(predicates, this.columns, row));
  }

  truncate(): void {
    this.#files.clear();
  }

  #remove(replaces: Disposition, added: readonly OpRow[]): void {
    if (replaces.replaces === "all") this.truncate();
    if (replaces.replaces === "matching") this.delete(replaces.predicates);
    if (replaces.replaces === "partitions") {
      const replaced = new Set(added.map((row) => this.#partitionOf(row)));
      this.#keep((row) => !replaced.has(this.#partitionOf(row)));
    }
  }

  #partitionOf(row: OpRow): string {
    return JSON.stringify(this.#partitionedBy.map((name) => row[this.columns.indexOf(name)]));
  }

  #keep(isKept: (row: OpRow) => boolean): void {
    const files = [...this.#files].map(([number, rows]) => [number, rows.filter(isKept)] as const);
    this.#files = new Map(files.filter(([, rows]) => rows.length > 0));
  }
}

/** Returns the names of the columns of a schema such as `id BIGINT NOT NULL,p INT`. */
export function columnsOf(schema: string): readonly string[] {
  return schema === "" ? [] : schema.split(",").map((column) => column.trim().split(" ")[0] as string);
}
