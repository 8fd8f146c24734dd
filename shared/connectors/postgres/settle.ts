import type { Runtime } from "../../contract/context.ts";
import type { Session } from "../kit/postgres/session.ts";
import type { Position } from "./cursor.ts";
import type { Table } from "./table.ts";

const POLL_MILLISECONDS = 100;

/**
 * Lists the unfinished transactions that have written to the table or one of its partitions. It
 * uses virtual transaction ids, which every user may see. Those of prepared transactions start with
 * `-1/`.
 */
const WRITERS = `
  WITH RECURSIVE family(oid) AS (
    SELECT $1::oid UNION SELECT i.inhrelid FROM pg_inherits i JOIN family f ON i.inhparent = f.oid
  )
  SELECT DISTINCT l.virtualtransaction FROM pg_locks l JOIN family f ON f.oid = l.relation
  WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.mode = 'RowExclusiveLock' AND l.granted`;

/**
 * Returns the last position such that no new row can appear at or before it. Returns `undefined` if
 * there is none, or if writers did not finish within `seconds`.
 *
 * A sequence assigns numbers before the transactions that use them commit. So a smaller number may
 * become visible after a larger one was read. Waiting for the current writers prevents this:
 *
 * - An INSERT takes a RowExclusiveLock on the table before it computes a row's values, and holds
 *   it until its transaction ends.
 * - Let `last` be the largest visible number now, and n <= `last` the number of a row that is not
 *   visible yet. n was assigned before `last`, so its transaction already had the lock.
 * - That transaction is therefore either among the writers that are listed after `last` was
 *   found, or it has ended since, and later reads see its row.
 * - Once all listed writers have ended, no such row is left. Later writers get larger numbers, so
 *   there is no need to wait for them.
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
  const startedAt = runtime.monotonic();
  for (let sleeps = 0; remaining.size > 0; sleeps++) {
    // The statements take time too.
    const waited = Math.max(sleeps * POLL_MILLISECONDS, runtime.monotonic() - startedAt);
    if (waited >= seconds * 1000) return undefined;
    await runtime.sleep(POLL_MILLISECONDS);
    // A transaction that was prepared in the meantime has a new id, so all prepared ones are waited
    // for.
    const now = await writersOf(session, table);
    remaining = new Set([...now].filter((writer) => listed.has(writer) || writer.startsWith("-1/")));
  }
  return last;
}

async function writersOf(session: Session, table: Table): Promise<ReadonlySet<string>> {
  const rows = await session.query("listing the writers of the table", WRITERS, [table.oid]);
  return new Set(rows.map(([writer]) => writer ?? ""));
}
