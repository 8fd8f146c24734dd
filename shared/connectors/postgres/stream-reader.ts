import type { Schema } from "apache-arrow";
import type { Runtime, TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { JsonValue } from "../../contract/json.ts";
import { type Offset, sameOffset } from "../../contract/offset.ts";
import { type ReadLimit, ReadMaxRows } from "../../contract/read-limit.ts";
import {
  DataSourceStreamReader,
  type Row,
  type SupportsBackfill,
  type SupportsTriggerAvailableNow,
} from "../../contract/stream-reader.ts";
import type { Server } from "../kit/postgres/connection.ts";
import type { Session } from "../kit/postgres/session.ts";
import { comparePositions, completeUpTo, positionAt } from "./backfill.ts";
import {
  type Cursor,
  cursorOf,
  MARK,
  Parameters,
  type Position,
  type Range,
  splitRows,
  unsafe,
} from "./cursor.ts";
import { refuseHiding, refuseValue } from "./cursor-values.ts";
import { givenOffset } from "./given-offset.ts";
import type { ParsedOptions } from "./options.ts";
import { readRows } from "./read.ts";
import { type Sequence, safeSequence } from "./sequence.ts";
import { settledPosition } from "./settle.ts";
import { readTable } from "./table.ts";
import { markAt, partsOf, refuseReset, type TableOffset, type TableState, tableState } from "./table-mark.ts";

const DEFAULT_LAG_SECONDS = 60;

/** Reads the rows of a table in the order of its cursor column. */
export class PostgresStreamReader
  extends DataSourceStreamReader<TableOffset, Range>
  implements SupportsTriggerAvailableNow, SupportsBackfill<TableOffset>
{
  readonly #schema: Schema;
  readonly #options: ParsedOptions;
  readonly #server: Server;
  readonly #runtime: Runtime;
  /** The last position that an `availableNow` run reads; `null` if there were no rows. */
  #target: Position | null | undefined;
  #latest: Position | undefined;

  constructor(schema: Schema, options: ParsedOptions, server: Server, runtime: Runtime) {
    super();
    this.#schema = schema;
    this.#options = options;
    this.#server = server;
    this.#runtime = runtime;
  }

  override initialOffset(): Position {
    const { startAfter, cursorColumn = "" } = this.#options;
    return startAfter === undefined ? {} : { [cursorColumn]: String(startAfter) };
  }

  /**
   * Asks the server whether the values are of the columns' types. Errors: `OPTIONS_INVALID`,
   * `OFFSET_FIELD_INVALID`, `POSTGRES_CURSOR_UNSAFE`, `POSTGRES_FAILED`.
   */
  override async deserializeOffset(json: Offset): Promise<TableOffset> {
    return await this.#inOrder((session, cursor) => givenOffset(session, cursor, json));
  }

  async offsetAt(bound: string): Promise<Position> {
    return await this.#inOrder(async (_session, cursor) => positionAt(cursor, bound));
  }

  async completeUpTo(): Promise<string> {
    const { settleSeconds } = this.#options;
    return await this.#inOrder(async (session, cursor) => {
      await this.#lookAhead(session, cursor, await safeSequence(session, cursor, this.#options));
      const lagSeconds = this.#lagSeconds(cursor);
      return await completeUpTo(session, cursor, this.#runtime, { lagSeconds, settleSeconds });
    });
  }

  async comparePositions(a: TableOffset, b: TableOffset): Promise<number> {
    const [left, right] = [partsOf(a).position, partsOf(b).position];
    return await this.#inOrder((session, cursor) => comparePositions(session, cursor, left, right));
  }

  override getDefaultReadLimit(): ReadLimit {
    return new ReadMaxRows(this.#options.maxRowsPerBatch);
  }

  async prepareForTriggerAvailableNow(): Promise<void> {
    this.#target = await this.#inOrder(async (session, cursor) => {
      await this.#lookAhead(session, cursor, await safeSequence(session, cursor, this.#options));
      return (await this.#settled(session, cursor, {})) ?? null;
    });
  }

  availableNowTarget(): Position | null | undefined {
    return this.#target;
  }

  restoreAvailableNow(target: JsonValue): void {
    this.#target = target as Position | null;
  }

  /**
   * Returns the end of the next batch. Errors: `POSTGRES_CURSOR_UNSAFE`, `POSTGRES_TABLE_RESET`,
   * `POSTGRES_FAILED`.
   */
  override async latestOffset(start: TableOffset, limit: ReadLimit): Promise<TableOffset> {
    return await this.#inOrder(async (session, cursor) => {
      const { position } = partsOf(start);
      cursor.check(position);
      const sequence = await safeSequence(session, cursor, this.#options);
      // The state is from before the rows are looked at, so a table that is emptied meanwhile is
      // noticed by the next batch.
      const state = await tableState(session, cursor, sequence);
      await this.#refuseReset(session, cursor, start, state);
      await this.#lookAhead(session, cursor, sequence);
      const end = await this.#endOf(session, cursor, position, limit);
      if (end === undefined || sameOffset(end, position)) return start;
      return { ...end, [MARK]: await markAt(session, cursor, end, state) };
    });
  }

  async #endOf(
    session: Session,
    cursor: Cursor,
    start: Position,
    limit: ReadLimit,
  ): Promise<Position | undefined> {
    const end = this.#target === undefined ? await this.#settled(session, cursor, start) : this.#target;
    if (end === undefined || end === null) return undefined;
    return await session.transaction("READ ONLY", async () => {
      const upTo = await this.#lastIn(session, cursor, { after: start, upTo: end });
      if (upTo === undefined) return undefined;
      return limit.kind === "ReadMaxRows"
        ? await this.#within(session, cursor, { after: start, upTo }, limit.maxRows)
        : upTo;
    });
  }

  /**
   * Checks that the rows to come lie after the offset. The offset of a new pipeline is the user's
   * own. Errors: `POSTGRES_TABLE_RESET`, `POSTGRES_CURSOR_UNSAFE`.
   */
  async #refuseReset(session: Session, cursor: Cursor, start: TableOffset, state: TableState): Promise<void> {
    if (sameOffset(start, this.initialOffset())) return;
    const { position, mark } = partsOf(start);
    const [{ name }] = cursor.columns;
    if (position[name] === undefined) return;
    refuseValue(cursor, position[name]);
    await session.transaction("READ ONLY", async () => {
      if (mark === undefined) await refuseOtherOrder(session, cursor, position);
      if (this.#options.failOnReset) await refuseReset(session, cursor, start, state);
    });
  }

  /** Returns the position of the table's last row, including rows that cannot be read yet. */
  override reportLatestOffset(): Position | undefined {
    return this.#latest;
  }

  override async partitions(from: TableOffset, to: TableOffset): Promise<Range[]> {
    const [{ position: start }, { position: end }] = [partsOf(from), partsOf(to)];
    return await this.#inOrder((session, cursor) =>
      session.transaction("READ ONLY", async () => {
        const parameters = new Parameters();
        const conditions = [cursor.after(start, parameters), cursor.upTo(end, parameters)];
        const ends = await splitRows(session, cursor, conditions, parameters, this.#options);
        const all = ends === undefined ? [] : [...ends.filter((one) => !sameOffset(one, end)), end];
        return all.map((upTo, i) => ({ after: all[i - 1] ?? start, upTo }));
      }),
    );
  }

  override read({ after, upTo }: Range, task: TaskContext): AsyncGenerator<Row> {
    return this.#server.stream(task.signal, async (session) => {
      const cursor = await this.#cursor(session);
      const parameters = new Parameters();
      const where = [cursor.after(after, parameters), cursor.upTo(upTo, parameters)].join(" AND ");
      const from = `FROM ${cursor.table.sql} WHERE ${where} ORDER BY ${cursor.order()}`;
      const selection = { from, values: parameters.values };
      return readRows(session, this.#schema, selection, this.#options.fetchSize);
    });
  }

  /** Finds the position of the table's last row. Error: `POSTGRES_CURSOR_UNSAFE`. */
  async #lookAhead(session: Session, cursor: Cursor, sequence: Sequence | undefined): Promise<void> {
    const parameters = new Parameters();
    const latest = await session.transaction("READ ONLY", () =>
      cursor.last(session, [cursor.after({}, parameters)], parameters),
    );
    await refuseHiding(session, cursor, latest, { options: this.#options, sequence });
    this.#latest = latest;
  }

  /** Returns the last position after `start` at or before which no new row can appear. */
  async #settled(session: Session, cursor: Cursor, start: Position): Promise<Position | undefined> {
    const lag = this.#lagSeconds(cursor);
    return await settledPosition(session, cursor.table, this.#runtime, this.#options.settleSeconds, () =>
      session.transaction("READ ONLY", () => {
        const parameters = new Parameters();
        const conditions = [cursor.after(start, parameters)];
        if (lag !== undefined) conditions.push(cursor.before(lag, parameters));
        return cursor.last(session, conditions, parameters);
      }),
    );
  }

  #lagSeconds(cursor: Cursor): number | undefined {
    const { lagSeconds } = this.#options;
    if (cursor.tellsTime) return lagSeconds ?? DEFAULT_LAG_SECONDS;
    if (lagSeconds === undefined) return undefined;
    throw new MillraceError(
      "OPTIONS_INVALID",
      `Postgres: lagSeconds needs a cursor of times, and "${cursor.columns[0].name}" is ${cursor.columns[0].type}`,
      { hint: "Leave it out: planning waits for whoever is writing the table." },
    );
  }

  async #lastIn(session: Session, cursor: Cursor, range: Range): Promise<Position | undefined> {
    const parameters = new Parameters();
    return await cursor.last(
      session,
      [cursor.after(range.after, parameters), cursor.upTo(range.upTo, parameters)],
      parameters,
    );
  }

  /**
   * Returns the position that ends the first `maxRows` rows. If rows with equal positions cross
   * that limit, the batch ends before them; if all of them have one position, it includes them all.
   */
  async #within(session: Session, cursor: Cursor, range: Range, maxRows: number): Promise<Position> {
    const parameters = new Parameters();
    const conditions = [cursor.after(range.after, parameters), cursor.upTo(range.upTo, parameters)];
    const [beyond] = await session.query(
      "looking for the end of the batch",
      `SELECT ${cursor.selected} FROM ${cursor.table.sql} WHERE ${conditions.join(" AND ")} ORDER BY ${cursor.order()} OFFSET ${maxRows} LIMIT 1`,
      parameters.values,
    );
    if (beyond === undefined) return range.upTo;
    const next = cursor.positionOf(beyond);
    const before = new Parameters();
    const last = await cursor.last(
      session,
      [cursor.after(range.after, before), cursor.beforePosition(next, before)],
      before,
    );
    return last ?? next;
  }

  async #inOrder<T>(body: (session: Session, cursor: Cursor) => Promise<T>): Promise<T> {
    return await this.#server.use(async (session) => body(session, await this.#cursor(session)));
  }

  async #cursor(session: Session): Promise<Cursor> {
    const cursor = cursorOf(await readTable(session, this.#options.table), this.#options);
    if (cursor !== undefined) return cursor;
    throw new MillraceError("OPTIONS_INVALID", "Postgres: a stream needs cursorColumn", {
      hint: "Name a column that a sequence or the clock of the server fills; without one, read the table as a batch.",
    });
  }
}

/**
 * Checks that rows lie on the same side of an offset as they did for older versions, which ordered
 * text by the collation of the database. Error: `POSTGRES_CURSOR_UNSAFE`.
 */
async function refuseOtherOrder(session: Session, cursor: Cursor, position: Position): Promise<void> {
  const parameters = new Parameters();
  const condition = cursor.disputed(position, parameters);
  if (condition === undefined) return;
  const sql = `SELECT 1 FROM ${cursor.table.sql} WHERE ${condition} LIMIT 1`;
  const rows = await session.query("comparing the orders of the text", sql, parameters.values);
  if (rows.length === 0) return;
  throw unsafe(
    `"${cursor.columns[0].name}" is now ordered by its bytes, and some rows have changed sides of the offset`,
    "Read the table from its beginning: `millrace rewind PIPELINE --to-start`.",
  );
}
