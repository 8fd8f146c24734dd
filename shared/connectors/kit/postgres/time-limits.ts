import type { ServerOptions } from "./server-options.ts";

/** Upper bound for BEGIN, COMMIT and ROLLBACK, which do little work. */
const BRIEF_MILLISECONDS = 120_000;
/** How much longer than the server the client waits, so that the server's own error can arrive. */
const CLIENT_FACTOR = 1.1;
/** Interval at which a server that can do so checks whether the client of a statement is gone. */
const CLIENT_CHECK_MILLISECONDS = 10_000;

/** How long a session waits, in milliseconds. */
export interface TimeLimits {
  /** For a new connection. */
  readonly connect: number;
  /** The client's wait for the answer to a statement. */
  readonly statement: number;
  /** The client's wait for the answer to BEGIN, COMMIT or ROLLBACK. */
  readonly brief: number;
  /** The server's wait for a lock. */
  readonly lock: number;
  /** SQL that sets the server's limits in the current transaction. */
  readonly sql: Readonly<Record<"READ ONLY" | "READ WRITE", string>>;
}

/** Returns the limits that the options set. */
export function timeLimitsOf(options: ServerOptions): TimeLimits {
  const statement = milliseconds(options.statementSeconds);
  const lock = milliseconds(options.lockSeconds);
  const settings = {
    statement_timeout: statement,
    lock_timeout: lock,
    tcp_user_timeout: statement,
    // Seconds: the server gives up a silent network after a minute.
    tcp_keepalives_idle: 30,
    tcp_keepalives_interval: 10,
    tcp_keepalives_count: 3,
    client_connection_check_interval: CLIENT_CHECK_MILLISECONDS,
  };
  // A reader waits in its transaction while the sink takes rows, so only a commit has an idle
  // limit.
  const idle = { idle_in_transaction_session_timeout: milliseconds(options.idleSeconds) };
  const wait = Math.round(statement * CLIENT_FACTOR);
  return {
    connect: milliseconds(options.connectSeconds),
    statement: wait,
    brief: Math.min(wait, BRIEF_MILLISECONDS),
    lock,
    sql: { "READ ONLY": settingsSql(settings), "READ WRITE": settingsSql({ ...settings, ...idle }) },
  };
}

/**
 * Returns a statement that sets the settings until the end of the transaction. A session setting
 * would reach other users of a connection pooler. Settings that the server does not know are left
 * out; `client_connection_check_interval` is an error on servers that are not on Linux.
 */
function settingsSql(settings: Readonly<Record<string, number>>): string {
  const values = Object.entries(settings).map(([name, value]) => `('${name}', '${value}')`);
  return `SELECT count(set_config(known.name, wanted.value, true)) FROM (VALUES ${values.join(", ")}) AS wanted (name, value)
    JOIN pg_catalog.pg_settings known ON known.name = wanted.name
    WHERE wanted.name <> 'client_connection_check_interval' OR version() ~* 'linux'`;
}

function milliseconds(seconds: number): number {
  return Math.ceil(seconds * 1000);
}
