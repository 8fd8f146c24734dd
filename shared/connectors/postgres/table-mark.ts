import { MillraceError } from "../../contract/errors.ts";
import type { Session } from "../kit/postgres/session.ts";
import { type Cursor, MARK, Parameters, type Position } from "./cursor.ts";
import type { Sequence } from "./sequence.ts";

/**
 * What the table was when an offset was reached. It tells a table that began anew from the one that
 * was read.
 */
export type TableMark = {
  /** Object id of the table. */
  readonly oid: string;
  /** Number of the table's file; `0` for a partitioned table. `TRUNCATE` gives it another one. */
  readonly file: string;
  /** `Sequence.identity` of the sequence that fills the cursor column. */
  readonly sequence?: string;
  /** The last number that the sequence had assigned. */
  readonly value?: string;
  /** Number of rows that have the offset's cursor value and do not lie after the offset. */
  readonly rows: string;
  /** The newest `xmin` of these rows. */
  readonly version?: string;
};

/** The offset of the stream. Those that older versions wrote, or people, have no mark. */
export type TableOffset = { readonly [name: string]: string | TableMark };

/** Returns the position and the mark in an offset. */
export function partsOf(offset: TableOffset): { readonly position: Position; readonly mark?: TableMark } {
  const { [MARK]: mark, ...position } = offset;
  return {
    position: position as Position,
    ...(typeof mark === "object" ? { mark } : {}),
  };
}

/** A table as it is now, and the sequence of its cursor column. */
export interface TableState {
  readonly file: string;
  readonly sequence: Sequence | undefined;
}

/** Looks up the state of the cursor's table. */
export async function tableState(
  session: Session,
  { table }: Cursor,
  sequence: Sequence | undefined,
): Promise<TableState> {
  const [[file] = []] = await session.query(
    "looking up the table's file",
    "SELECT relfilenode FROM pg_class WHERE oid = $1",
    [table.oid],
  );
  return { file: file ?? "0", sequence };
}

/** Returns the mark of a new offset at `position`, for a table that had this state before. */
export async function markAt(
  session: Session,
  cursor: Cursor,
  position: Position,
  { file, sequence }: TableState,
): Promise<TableMark> {
  const { rows, version } = await rowsAt(session, cursor, position, file);
  return {
    oid: cursor.table.oid,
    file,
    ...(sequence === undefined ? {} : { sequence: sequence.identity }),
    ...(sequence?.value === undefined ? {} : { value: sequence.value }),
    rows,
    ...(version == null ? {} : { version }),
  };
}

/**
 * Checks that the table is the one that was read up to an offset, so that new rows lie after it.
 * Error: `POSTGRES_TABLE_RESET`.
 */
export async function refuseReset(
  session: Session,
  cursor: Cursor,
  offset: TableOffset,
  state: TableState,
): Promise<void> {
  const { position, mark } = partsOf(offset);
  const problem =
    (mark && replacedBy(cursor, mark, state)) ??
    (mark && (await changedRows(session, cursor, position, mark, state))) ??
    (await lastRowBefore(session, cursor, position, state));
  if (problem === undefined) return;
  const place = Object.entries(position).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  throw new MillraceError(
    "POSTGRES_TABLE_RESET",
    `${cursor.table.sql} was read up to ${place.join(", ")}, and seems to have begun anew: ${problem}`,
    {
      hint: "To read it from its beginning: `millrace rewind PIPELINE --to-start`. Rows that the sink has are then written again. To go on elsewhere use --to-offset instead. If this table is as it should be, because its last rows may be deleted or its files are rewritten, set `failOnReset: false`: it is then read on after the offset. A server that was restored or lags behind looks the same.",
    },
  );
}

/** Returns why the table, or its sequence, is another one than that of the mark. */
function replacedBy({ table }: Cursor, mark: TableMark, { sequence }: TableState): string | undefined {
  if (table.oid !== mark.oid) return "it is another table of this name, made since";
  if (sequence === undefined || mark.sequence === undefined) return undefined;
  if (sequence.identity !== mark.sequence)
    return `its sequence ${sequence.name} was restarted or replaced (TRUNCATE … RESTART IDENTITY, ALTER SEQUENCE)`;
  if (mark.value !== undefined && sequence.value !== undefined && BigInt(sequence.value) < BigInt(mark.value))
    return `its sequence ${sequence.name} went back from ${mark.value} to ${sequence.value}`;
  return undefined;
}

/** Returns what has changed in the rows at the offset, or in the file that has them. */
async function changedRows(
  session: Session,
  cursor: Cursor,
  position: Position,
  mark: TableMark,
  state: TableState,
): Promise<string | undefined> {
  const { rows, version } = await rowsAt(session, cursor, position, state.file);
  if (Number(rows) > Number(mark.rows))
    return `${Number(rows) - Number(mark.rows)} more rows have the cursor of the offset itself, and do not lie after it`;
  if (state.file === mark.file || isAhead(state, position, cursor)) return undefined;
  // VACUUM FULL and CLUSTER also write a new file, but they keep the rows and their versions.
  return version !== undefined && version === mark.version
    ? undefined
    : "it was emptied (TRUNCATE) or rewritten, and no longer has the row at the offset as it was";
}

async function lastRowBefore(
  session: Session,
  cursor: Cursor,
  position: Position,
  state: TableState,
): Promise<string | undefined> {
  if (isAhead(state, position, cursor)) return undefined;
  const parameters = new Parameters();
  const sql = `SELECT 1 FROM ${cursor.table.sql} WHERE ${cursor.notBefore(position, parameters)} LIMIT 1`;
  const found = await session.query("looking for rows at or after the offset", sql, parameters.values);
  return found.length > 0 ? undefined : "all its rows lie before that";
}

/** True if the next number of the sequence lies after the position, whatever rows there are. */
function isAhead({ sequence }: TableState, position: Position, { columns: [{ name }] }: Cursor): boolean {
  const value = position[name];
  return sequence?.value !== undefined && /^-?\d+$/.test(value ?? "")
    ? BigInt(sequence.value) >= BigInt(value ?? 0)
    : false;
}

async function rowsAt(
  session: Session,
  cursor: Cursor,
  position: Position,
  file: string,
): Promise<{ readonly rows: string; readonly version?: string }> {
  const parameters = new Parameters();
  // The rows of a partitioned table lie in several files, so the mark's file says nothing of them.
  const version = file === "0" ? "NULL" : "max(xmin::text::bigint)";
  const sql = `SELECT count(*), ${version} FROM ${cursor.table.sql} WHERE ${cursor.atCursor(position, parameters)}`;
  const [[rows, newest] = []] = await session.query(
    "looking at the rows at the offset",
    sql,
    parameters.values,
  );
  return { rows: rows ?? "0", ...(newest == null ? {} : { version: newest }) };
}
