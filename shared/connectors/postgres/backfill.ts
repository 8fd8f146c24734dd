import { kindOfBound, rangeInvalid } from "../../contract/bounds.ts";
import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { floorTo, toIso, toMicros } from "../../contract/time.ts";
import type { Session } from "../kit/postgres/session.ts";
import { type Cursor, Parameters, type Position, SESSION_ZONE } from "./cursor.ts";
import { settledPosition } from "./settle.ts";

const DAY = 86_400_000_000n;
const INTEGERS: ReadonlySet<string> = new Set(["int2", "int4", "int8"]);

/** The last value before a time in microseconds. No value lies between the two. */
const BEFORE_TIME: Readonly<Record<string, (micros: bigint) => string>> = {
  timestamptz: (micros) => toIso(micros - 1n),
  // A column without a zone is compared with the time as UTC writes it.
  timestamp: (micros) => toIso(micros - 1n).slice(0, -1),
  date: (micros) => toIso(micros - DAY).slice(0, 10),
  uuid: (micros) => lastUuidBefore(micros / 1000n),
};

/** The SQL of a time in microseconds since 1970, `lag` seconds ago, as a column writes it. */
const NOW: Readonly<Record<string, (now: string) => string>> = {
  timestamptz: (now) => now,
  timestamp: (now) => `${now} AT TIME ZONE ${SESSION_ZONE}`,
  date: (now) => `date_trunc('day', ${now} AT TIME ZONE ${SESSION_ZONE})`,
  uuid: (now) => now,
};

/**
 * Returns the position after which the rows at and after the bound come. It depends on no row, so
 * it stays what it is when rows arrive. Errors: `BACKFILL_RANGE_INVALID`, `BACKFILL_NOT_SUPPORTED`.
 */
export function positionAt({ columns: [{ name, base, type }] }: Cursor, bound: string): Position {
  const kind = kindOfBound(bound);
  if (INTEGERS.has(base)) {
    if (kind === "time") throw wrongBound(name, type, bound, "a whole number, such as 1000");
    return { [name]: String(BigInt(bound) - 1n) };
  }
  const write = BEFORE_TIME[base];
  if (write === undefined) throw notCounted(name, type);
  if (kind === "number") throw wrongBound(name, type, bound, "a date or a time, such as 2026-01-01");
  const micros = toMicros(bound);
  if (base === "date" && floorTo(micros, DAY) !== micros)
    throw wrongBound(name, type, bound, "a date, such as 2026-01-01");
  return { [name]: write(micros) };
}

/** The last UUID of version 7 that was made before a millisecond. */
function lastUuidBefore(milliseconds: bigint): string {
  const digits = (milliseconds - 1n).toString(16).padStart(12, "0");
  return `${digits.slice(0, 8)}-${digits.slice(8)}-7fff-ffff-ffffffffffff`;
}

/**
 * Returns the bound before which no more rows can arrive: the time of the server less the lag, or
 * the number after the largest. Transactions that write the table are waited for. Errors:
 * `BACKFILL_INCOMPLETE`, `BACKFILL_NOT_SUPPORTED`.
 */
export async function completeUpTo(
  session: Session,
  cursor: Cursor,
  runtime: Runtime,
  {
    lagSeconds = 0,
    settleSeconds,
  }: { readonly lagSeconds?: number | undefined; readonly settleSeconds: number },
): Promise<string> {
  const [{ name, base, type }] = cursor.columns;
  if (!INTEGERS.has(base) && NOW[base] === undefined) throw notCounted(name, type);
  const settled = await settledPosition(session, cursor.table, runtime, settleSeconds, async () => {
    const bound = INTEGERS.has(base)
      ? await numberAfterLast(session, cursor)
      : await timeNow(session, base, lagSeconds);
    return bound === undefined ? undefined : { bound };
  });
  if (settled?.["bound"] !== undefined) return settled["bound"];
  throw new MillraceError(
    "BACKFILL_INCOMPLETE",
    `${cursor.table.sql} has no rows, or transactions that write it are still open`,
    { hint: "Try again when they have ended. `settleSeconds` says how long they are waited for." },
  );
}

async function numberAfterLast(session: Session, cursor: Cursor): Promise<string | undefined> {
  const parameters = new Parameters();
  const last = await cursor.last(session, [cursor.after({}, parameters)], parameters);
  const value = last?.[cursor.columns[0].name];
  return value === undefined ? undefined : String(BigInt(value) + 1n);
}

async function timeNow(session: Session, base: string, lagSeconds: number): Promise<string> {
  const parameters = new Parameters();
  const now = `(now() - make_interval(secs => ${parameters.bind(lagSeconds, "float8")}))`;
  const sql = `SELECT floor(extract(epoch FROM ${NOW[base]?.(now)}) * 1000000)::bigint`;
  const [[micros] = []] = await session.query("asking for the time of the server", sql, parameters.values);
  return toIso(floorTo(BigInt(micros ?? 0), 1000n));
}

/**
 * Compares positions by the server. One without its last columns lies after all rows that have its
 * values, and one without any before all rows.
 */
export async function comparePositions(
  session: Session,
  { columns }: Cursor,
  a: Position,
  b: Position,
): Promise<number> {
  for (const [i, { name, type }] of columns.entries()) {
    const [left, right] = [a[name], b[name]];
    if (left === undefined || right === undefined) {
      if (left === right) return 0;
      const isEarlier = i === 0 ? left === undefined : right === undefined;
      return isEarlier ? -1 : 1;
    }
    const sql = `SELECT CASE WHEN $1::${type} < $2::${type} THEN -1 WHEN $1::${type} > $2::${type} THEN 1 ELSE 0 END`;
    const [[order] = []] = await session.query("comparing two offsets", sql, [left, right]);
    if (order !== "0") return Number(order);
  }
  return 0;
}

function wrongBound(name: string, type: string, bound: string, instead: string): MillraceError {
  return rangeInvalid(`"${name}" is ${type}, and ${bound} is not`, `Give ${instead}.`);
}

function notCounted(name: string, type: string): MillraceError {
  return new MillraceError(
    "BACKFILL_NOT_SUPPORTED",
    `the cursor column "${name}" is ${type}, which has no next value`,
    { hint: "A backfill needs a cursorColumn of times (also uuid of version 7) or whole numbers." },
  );
}
