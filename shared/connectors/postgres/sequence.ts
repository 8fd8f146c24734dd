import type { Session } from "../kit/postgres/session.ts";
import { type Cursor, unsafe } from "./cursor.ts";
import type { ParsedOptions } from "./options.ts";

/** The sequence that fills the cursor column. */
export interface Sequence {
  readonly name: string;
  /** Object id and file of the sequence. `RESTART` gives it another file. */
  readonly identity: string;
  /**
   * The last number that it assigned. `undefined` if it assigned none, or if the user may not see
   * it.
   */
  readonly value: string | undefined;
}

const SEQUENCES = `
  SELECT pg_is_in_recovery(), s.seqrelid::regclass, s.seqcache, s.seqincrement, s.seqcycle, c.oid || '.' || c.relfilenode,
    CASE WHEN has_sequence_privilege(s.seqrelid, 'USAGE, SELECT') THEN pg_sequence_last_value(s.seqrelid) END
  FROM (SELECT 1) AS one
  LEFT JOIN pg_sequence s ON s.seqrelid IN (
    SELECT objid FROM pg_depend
    WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND refobjid = $1 AND refobjsubid = $2
    UNION
    SELECT d.refobjid FROM pg_attrdef a
    JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid AND d.refclassid = 'pg_class'::regclass
    WHERE a.adrelid = $1 AND a.adnum = $2
  )
  LEFT JOIN pg_class c ON c.oid = s.seqrelid
  ORDER BY s.seqrelid`;

/**
 * Checks for settings that break the order of rows. Returns the sequence that fills the cursor
 * column, or `undefined` if there is not exactly one. Error: `POSTGRES_CURSOR_UNSAFE`.
 */
export async function safeSequence(
  session: Session,
  { table, columns: [column] }: Cursor,
  { sequence: use }: Pick<ParsedOptions, "sequence">,
): Promise<Sequence | undefined> {
  if (table.kind !== "r" && table.kind !== "p") {
    throw unsafe(
      `${table.sql} is no table, and who is writing what lies below it cannot be seen`,
      "Name the table itself, and choose columns; or read it as a batch.",
    );
  }
  const rows = await session.query("looking up the sequence", SEQUENCES, [table.oid, column.number]);
  if (rows[0]?.[0] === "t") {
    throw unsafe(
      "the server is a standby, where transactions of the primary cannot be seen",
      "Connect to the primary.",
    );
  }
  if (use === "ignore") return undefined;
  const sequences: Sequence[] = [];
  for (const [, name, cache, increment, cycles, identity, value] of rows) {
    if (name == null || identity == null) continue;
    const problem = problemOf(cache, increment, cycles);
    if (problem !== undefined) {
      throw unsafe(
        `the sequence ${name} of "${column.name}" has ${problem}`,
        `ALTER SEQUENCE ${name} CACHE 1 NO CYCLE, or name a column of times.`,
      );
    }
    sequences.push({ name, identity, value: value ?? undefined });
  }
  return sequences.length === 1 ? sequences[0] : undefined;
}

type Cell = string | null | undefined;

/** Returns why a sequence may assign numbers out of order, or `undefined` if it does not. */
function problemOf(cache: Cell, increment: Cell, cycles: Cell): string | undefined {
  if (Number(cache) > 1) return `CACHE ${cache}: each session gives out numbers of its own stock`;
  if (Number(increment) < 0) return `INCREMENT ${increment}`;
  return cycles === "t" ? "CYCLE" : undefined;
}
