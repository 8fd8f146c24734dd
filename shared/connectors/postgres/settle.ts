import type { Runtime } from "../../contract/context.ts";
import type { Session } from "./connection.ts";
import type { Position } from "./cursor.ts";
import type { Table } from "./table.ts";

const POLL_MILLISECONDS = 100;

/**
 * Who has written the table, or a partition of it, in a transaction that has not ended: virtual
 * transactions, which everybody may see. A prepared transaction is `-1/…`.
 */
const WRITERS = `
  WITH RECURSIVE family(oid) AS (
    SELECT $1::oid UNION SELECT i.inhrelid FROM pg_inherits i JOIN family f ON i.inhparent = f.oid
  )
  SELECT DISTINCT l.virtualtransaction FROM pg_locks l JOIN family f ON f.oid = l.relation
  WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.mode = 'RowExclusiveLock' AND l.granted`;

/**
 * The last position such that no row at or before it can appear any more; `undefined` if there
 * is none, or it is not certain in time.
 *
 * A sequence gives its numbers out before the transactions commit that use them, so a smaller
 * number may appear after a larger one was read. Why waiting for writers is enough: let a row with
 * the number n, which is not visible now, come to be visible later, and let `last` be visible now
 * with n <= last. Then n was given out before `last` was, so before now. An INSERT takes a
 * RowExclusiveLock on its table before it computes a row's values, and keeps it until its
 * transaction ends. So its transaction has that lock now, and is among the writers that are listed
 * after `last` was found; or it has ended in between, and whoever reads from now on sees the row.
 * Once all that are listed have ended, there is no such row left. Writers that come later get
 * larger numbers, and are not waited for.
 */
export async function settledPosition(
  session: Session,
  table: Table,
  runtime: Runtime,
  seconds: number,
  findLast: () => Promise<Position | undefined>,
): Promise<Position | undefined> {
  const last = await findLast();
  if (last === undefined) return undefined;
  const listed = await writersOf(session, table);
  let remaining = listed;
  for (let waited = 0; remaining.size > 0; waited += POLL_MILLISECONDS) {
    if (waited >= seconds * 1000) return undefined;
    await runtime.sleep(POLL_MILLISECONDS);
    // A transaction that was prepared meanwhile goes by another name.
    const now = await writersOf(session, table);
    remaining = new Set([...now].filter((writer) => listed.has(writer) || writer.startsWith("-1/")));
  }
  return last;
}

async function writersOf(session: Session, table: Table): Promise<ReadonlySet<string>> {
  const rows = await session.query("listing the writers of the table", WRITERS, [table.oid]);
  return new Set(rows.map(([writer]) => writer ?? ""));
}
