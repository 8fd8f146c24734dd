import type { JsonValue } from "../../../shared/contract/json.ts";
import type { Predicate } from "../../../shared/contract/write/predicates.ts";
import type { Disposition } from "../../../shared/contract/write/writer-table.ts";
import type { GivenOp, OpRow } from "./op.ts";
import { matches } from "./predicates.ts";
import type { Files } from "./trace.ts";

/** A change of a task: without a row a delete, without an id a new row. */
export interface Change {
  readonly id?: OpRow;
  readonly row?: OpRow;
}

/** A table of a scenario: the rows that readers see, one file for each task that added some. */
export class TableState {
  readonly name: string;
  readonly columns: readonly string[];
  readonly #partitionedBy: readonly string[];
  #files = new Map<number, readonly OpRow[]>();
  /** Rows of task attempts that committed, by task id. Readers do not see them. */
  readonly #staged = new Map<number, readonly OpRow[]>();
  /** Changes of task attempts that committed, by task id. */
  readonly #changes = new Map<number, readonly Change[]>();
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

  stageChanges(taskId: number, changes: readonly Change[]): void {
    this.#changes.set(taskId, [...changes]);
  }

  get fileNumbers(): readonly number[] {
    return [...this.#files.keys()];
  }

  /** The files that have a row for which all predicates hold. */
  filesWith(predicates: readonly Predicate[]): readonly number[] {
    const hasMatch = (rows: readonly OpRow[]) => rows.some((row) => matches(predicates, this.columns, row));
    return [...this.#files].filter(([, rows]) => hasMatch(rows)).map(([number]) => number);
  }

  /** Returns the rows of a file in these columns, of which some may be metadata columns. */
  scanned(file: number, columns: readonly string[]): readonly OpRow[] {
    return (this.#files.get(file) ?? []).map((row, i) =>
      columns.map((name) => this.#valueOf(name, file, i, row)),
    );
  }

  #valueOf(name: string, file: number, position: number, row: OpRow): JsonValue {
    if (name === "_file") return file;
    if (name === "_pos") return position;
    if (name === "_seq") return 100 + Number(row[this.columns.indexOf("id")]);
    return row[this.columns.indexOf(name)] ?? null;
  }

  /** Applies the changes of these task attempts. New rows of a task are one file. */
  commitDelta(taskIds: readonly number[], rowId: readonly string[]): void {
    const changes = taskIds.map((taskId) => this.#changes.get(taskId) ?? []);
    const byId = new Map(
      changes
        .flat()
        .flatMap((change) => (change.id === undefined ? [] : [[JSON.stringify(change.id), change] as const])),
    );
    const files = [...this.#files].map(([number, rows]) => {
      const changed = rows.flatMap((row, i) => {
        const id = JSON.stringify(rowId.map((name) => this.#valueOf(name, number, i, row)));
        const change = byId.get(id);
        if (change === undefined) return [row];
        return change.row === undefined ? [] : [change.row];
      });
      return [number, changed] as const;
    });
    this.#files = new Map(files.filter(([, rows]) => rows.length > 0));
    this.#addFiles(changes.map((list) => list.filter(({ id }) => id === undefined)));
    for (const taskId of taskIds) this.drop(taskId);
  }

  /** Puts the rows of these task attempts in place of the files; of all, if nothing was scanned. */
  replaceFiles(files: readonly number[] | undefined, taskIds: readonly number[]): void {
    for (const file of files ?? this.fileNumbers) this.#files.delete(file);
    this.#addFiles(taskIds.map((taskId) => this.#changes.get(taskId) ?? []));
    for (const taskId of taskIds) this.drop(taskId);
  }

  #addFiles(lists: readonly (readonly Change[])[]): void {
    for (const list of lists) {
      const rows = list.flatMap(({ row }) => (row === undefined ? [] : [row]));
      if (rows.length > 0) this.#files.set(this.#next++, rows);
    }
  }

  drop(taskId: number): void {
    this.#changes.delete(taskId);
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
