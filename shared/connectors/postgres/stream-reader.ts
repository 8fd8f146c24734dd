import type { Schema } from "apache-arrow";
import type { Runtime, TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { JsonValue } from "../../contract/json.ts";
import { sameOffset } from "../../contract/offset.ts";
import { type ReadLimit, ReadMaxRows } from "../../contract/read-limit.ts";
import {
  DataSourceStreamReader,
  type Row,
  type SupportsTriggerAvailableNow,
} from "../../contract/stream-reader.ts";
import type { Server } from "./connection.ts";
import { type Cursor, cursorOf, Parameters, type Position, type Range, splitRows, unsafe } from "./cursor.ts";
import type { ParsedOptions } from "./options.ts";
import { readRows } from "./read.ts";
import type { Cells, Session } from "./session.ts";
import { settledPosition } from "./settle.ts";
import { readTable } from "./table.ts";

const DEFAULT_LAG_SECONDS = 60;

/** Reads the rows of a table in the order of its cursor column. */
export class PostgresStreamReader
  extends DataSourceStreamReader<Position, Range>
  implements SupportsTriggerAvailableNow
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

  override getDefaultReadLimit(): ReadLimit {
    return new ReadMaxRows(this.#options.maxRowsPerBatch);
  }

  async prepareForTriggerAvailableNow(): Promise<void> {
    this.#target = await this.#inOrder(async (session, cursor) => {
      await this.#lookAhead(session, cursor);
      return (await this.#settled(session, cursor, {})) ?? null;
    });
  }

  availableNowTarget(): Position | null | undefined {
    return this.#target;
  }

  restoreAvailableNow(target: JsonValue): void {
    this.#target = target as Position | null;
  }

  override async latestOffset(start: Position, limit: ReadLimit): Promise<Position> {
    return await this.#inOrder(async (session, cursor) => {
      cursor.check(start);
      await this.#lookAhead(session, cursor);
      const end = this.#target === undefined ? await this.#settled(session, cursor, start) : this.#target;
      if (end === undefined || end === null) return start;
      return await session.transaction("READ ONLY", async () => {
        const upTo = await this.#lastIn(session, cursor, { after: start, upTo: end });
        if (upTo === undefined) return start;
        return limit.kind === "ReadMaxRows"
          ? await this.#within(session, cursor, { after: start, upTo }, limit.maxRows)
          : upTo;
      });
    });
  }

  /** Returns the position of the table's last row, including rows that cannot be read yet. */
  override reportLatestOffset(): Position | undefined {
    return this.#latest;
  }

  override async partitions(start: Position, end: Position): Promise<Range[]> {
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
  async #lookAhead(session: Session, cursor: Cursor): Promise<void> {
    const parameters = new Parameters();
    const latest = await session.transaction("READ ONLY", () =>
      cursor.last(session, [cursor.after({}, parameters)], parameters),
    );
    const [{ name, base }] = cursor.columns;
    if (base === "uuid" && latest !== undefined && latest[name]?.[14] !== "7") {
      throw unsafe(
        `"${name}" has UUIDs that are not of version 7, and so in no order`,
        "Name another column.",
      );
    }
    this.#latest = latest;
  }

  /** Returns the last position after `start` at or before which no new row can appear. */
  async #settled(session: Session, cursor: Cursor, start: Position): Promise<Position | undefined> {
    await checkSafety(session, cursor);
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

const SEQUENCES = `
  SELECT pg_is_in_recovery(), s.seqrelid::regclass, s.seqcache, s.seqincrement, s.seqcycle
  FROM (SELECT 1) AS one
  LEFT JOIN pg_sequence s ON s.seqrelid IN (
    SELECT objid FROM pg_depend
    WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND refobjid = $1 AND refobjsubid = $2
    UNION
    SELECT d.refobjid FROM pg_attrdef a
    JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid AND d.refclassid = 'pg_class'::regclass
    WHERE a.adrelid = $1 AND a.adnum = $2
  )`;

/** Checks for settings that break the order of rows. Error: `POSTGRES_CURSOR_UNSAFE`. */
async function checkSafety(session: Session, { table, columns: [column] }: Cursor): Promise<void> {
  if (table.kind !== "r" && table.kind !== "p") {
    throw unsafe(
      `${table.sql} is no table, and who is writing what lies below it cannot be seen`,
      "Name the table itself, and choose columns; or read it as a batch.",
    );
  }
  const rows = await session.query("looking up the sequence", SEQUENCES, [table.oid, column.number]);
  for (const [isStandby, sequence, cache, increment, cycles] of rows) {
    if (isStandby === "t") {
      throw unsafe(
        "the server is a standby, where transactions of the primary cannot be seen",
        "Connect to the primary.",
      );
    }
    const problem = problemOf(cache, increment, cycles);
    if (problem === undefined) continue;
    throw unsafe(
      `the sequence ${sequence} of "${column.name}" has ${problem}`,
      `ALTER SEQUENCE ${sequence} CACHE 1 NO CYCLE, or name a column of times.`,
    );
  }
}

type Cell = Cells[number];

/** Returns why a sequence may assign numbers out of order, or `undefined` if it does not. */
function problemOf(cache?: Cell, increment?: Cell, cycles?: Cell): string | undefined {
  if (Number(cache) > 1) return `CACHE ${cache}: each session gives out numbers of its own stock`;
  if (Number(increment) < 0) return `INCREMENT ${increment}`;
  return cycles === "t" ? "CYCLE" : undefined;
}
