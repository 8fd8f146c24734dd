import type { OpenTransaction, Session } from "./session.ts";

/** The text of statements is left out, because it may contain row values. */
const HOLDERS = `
  SELECT a.pid, a.usename, a.application_name, a.client_addr, a.state,
    round(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.backend_start)))
  FROM unnest(pg_blocking_pids($1)) AS b (pid)
  JOIN pg_stat_activity a ON a.pid = b.pid
  ORDER BY a.xact_start NULLS LAST LIMIT 3`;

/**
 * Returns a hint that names the sessions whose locks a server process waits for. Returns an empty
 * string if it waits for none.
 */
export async function describeHolders(session: Session, { pid }: OpenTransaction): Promise<string> {
  const rows = await session.query("looking up who holds the lock", HOLDERS, [pid]);
  if (rows.length === 0) return "";
  const holders = rows.map(
    ([id, user, application, address, state, seconds]) =>
      `session ${id} (user ${user ?? "unknown"}, application ${JSON.stringify(application ?? "")}, ${address ?? "local"}, ${state ?? "state unknown"}, transaction open for ${seconds} s)`,
  );
  return `The lock is held by ${holders.join(" and ")}. Wait until it ends, or end it with \`SELECT pg_terminate_backend(${rows[0]?.[0]})\` in psql; then run again.`;
}

/** Ends the session of a transaction. A user may end their own sessions. */
export async function endTransaction(session: Session, { pid, startedAt }: OpenTransaction): Promise<void> {
  await session.query(
    "ending a lost transaction",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND xact_start = $2::timestamptz",
    [pid, startedAt],
  );
}
