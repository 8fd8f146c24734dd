import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import type { Condition } from "./conditions.ts";
import type { Assigned, Clause, MergeStep, Step } from "./steps.ts";
import { type Column, canonical, duckDbType, type HistoryRow, sqlOf, type TableShape } from "./tables.ts";

/** What a step does to the table: it may also be an error. */
export type Outcome = "done" | "violation" | "duplicates";

/** A session of DuckDB, in which SQL says what the rows are. */
export class DuckDb {
  readonly #connection: DuckDBConnection;

  private constructor(connection: DuckDBConnection) {
    this.#connection = connection;
  }

  static async open(): Promise<DuckDb> {
    const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
    return new DuckDb(await instance.connect());
  }

  close(): void {
    this.#connection.closeSync();
  }

  async run(sql: string): Promise<void> {
    await this.#connection.run(sql);
  }

  async all(sql: string): Promise<readonly (readonly unknown[])[]> {
    return (await this.#connection.runAndReadAll(sql)).getRowsJson();
  }

  /** Creates a table with these rows, in place of an earlier one. */
  async create(name: string, columns: readonly Column[], rows: readonly HistoryRow[] = []): Promise<void> {
    const types = columns.map((column) => `${column.name} ${duckDbType(column.type)}`);
    await this.run(`CREATE OR REPLACE TABLE ${name} (${types.join(", ")})`);
    await this.insert(name, columns, rows);
  }

  async insert(name: string, columns: readonly Column[], rows: readonly HistoryRow[]): Promise<void> {
    if (rows.length === 0) return;
    const values = rows.map(
      (row) => `(${columns.map((column) => sqlOf(row[column.name] ?? null, column.type)).join(", ")})`,
    );
    await this.run(`INSERT INTO ${name} VALUES ${values.join(", ")}`);
  }

  /** Returns the rows of a query in canonical form, sorted. */
  async rows(columns: readonly Column[], from: string): Promise<readonly string[]> {
    const selected = columns.map(({ name, type }) =>
      type === "timestamp" ? `strftime("${name}", '%Y-%m-%dT%H:%M:%S.%fZ')` : `CAST("${name}" AS VARCHAR)`,
    );
    const found = await this.all(`SELECT ${selected.join(", ")} FROM ${from}`);
    return found.map((row) => columns.map(({ type }, i) => canonical(row[i], type)).join(", ")).sort();
  }
}

/** The table `t` of a history of commands. */
export class ReferenceTable {
  readonly #db: DuckDb;
  readonly #shape: TableShape;

  private constructor(db: DuckDb, shape: TableShape) {
    this.#db = db;
    this.#shape = shape;
  }

  static async create(db: DuckDb, shape: TableShape): Promise<ReferenceTable> {
    await db.create("t", shape.columns);
    return new ReferenceTable(db, shape);
  }

  rows(): Promise<readonly string[]> {
    return this.#db.rows(this.#shape.columns, "t");
  }

  /** Applies a step. The table stays as it is if the step is an error. */
  async apply(step: Step): Promise<Outcome> {
    let end = "ROLLBACK";
    await this.#db.run("BEGIN");
    try {
      const outcome = await this.#applied(step);
      if (outcome === "done") end = "COMMIT";
      return outcome;
    } finally {
      await this.#db.run(end);
    }
  }

  async #applied(step: Step): Promise<Outcome> {
    if (step.kind === "merge") {
      await this.#db.create("s", step.columns, step.rows);
      if (await this.#isViolation(step)) return "violation";
      await this.#db.run(mergeSql(step, this.#shape));
    } else {
      if (step.kind === "partitions") await this.#db.create("n", this.#shape.columns, step.rows);
      const sql = changeSql(step);
      if (sql !== undefined) await this.#db.run(sql);
      if ("rows" in step) await this.#db.insert("t", this.#shape.columns, step.rows);
    }
    return (await this.#hasDuplicates()) ? "duplicates" : "done";
  }

  /** Several rows of the source for one of the table, unless all that match are deleted anyway. */
  async #isViolation({ on, matched }: MergeStep): Promise<boolean> {
    const [only, ...more] = matched;
    const isDelete = more.length === 0 && only?.when === undefined && only?.set === undefined;
    if (isDelete) return false;
    const found = await this.#db.all(
      `SELECT t.rowid FROM t JOIN s ON ${onSql(on)} GROUP BY t.rowid HAVING count(*) > 1 LIMIT 1`,
    );
    return found.length > 0;
  }

  async #hasDuplicates(): Promise<boolean> {
    const { keys } = this.#shape;
    if (keys.length === 0) return false;
    const names = keys.join(", ");
    return (await this.#db.all(`SELECT 1 FROM t GROUP BY ${names} HAVING count(*) > 1 LIMIT 1`)).length > 0;
  }
}

/** Returns what happens before new rows come. */
export function changeSql(step: Exclude<Step, MergeStep>): string | undefined {
  switch (step.kind) {
    case "truncate":
      return "DELETE FROM t";
    case "overwrite":
      return `DELETE FROM t WHERE ${step.where.sql}`;
    case "partitions": {
      const equal = step.partitionBy.map((name) => `n.${name} IS NOT DISTINCT FROM t.${name}`);
      return `DELETE FROM t WHERE EXISTS (SELECT 1 FROM n WHERE ${equal.join(" AND ")})`;
    }
    case "delete":
      return `DELETE FROM t${whereSql(step.where)}`;
    case "update":
      return `UPDATE t SET ${setSql(step.set)}${whereSql(step.where)}`;
    default:
      return undefined;
  }
}

export function mergeSql(step: MergeStep, { columns }: TableShape): string {
  const names = columns.map(({ name }) => name);
  const star = (set: readonly Assigned[]) => setSql(set);
  const changed = ({ set }: Clause) =>
    set === undefined
      ? "DELETE"
      : `UPDATE SET ${set === "*" ? names.map((name) => `${name} = s.${name}`).join(", ") : star(set)}`;
  const inserted = ({ set }: Clause) => {
    const given = set === "*" || set === undefined ? undefined : set;
    const into = given?.map(({ column }) => column) ?? names;
    const values = given?.map(({ value }) => value.sql) ?? names.map((name) => `s.${name}`);
    return `INSERT (${into.join(", ")}) VALUES (${values.join(", ")})`;
  };
  const list = (kind: string, clauses: readonly Clause[], action: (clause: Clause) => string) =>
    clauses.map((clause) => {
      const when = clause.when === undefined ? "" : ` AND ${clause.when.sql}`;
      return `WHEN ${kind}${when} THEN ${action(clause)}`;
    });
  return [
    `MERGE INTO t USING s ON ${onSql(step.on)}`,
    ...list("MATCHED", step.matched, changed),
    ...list("NOT MATCHED BY TARGET", step.notMatched, inserted),
    ...list("NOT MATCHED BY SOURCE", step.notMatchedBySource, changed),
  ].join(" ");
}

function onSql(on: MergeStep["on"]): string {
  return "sql" in on ? on.sql : on.map((name) => `t.${name} = s.${name}`).join(" AND ");
}

function whereSql(where: Condition | undefined): string {
  return where === undefined ? "" : ` WHERE ${where.sql}`;
}

function setSql(set: readonly Assigned[]): string {
  return set.map(({ column, value }) => `${column} = ${value.sql}`).join(", ");
}
