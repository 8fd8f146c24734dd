import type { RecordBatch, Schema } from "apache-arrow";
import { rowsOf } from "../../arrow/rows.ts";
import type { BadRowSink } from "../../contract/bad-rows.ts";
import { MillraceError } from "../../contract/errors.ts";
import { isOfRows } from "../kit/postgres/errors.ts";
import type { Session } from "../kit/postgres/session.ts";
import { valuesAt } from "../kit/refused-rows.ts";
import { insertOf, MAX_CHARACTERS, MAX_ROWS } from "./load.ts";
import { jsonRows } from "./sent-rows.ts";
import type { Table } from "./table.ts";

/** A row that was not sent yet. */
interface Waiting {
  readonly text: string;
  readonly batch: RecordBatch;
  readonly index: number;
  readonly partition: number;
  /** Number of the row among those that its task has staged, from 1. */
  readonly row: number;
}

/**
 * Inserts rows like `Loader`, but leaves out those that the server refuses. If it refuses many at
 * once, each half of them is sent alone, until the rows are found.
 */
export class CarefulLoader {
  readonly #session: Session;
  readonly #doing: string;
  readonly #sql: string;
  readonly #textOf: (row: Record<string, unknown>) => string;
  readonly #refused: BadRowSink;
  readonly #staged = new Map<number, number>();
  #waiting: Waiting[] = [];
  #characters = 0;

  /** Prepares an insert into the table. Error: `POSTGRES_TABLE_MISMATCH`. */
  constructor(
    session: Session,
    table: Table,
    schema: Schema,
    keyColumns: readonly string[],
    refused: BadRowSink,
  ) {
    this.#session = session;
    this.#doing = `writing to ${table.sql}`;
    this.#sql = insertOf(table, schema, keyColumns);
    this.#textOf = jsonRows(schema);
    this.#refused = refused;
  }

  /** Adds the rows of a record batch. Errors: those of `BadRowSink.add`. */
  async add(partition: number, batch: RecordBatch): Promise<void> {
    let index = 0;
    let row = this.#staged.get(partition) ?? 0;
    for (const values of rowsOf(batch)) {
      const place = { batch, index: index++, partition, row: ++row };
      const text = this.#printed(values, place);
      if (text === undefined) continue;
      this.#waiting.push({ ...place, text });
      this.#characters += text.length;
      if (this.#waiting.length >= MAX_ROWS || this.#characters >= MAX_CHARACTERS) await this.flush();
    }
    this.#staged.set(partition, row);
  }

  /** Sends the rows that were added. Errors: those of `BadRowSink.add`. */
  async flush(): Promise<void> {
    const rows = this.#waiting;
    this.#waiting = [];
    this.#characters = 0;
    if (rows.length > 0) await this.#send(rows);
  }

  /** Returns the row as it is sent. A row that cannot be sent is left out. */
  #printed(values: Record<string, unknown>, place: Omit<Waiting, "text">): string | undefined {
    try {
      return this.#textOf(values);
    } catch (error) {
      if (!MillraceError.is(error) || error.code !== "ROW_MISMATCH") throw error;
      this.#leaveOut(place, error);
      return undefined;
    }
  }

  async #send(rows: readonly Waiting[]): Promise<void> {
    const json = `[${rows.map(({ text }) => text).join(",")}]`;
    const send = async () => {
      await this.#session.query(this.#doing, this.#sql, [json]);
    };
    const error = await this.#session.part(send, isOfRows);
    const [first] = rows;
    if (error === undefined || first === undefined) return;
    if (rows.length === 1) {
      this.#leaveOut(first, error);
      return;
    }
    // The order stays: of two rows with one key, the earlier one is there first.
    const half = Math.ceil(rows.length / 2);
    await this.#send(rows.slice(0, half));
    await this.#send(rows.slice(half));
  }

  #leaveOut({ batch, index, partition, row }: Omit<Waiting, "text">, error: MillraceError): void {
    this.#refused.add(error.with({ where: { partition, row } }), { row: valuesAt(batch, index) });
  }
}
