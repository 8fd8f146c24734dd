import type { Schema } from "apache-arrow";
import { DataSourceReader } from "../../contract/batch-reader.ts";
import type { TaskContext } from "../../contract/context.ts";
import type { Filter } from "../../contract/filters.ts";
import type { Row } from "../../contract/stream-reader.ts";
import type { Server } from "../kit/postgres/connection.ts";
import type { Session } from "../kit/postgres/session.ts";
import { type Cursor, cursorOf, Parameters, type Position, splitRows } from "./cursor.ts";
import { conditionOf } from "./filters.ts";
import { escapeIdentifier } from "./identifier.ts";
import type { ParsedOptions } from "./options.ts";
import { readRows } from "./read.ts";
import { readTable, type Table } from "./table.ts";

/** The rows after position `after` (exclusive) up to `upTo` (inclusive). `null` means no bound. */
export type Slice = { readonly after: Position | null; readonly upTo: Position | null };

/** Reads all rows of a table. If there is a cursor column, they are split into partitions. */
export class PostgresReader extends DataSourceReader<Slice> {
  readonly #schema: Schema;
  readonly #options: ParsedOptions;
  readonly #server: Server;
  readonly #compared: Schema;
  #filters: readonly Filter[] = [];

  /** `compared` has the columns that filters may name, if these are not those of the rows. */
  constructor(schema: Schema, options: ParsedOptions, server: Server, compared: Schema = schema) {
    super();
    this.#schema = schema;
    this.#compared = compared;
    this.#options = options;
    this.#server = server;
  }

  override async pushFilters(filters: readonly Filter[]): Promise<Filter[]> {
    const table = await this.#server.use((session) => readTable(session, this.#options.table));
    const isDone = (filter: Filter) =>
      conditionOf(filter, table, this.#compared, new Parameters()) !== undefined;
    this.#filters = filters.filter(isDone);
    return filters.filter((filter) => !isDone(filter));
  }

  override async partitions(): Promise<Slice[]> {
    return await this.#server.use(async (session) => {
      const table = await readTable(session, this.#options.table);
      const cursor = cursorOf(table, this.#options);
      const ends = cursor === undefined ? [] : await this.#split(session, table, cursor);
      const borders = [null, ...ends, null];
      return borders.slice(1).map((upTo, i) => ({ after: borders[i] ?? null, upTo }));
    });
  }

  async #split(session: Session, table: Table, cursor: Cursor): Promise<readonly Position[]> {
    return await session.transaction("READ ONLY", async () => {
      const parameters = new Parameters();
      const conditions = [...this.#conditions(table, parameters), cursor.after({}, parameters)];
      return (await splitRows(session, cursor, conditions, parameters, this.#options)) ?? [];
    });
  }

  override read({ after, upTo }: Slice, task: TaskContext): AsyncGenerator<Row> {
    return this.#server.stream(task.signal, async (session) => {
      const table = await readTable(session, this.#options.table);
      const cursor = cursorOf(table, this.#options);
      const parameters = new Parameters();
      const conditions = this.#conditions(table, parameters);
      if (cursor !== undefined && upTo !== null) conditions.push(cursor.upTo(upTo, parameters));
      if (cursor !== undefined && after !== null) {
        // The last slice also has the rows whose cursor column is null.
        const nowhere = upTo === null ? ` OR ${escapeIdentifier(cursor.columns[0].name)} IS NULL` : "";
        conditions.push(`(${cursor.after(after, parameters)}${nowhere})`);
      }
      const where = conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`;
      const order = cursor === undefined ? "" : ` ORDER BY ${cursor.order()}`;
      const selection = { from: `FROM ${table.sql}${where}${order}`, values: parameters.values };
      return readRows(session, this.#schema, selection, this.#options.fetchSize);
    });
  }

  #conditions(table: Table, parameters: Parameters): string[] {
    return this.#filters.flatMap((filter) => conditionOf(filter, table, this.#compared, parameters) ?? []);
  }
}
