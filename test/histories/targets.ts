// biome-ignore-all lint/suspicious/noThenProperty: clauses have this word of SQL
import type { Client } from "pg";
import {
  Memory,
  type MemoryOptions,
  MemoryStream,
  memoryTable,
} from "../../shared/connectors/memory/index.ts";
import { Postgres, type PostgresOptions } from "../../shared/connectors/postgres/index.ts";
import type { Filter } from "../../shared/contract/filters.ts";
import { optional } from "../../shared/contract/optional.ts";
import type { BatchPipeline, Pipeline } from "../../shared/contract/pipeline.ts";
import { pipeline } from "../../shared/contract/pipeline.ts";
import type { MergeClauses } from "../../shared/contract/row-command.ts";
import type { TableTarget } from "../../shared/contract/table-target.ts";
import type { Predicate } from "../../shared/contract/write/predicates.ts";
import type { SupportsWrite } from "../../shared/contract/write/table.ts";
import type { Database } from "../postgres/databases.ts";
import type { Condition } from "./conditions.ts";
import { failOnce, Runs, Source } from "./runs.ts";
import type { Assigned, Clause, MergeStep, Step } from "./steps.ts";
import {
  type Column,
  type ColumnType,
  canonicalRows,
  ddlOf,
  type HistoryRow,
  type TableShape,
} from "./tables.ts";

/** A table that a history changes through the engine. */
export interface Target {
  readonly name: string;
  /** True if it refuses two rows with one key. */
  readonly refusesDuplicates: boolean;
  run(step: Step): Promise<void>;
  /** Returns the rows in canonical form, sorted. */
  rows(): Promise<readonly string[]>;
}

/** A table that cannot delete by itself, so that a delete is a row-level operation. */
class MemoryRows extends Memory {
  static override readonly name = "memory-rows";

  override table(schema: never): SupportsWrite {
    return withoutDelete(super.table(schema));
  }
}

class PostgresRows extends Postgres {
  static override readonly name = "postgres-rows";

  override table(schema: never): ReturnType<Postgres["table"]> {
    return withoutDelete(super.table(schema));
  }
}

function withoutDelete<T extends object>(table: T): T {
  for (const method of ["deleteWhere", "truncateTable"])
    Object.defineProperty(table, method, { value: undefined });
  return table;
}

let names = 0;
/** Returns a name that no other table, stream or pipeline has. */
export function freshName(kind: string): string {
  return `${kind}_${names++}`;
}

/** Returns the name of a new stream with these rows. */
export function streamOf(columns: readonly Column[], rows: readonly HistoryRow[]): string {
  const name = freshName("rows");
  streams.set(name, new MemoryStream(name, ddlOf(columns)));
  addTo(name, rows);
  return name;
}

const streams = new Map<string, MemoryStream>();

/** Adds rows to a stream. */
export function addTo(stream: string, rows: readonly HistoryRow[]): void {
  streams.get(stream)?.addData(rows);
}

export class MemoryTarget implements Target {
  readonly name: string;
  readonly refusesDuplicates = false;
  readonly #shape: TableShape;
  readonly #options: MemoryOptions & { readonly table: string };

  constructor(shape: TableShape, options: Pick<MemoryOptions, "rowLevel" | "rowId">) {
    const { rowLevel, rowId } = options;
    this.name = `memory, ${rowLevel} form${rowId === undefined ? "" : " by key"}`;
    this.#shape = shape;
    this.#options = { ...options, table: freshName("t"), schema: ddlOf(shape.columns) };
  }

  async run(step: Step): Promise<void> {
    const { schema: _, ...options } = this.#options;
    const format = step.how.isDirect ? Memory : MemoryRows;
    const command = pipeline(freshName("p")).table(format, this.#options);
    const made = pipelineOf(step, this.#shape, command, (source) => {
      const partitionBy = step.kind === "partitions" ? { partitionBy: step.partitionBy } : {};
      return source.write.format(Memory).options({ ...options, ...partitionBy });
    });
    await new Runs().run(made, step.how.kill);
  }

  async rows(): Promise<readonly string[]> {
    return canonicalRows(this.#shape.columns, memoryTable(this.#options.table).rows());
  }
}

/** A server's database, and a session that looks at its tables. */
export interface PostgresDatabase {
  readonly database: Database;
  readonly session: Client;
}

const POSTGRES_TYPES: Readonly<Record<ColumnType, string>> = {
  bigint: "bigint",
  int: "integer",
  string: "text",
  double: "double precision",
  timestamp: "timestamptz",
};

export class PostgresTarget implements Target {
  readonly name = "postgres";
  readonly refusesDuplicates = true;
  readonly #db: PostgresDatabase;
  readonly #shape: TableShape;
  readonly #table = freshName("t");

  private constructor(db: PostgresDatabase, shape: TableShape) {
    this.#db = db;
    this.#shape = shape;
  }

  static async create(db: PostgresDatabase, shape: TableShape): Promise<PostgresTarget> {
    const target = new PostgresTarget(db, shape);
    const columns = shape.columns.map(
      ({ name, type, nullable }) => `"${name}" ${POSTGRES_TYPES[type]}${nullable ? "" : " NOT NULL"}`,
    );
    const keys = shape.keys.map((key) => `"${key}"`).join(", ");
    await db.session.query(`CREATE TABLE ${target.#table} (${columns.join(", ")}, PRIMARY KEY (${keys}))`);
    return target;
  }

  async run(step: Step): Promise<void> {
    const options: PostgresOptions = { table: this.#table };
    const format = step.how.isDirect ? Postgres : PostgresRows;
    const command = pipeline(freshName("p")).table(format, options);
    const made = pipelineOf(step, this.#shape, command, (source) => {
      const partitionBy = step.kind === "partitions" ? { partitionBy: step.partitionBy } : {};
      return source.write.format(Postgres).options({ ...options, ...partitionBy });
    });
    await new Runs(this.#db.database.env).run(made, step.how.kill);
  }

  async rows(): Promise<readonly string[]> {
    return await postgresRows(this.#db, this.#shape.columns, this.#table);
  }

  async drop(): Promise<void> {
    await this.#db.session.query(`DROP TABLE ${this.#table}`);
  }
}

export async function postgresRows(
  { session }: PostgresDatabase,
  columns: readonly Column[],
  table: string,
): Promise<readonly string[]> {
  const selected = columns.map(({ name, type }) =>
    type === "timestamp"
      ? `to_char("${name}" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "${name}"`
      : `"${name}"`,
  );
  const { rows } = await session.query<object>(`SELECT ${selected.join(", ")} FROM ${table}`);
  return canonicalRows(columns, rows);
}

type Reading = ReturnType<typeof readingOf>;
type Writing = (source: Reading) => unknown;

function readingOf(columns: readonly Column[], rows: readonly HistoryRow[], { kind, how }: Step) {
  const stream = streamOf(columns, rows);
  if (how.failsOnce) failOnce(stream);
  const source = pipeline(freshName("p"))
    .read.format(Source)
    .options({ stream, numPartitions: how.numPartitions });
  const [first] = columns;
  // The engine exchanges the rows of a merge itself.
  return how.repartition === undefined || first === undefined || kind === "merge"
    ? source
    : source.repartition(how.repartition, first.name);
}

/** Returns the pipeline that does what a step says. */
function pipelineOf(
  step: Step,
  { columns }: TableShape,
  table: TableTarget<unknown>,
  writing: Writing,
): Pipeline {
  if (step.kind === "delete" || step.kind === "update") return commandOf(step, table);
  if (step.kind === "merge") {
    const source = readingOf(step.columns, step.rows, step);
    return table.merge(source as never, clausesOf(step)) as Pipeline;
  }
  const write = writing(readingOf(columns, step.rows, step)) as BatchPipeline<never>;
  if (step.kind === "append") return write.mode("append");
  if (step.kind === "truncate") return write.truncate();
  if (step.kind === "partitions") return write.overwritePartitions();
  return write.overwrite(conditionOf(step, step.where));
}

function commandOf(
  step: Extract<Step, { readonly kind: "delete" | "update" }>,
  table: TableTarget<unknown>,
): Pipeline {
  const where = step.where === undefined ? undefined : conditionOf(step, step.where);
  if (step.kind === "delete") return table.deleteWhere(where) as Pipeline;
  return table.update({ set: setOf(step.set), ...optional("where", where) }) as Pipeline;
}

function conditionOf({ how }: Step, { engine, filter }: Condition): Filter | Predicate {
  return how.usesFilters && filter !== undefined ? filter : engine;
}

function setOf(set: readonly Assigned[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(set.map(({ column, value }) => [column, value.engine]));
}

function clausesOf({ on, matched, notMatched, notMatchedBySource }: MergeStep): MergeClauses {
  const clauses = (list: readonly Clause[], action: "update" | "insert") =>
    list.map(({ when, set }) => ({
      ...(when === undefined ? {} : { when: when.engine }),
      ...(set === undefined ? { then: "delete" } : { then: action, set: set === "*" ? set : setOf(set) }),
    }));
  return {
    on: "engine" in on ? on.engine : on,
    whenMatched: clauses(matched, "update"),
    whenNotMatched: clauses(notMatched, "insert"),
    whenNotMatchedBySource: clauses(notMatchedBySource, "update"),
  } as MergeClauses;
}
