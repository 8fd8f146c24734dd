import { pick } from "../../faults/chance.ts";
import type { Kill } from "../support/calls.ts";
import type { CatalogAddress } from "../support/catalog-address.ts";
import { ownRows } from "../support/own-table.ts";
import type { PythonReaders, Row, SparkReader } from "../support/readers.ts";
import type { WorkerRequest } from "./child.ts";
import { type Column, expectedRows, type Rows } from "./model.ts";
import type { Outcome, Worker } from "./worker.ts";

/** What all histories of a process share. */
export interface Tools {
  readonly catalog: CatalogAddress;
  readonly python: PythonReaders;
  readonly worker: Worker;
  /** Port of the REST catalog in front of the SQL catalog, by which DuckDB writes. */
  readonly restPort: number;
  /** Absent: no step uses Spark. */
  readonly spark?: SparkReader;
}

/** A request without what is equal in all requests of a history. */
export type WorkerPart = WorkerRequest extends infer R
  ? R extends unknown
    ? Omit<R, "table" | "catalog" | "pipeline">
    : never
  : never;

/** The content that a table must have. */
interface Content {
  readonly rows: Rows;
  readonly columns: readonly Column[];
}

/** The table of a history: what it must contain, and the comparison with what readers find. */
export class HistoryTable {
  readonly tools: Tools;
  readonly name: string;
  readonly random: () => number;
  /** The steps so far, for messages. */
  readonly steps: string[] = [];
  rows: Rows = new Map();
  columns: readonly Column[] = [];
  /** The content at each snapshot that was the current one. */
  readonly bySnapshot: Map<string, Content> = new Map();
  #lastId = 0;

  constructor(tools: Tools, name: string, random: () => number) {
    this.tools = tools;
    this.name = name;
    this.random = random;
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  /** Returns a whole number from 0 to `limit` (exclusive). */
  below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  pick<T>(from: readonly T[]): T {
    return pick(from, this.random);
  }

  note(step: string): void {
    this.steps.push(step);
  }

  /** Makes a row with an id that no other row has. */
  newRow(columns: readonly Column[]): Row {
    const id = ++this.#lastId;
    const newValue = ({ type }: Column) => {
      if (this.chance(0.2)) return null;
      if (type === "string") return `é${id}`;
      return type === "int" ? -id : String(9007199254740993n + BigInt(id));
    };
    return { id, ...Object.fromEntries(columns.map((column) => [column.name, newValue(column)])) };
  }

  add(rows: readonly Row[]): void {
    this.rows = withRows(this.rows, rows);
  }

  /** Chooses a call at which the writing process is killed. */
  newKill(mostCalls: number): Kill {
    return { call: 1 + this.below(mostCalls), moment: this.pick(["before", "after"]) };
  }

  /** Asks the writing process, and notes the step. */
  async ask(pipeline: string, what: string, request: WorkerPart): Promise<Outcome> {
    const { kill } = request;
    this.note(kill === undefined ? what : `${what}, killed ${kill.moment} call ${kill.call}`);
    const { catalog, worker } = this.tools;
    const whole = { ...request, table: this.name, catalog: catalog.millrace, pipeline };
    const outcome = await worker.ask(whole as WorkerRequest);
    if (kill !== undefined && outcome.kind !== "killed") this.note("(it ended before that call)");
    return outcome;
  }

  /** Reads the rows by pyiceberg. */
  async seen(): Promise<Row[]> {
    return byId(await this.tools.python.read(this.tools.catalog, this.name));
  }

  /** Throws if a reader finds other rows than expected. */
  async verify(): Promise<void> {
    const { catalog, python } = this.tools;
    const expected = expectedRows(this);
    const { metadata, head } = await python.describe(catalog, this.name);
    compare("pyiceberg", await this.seen(), expected);
    compare("DuckDB", byId(await python.duckdb(metadata)), expected);
    compare("Millrace", byId(await ownRows({ table: this.name, catalog: catalog.millrace })), expected);
    if (head !== null && !this.bySnapshot.has(head))
      this.bySnapshot.set(head, { rows: this.rows, columns: this.columns });
  }

  /** Throws if a snapshot that the table still has contains other rows than it had. */
  async verifySnapshots(): Promise<void> {
    const { catalog, python } = this.tools;
    const { snapshots } = await python.describe(catalog, this.name);
    for (const { id } of snapshots) {
      const content = this.bySnapshot.get(id);
      if (content === undefined) continue;
      const expected = expectedRows(content);
      const found = byId(await python.read(catalog, this.name, { snapshot: id }));
      compare(`pyiceberg, snapshot ${id}`, found, expected);
      const own = await ownRows({ table: this.name, catalog: catalog.millrace }, id);
      compare(`Millrace, snapshot ${id}`, byId(own), expected);
    }
    if (this.tools.spark === undefined) return;
    compare("Spark", byId(await this.tools.spark.read(catalog, this.name)), expectedRows(this));
  }
}

export function withRows(rows: Rows, added: readonly Row[]): Rows {
  return new Map([...rows, ...added.map((row) => [Number(row["id"]), row] as const)]);
}

export function idsOf(rows: readonly Row[]): string {
  return `[${rows.map(({ id }) => String(id)).join(" ")}]`;
}

function byId(rows: readonly Row[]): Row[] {
  return rows.toSorted((a, b) => Number(a["id"]) - Number(b["id"]));
}

function compare(reader: string, found: readonly Row[], expected: readonly Row[]): void {
  const [a, b] = [found, expected].map((rows) => rows.map((row) => textOf(row)));
  if (JSON.stringify(a) === JSON.stringify(b)) return;
  const extra = a?.filter((row, i) => !b?.includes(row) || a.indexOf(row) !== i) ?? [];
  const missing = b?.filter((row) => !a?.includes(row)) ?? [];
  throw new Error(
    `${reader} finds ${found.length} rows instead of ${expected.length}; ` +
      `too much: ${extra.slice(0, 5).join(" ") || "-"}; missing: ${missing.slice(0, 5).join(" ") || "-"}`,
  );
}

/** Columns have no order here: after a race they may have been added in another one. */
function textOf(row: Row): string {
  return JSON.stringify(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)));
}
