import { type RecordBatch, Table, tableFromIPC, tableToIPC } from "apache-arrow";
import { SPARK_PYTHON, sparkJars } from "../../../scripts/setup-iceberg.ts";
import { PYTHON } from "../../../scripts/setup-python.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import type { CatalogAddress } from "./catalog-address.ts";
import { PythonProcess } from "./python-process.ts";

/** A row in the form of `canonicalRows`. */
export type Row = Readonly<Record<string, unknown>>;

/** The part of a table to read. */
export interface Selection {
  /** A condition in SQL. */
  readonly filter?: string;
  readonly snapshot?: string;
  readonly columns?: readonly string[];
}

/** A data file that a query reads. */
export interface PlannedFile {
  readonly path: string;
  readonly rows: number;
  /** The delete files that apply to it. */
  readonly deletes: readonly string[];
}

/** A data file as its manifest describes it. Statistics are by field id; bounds are hex. */
export interface FileStatistics {
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  readonly partition: Readonly<Record<string, string | null>>;
  readonly lower: Readonly<Record<string, string>>;
  readonly upper: Readonly<Record<string, string>>;
  readonly nulls: Readonly<Record<string, number>>;
  readonly values: Readonly<Record<string, number>>;
  readonly splits: readonly number[];
}

export interface TableDescription {
  /** Location of the current metadata file. */
  readonly metadata: string;
  readonly location: string;
  readonly uuid: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly schema: unknown;
  /** Id of the current snapshot; null for an empty table. */
  readonly head: string | null;
  readonly snapshots: readonly {
    readonly id: string;
    readonly parent: string | null;
    readonly sequence: number;
    readonly operation: string;
    readonly summary: Readonly<Record<string, string>>;
  }[];
}

/**
 * Returns rows in one form for all readers, as `rowsOf` makes them. Numbers that JSON lacks (NaN,
 * the infinities and -0) are strings.
 */
export function canonicalRows(batches: Iterable<RecordBatch>): Row[] {
  return [...batches].flatMap((batch) => [...rowsOf(batch)]).map((row) => plain(row) as Row);
}

function plain(value: unknown): unknown {
  if (typeof value === "number") {
    return Object.is(value, -0) ? "-0" : Number.isFinite(value) ? value : String(value);
  }
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]));
}

/** Sorts rows by the text of their values, because a table has no order. */
export function sorted(rows: readonly Row[]): Row[] {
  return rows
    .map((row) => ({ row, key: JSON.stringify(row) }))
    .sort((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key)))
    .map(({ row }) => row);
}

/** Encodes record batches of one schema for Python. */
function encode(batches: readonly RecordBatch[]): string {
  return Buffer.from(tableToIPC(new Table([...batches]), "stream")).toString("base64");
}

function decode(text: string): Row[] {
  return canonicalRows(tableFromIPC(Buffer.from(text, "base64")).batches);
}

/** Reads and writes tables by pyiceberg and by DuckDB, in one Python process. */
export class PythonReaders {
  readonly #python = new PythonProcess(PYTHON, new URL("python/readers.py", import.meta.url));

  /** Reads rows by pyiceberg. */
  async read(catalog: CatalogAddress, name: string, selection: Selection = {}): Promise<Row[]> {
    return decode(await this.#ask("read", catalog, name, { ...selection }));
  }

  /** Returns the data files that pyiceberg reads for a query. */
  async plan(catalog: CatalogAddress, name: string, selection: Selection = {}): Promise<PlannedFile[]> {
    return await this.#ask("plan", catalog, name, { ...selection });
  }

  /** Returns the data files of the current snapshot and their statistics. */
  async files(catalog: CatalogAddress, name: string): Promise<FileStatistics[]> {
    return await this.#ask("files", catalog, name);
  }

  async describe(catalog: CatalogAddress, name: string): Promise<TableDescription> {
    return await this.#ask("describe", catalog, name);
  }

  /** Appends rows by pyiceberg. */
  async append(catalog: CatalogAddress, name: string, batches: readonly RecordBatch[]): Promise<void> {
    await this.#ask("append", catalog, name, { data: encode(batches) });
  }

  /** Deletes rows by pyiceberg, which writes their files again. */
  async delete(catalog: CatalogAddress, name: string, filter: string): Promise<void> {
    await this.#ask("delete", catalog, name, { filter });
  }

  /** Expires snapshots by pyiceberg. */
  async expire(catalog: CatalogAddress, name: string, snapshots: readonly string[]): Promise<void> {
    await this.#ask("expire", catalog, name, { snapshots });
  }

  /** Sets the current snapshot by pyiceberg. */
  async rollBack(catalog: CatalogAddress, name: string, snapshot: string): Promise<void> {
    await this.#ask("roll back", catalog, name, { snapshot });
  }

  /** Creates a table by pyiceberg, with the columns of record batches. */
  async create(
    catalog: CatalogAddress,
    name: string,
    batches: readonly RecordBatch[],
    properties: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    await this.#ask("create", catalog, name, { data: encode(batches), properties });
  }

  /**
   * Runs statements in DuckDB and returns the rows of the last one. Connections are kept by their
   * `setup`, statements that run once in a new connection.
   */
  async sql(statements: readonly string[], setup: readonly string[] = []): Promise<Row[]> {
    const answer = await this.#python.ask<string | null>({ do: "sql", statements, setup });
    return answer === null ? [] : decode(answer);
  }

  /** Reads rows by DuckDB from a metadata file. */
  async duckdb(metadata: string, { filter, snapshot, columns }: Selection = {}): Promise<Row[]> {
    const at = snapshot === undefined ? "" : `, snapshot_from_id => ${snapshot}`;
    const where = filter === undefined ? "" : ` WHERE ${filter}`;
    const names = columns?.map((column) => `"${column}"`).join(", ") ?? "*";
    return await this.sql([`SELECT ${names} FROM iceberg_scan('${metadata}'${at})${where}`]);
  }

  /**
   * Runs statements in DuckDB on the tables of a REST catalog, which have names such as
   * `rest.shop.orders`. DuckDB cannot open a SQL catalog: start a REST catalog in front of it.
   */
  async duckdbRest(port: number, ...statements: readonly string[]): Promise<Row[]> {
    const options = `TYPE iceberg, ENDPOINT 'http://127.0.0.1:${port}', AUTHORIZATION_TYPE 'none'`;
    const attach = `ATTACH '' AS rest (${options})`;
    return await this.sql([attach, ...statements, "DETACH rest"]);
  }

  async #ask<T>(
    operation: string,
    { name: catalogName, pyiceberg }: CatalogAddress,
    name: string,
    rest: Readonly<Record<string, unknown>> = {},
  ): Promise<T> {
    const catalog = { name: catalogName, properties: pyiceberg };
    return await this.#python.ask<T>({ do: operation, catalog, name, ...rest });
  }

  async stop(): Promise<void> {
    await this.#python.stop();
  }
}

/** Reads and writes tables by Spark. Starting it takes some seconds. */
export class SparkReader {
  readonly #python = new PythonProcess(
    SPARK_PYTHON,
    new URL("python/spark.py", import.meta.url),
    sparkJars(),
  );

  /**
   * Runs statements and returns the rows of the last one. Tables have names such as
   * `millrace.shop.orders`, and procedures `millrace.system.expire_snapshots`.
   */
  async sql({ name, spark }: CatalogAddress, ...statements: readonly string[]): Promise<Row[]> {
    const catalog = { name, properties: spark };
    return decode(await this.#python.ask<string>({ do: "sql", catalog, statements }));
  }

  async read(
    catalog: CatalogAddress,
    name: string,
    { filter, snapshot, columns }: Selection = {},
  ): Promise<Row[]> {
    const at = snapshot === undefined ? "" : ` VERSION AS OF ${snapshot}`;
    const where = filter === undefined ? "" : ` WHERE ${filter}`;
    const names = columns?.map((column) => `\`${column}\``).join(", ") ?? "*";
    return await this.sql(catalog, `SELECT ${names} FROM ${catalog.name}.${name}${at}${where}`);
  }

  /** Rewrites all data files of a table into as few as possible. */
  async compact(catalog: CatalogAddress, name: string): Promise<void> {
    const options = "map('rewrite-all', 'true')";
    const procedure = `${catalog.name}.system.rewrite_data_files`;
    await this.sql(catalog, `CALL ${procedure}(table => '${name}', options => ${options})`);
  }

  /** Expires all snapshots but the current one. */
  async expire(catalog: CatalogAddress, name: string): Promise<void> {
    const when = "older_than => TIMESTAMP '2100-01-01 00:00:00', retain_last => 1";
    await this.sql(catalog, `CALL ${catalog.name}.system.expire_snapshots(table => '${name}', ${when})`);
  }

  async stop(): Promise<void> {
    await this.#python.stop();
  }
}
