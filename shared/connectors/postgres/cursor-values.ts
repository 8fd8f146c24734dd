import type { Session } from "../kit/postgres/session.ts";
import { type Cursor, type Position, unsafe } from "./cursor.ts";
import { escapeIdentifier } from "./identifier.ts";
import type { ParsedOptions } from "./options.ts";
import type { Sequence } from "./sequence.ts";

/** Values that sort before or after all others, in PostgreSQL's text output. */
const NOT_FINITE = /^(?:NaN|-?infinity)$/i;
/** Types that have such values. */
const WITH_INFINITY: ReadonlySet<string> = new Set(["numeric", "timestamptz", "timestamp", "date"]);
const LARGEST: Readonly<Record<string, string>> = {
  int2: "32767",
  int4: "2147483647",
  int8: "9223372036854775807",
};

/**
 * Checks the values of the cursor column that would hide rows: nulls, `NaN` and infinities, UUIDs
 * of another version, and numbers that no sequence can pass. `latest` is the position of the last
 * row. It looks at the first and the last row only, because these values sort there. Error:
 * `POSTGRES_CURSOR_UNSAFE`.
 */
export async function refuseHiding(
  session: Session,
  cursor: Cursor,
  latest: Position | undefined,
  { options, sequence }: { readonly options: ParsedOptions; readonly sequence: Sequence | undefined },
): Promise<void> {
  await refuseNulls(session, cursor, options);
  const [{ name, base }] = cursor.columns;
  const last = latest?.[name];
  if (last === undefined) return;
  if (WITH_INFINITY.has(base) || base === "uuid") {
    const first = (await session.transaction("READ ONLY", () => cursor.first(session)))?.[name];
    for (const value of [first, last]) refuseValue(cursor, value ?? "");
  }
  if (last === LARGEST[base]) {
    throw unsafe(
      `"${name}" of ${cursor.table.sql} has ${last}, the largest ${base}, after which no row can come`,
      `Look at that row: ${rowsWith(cursor, last)}. If the numbers have come to their end, make the column a bigint.`,
    );
  }
  refuseBeyond(cursor, last, sequence);
}

/** Checks one value of the cursor column. Error: `POSTGRES_CURSOR_UNSAFE`. */
export function refuseValue(cursor: Cursor, value: string): void {
  const [{ name, base }] = cursor.columns;
  if (WITH_INFINITY.has(base) && NOT_FINITE.test(value)) {
    throw unsafe(
      `"${name}" of ${cursor.table.sql} has the value ${value}, which has no place among the others`,
      `Correct or delete the rows: ${rowsWith(cursor, value)}.`,
    );
  }
  if (base === "uuid" && value[14] !== "7") {
    throw unsafe(`"${name}" has UUIDs that are not of version 7, and so in no order`, "Name another column.");
  }
}

async function refuseNulls(session: Session, cursor: Cursor, { nullCursors }: ParsedOptions): Promise<void> {
  const [{ name, isNullable }] = cursor.columns;
  if (nullCursors === "skip" || !isNullable) return;
  const condition = `${escapeIdentifier(name)} IS NULL`;
  const sql = `SELECT 1 FROM ${cursor.table.sql} WHERE ${condition} LIMIT 1`;
  if ((await session.query("looking for rows without a cursor", sql)).length === 0) return;
  throw unsafe(
    `"${name}" of ${cursor.table.sql} is null in some rows, which a stream cannot read`,
    `Fill the column, or leave these rows out: \`nullCursors: "skip"\`. They are: SELECT * FROM ${cursor.table.sql} WHERE ${condition}.`,
  );
}

/** A row with a larger number than its sequence was not numbered by it, and is in the way. */
function refuseBeyond({ table, columns: [{ name }] }: Cursor, last: string, sequence?: Sequence): void {
  if (sequence?.value === undefined || !/^-?\d+$/.test(last)) return;
  if (BigInt(last) <= BigInt(sequence.value)) return;
  throw unsafe(
    `"${name}" of ${table.sql} has ${last}, but its sequence ${sequence.name} has only come to ${sequence.value}: the rows in between are still to come`,
    `Set it with SELECT setval('${sequence.name}', ${last}). If the sequence does not fill the column, set \`sequence: "ignore"\`. If it was restarted, because the table began anew, empty the table, then \`millrace rewind PIPELINE --to-start\`.`,
  );
}

/** Returns the statement that shows the rows with a value. */
function rowsWith({ table, columns: [{ name }] }: Cursor, value: string): string {
  return `SELECT * FROM ${table.sql} WHERE ${escapeIdentifier(name)} = '${value}'`;
}
