import type { DatabaseError } from "pg";
import { MillraceError } from "../../../contract/errors.ts";

/** SQLSTATE classes whose messages may quote names but never row values. */
const WITHOUT_VALUES = /^(08|25|28|3D|3F|40|42|53|55|57|58)/;

/**
 * SQLSTATEs of errors that a retry may solve: lost connections, deadlocks, serialization failures,
 * and a server that is full, starting, stopping, or has become a standby.
 */
const TRANSIENT = /^(08|40001|40P01|53|55P03|57P|25006|25P03)/;

/**
 * SQLSTATEs of errors about the values of rows: data exceptions, violated constraints and check
 * options, and what a trigger raises.
 */
const OF_ROWS = /^(22|23|44|P0001)/;

const HINTS: Readonly<Record<string, string>> = {
  "28P01":
    "Check the user, and the variable with the password: PGPASSWORD, or the one that the option password names.",
  "3D000": "Name a database that exists: connection.database, the path of url, or PGDATABASE.",
  "25P03": "The commit was idle for longer than idleSeconds: the store that has the staged rows may be slow.",
  "42501": "Grant the user what docs/postgres.md lists.",
  "42P10": "An upsert needs a unique index or a primary key of exactly keyColumns.",
  "42703": "The schema of the rows and the table do not have the same columns.",
  "22P05": "PostgreSQL has no character with the code 0: take it out of the text.",
  "55P03":
    "Another session holds the lock: see pg_stat_activity and pg_locks. Raise lockSeconds if it only needs longer.",
  "57014": "The statement took longer than statementSeconds, or was cancelled by hand.",
  "23505": "Another row has the key already: set keyColumns, so that it is updated.",
};

/**
 * Converts a driver's error to a `MillraceError` without row values and secrets. `url` must not
 * contain a password.
 */
export function toPostgresError(thrown: unknown, doing: string, url: string): MillraceError {
  if (MillraceError.is(thrown)) return thrown;
  return isDatabaseError(thrown) ? databaseError(thrown, doing, url) : connectionError(thrown, doing, url);
}

/**
 * True for an error that the server sent: only such an error has a severity. `instanceof` cannot be
 * used, because the driver may not be loaded.
 */
function isDatabaseError(thrown: unknown): thrown is DatabaseError {
  return thrown instanceof Error && "severity" in thrown;
}

/** Returns the SQLSTATE of an error that the server sent. */
export function stateOf(thrown: unknown): string | undefined {
  return isDatabaseError(thrown) ? thrown.code : undefined;
}

/** True if the server refused the values of rows. */
export function isOfRows({ cause }: MillraceError): boolean {
  return OF_ROWS.test(stateOf(cause) ?? "");
}

/** True for the error of a statement that could not get a lock within `lockSeconds`. */
export function isLockTimeout(error: unknown): boolean {
  return MillraceError.is(error) && stateOf(error.cause) === "55P03";
}

function databaseError(thrown: DatabaseError, doing: string, url: string): MillraceError {
  const { code = "", message, table, column, constraint } = thrown;
  const names = Object.entries({ table, column, constraint })
    .flatMap(([kind, name]) => (name === undefined ? [] : [`${kind} ${name}`]))
    .join(", ");
  const said = WITHOUT_VALUES.test(code) ? `: ${message}` : names === "" ? "" : ` (${names})`;
  return new MillraceError("POSTGRES_FAILED", `${doing}: SQLSTATE ${code}${said}`, {
    where: { url },
    hint:
      HINTS[code] ??
      (WITHOUT_VALUES.test(code)
        ? "Look up the SQLSTATE in PostgreSQL's manual, appendix A."
        : "What the server says is below, or in the log of the run: the ledger does not keep it, for it may quote rows."),
    retryable: TRANSIENT.test(code),
    cause: thrown,
  });
}

function connectionError(thrown: unknown, doing: string, url: string): MillraceError {
  const { code, message } = thrown as { readonly code?: unknown; readonly message?: unknown };
  // Network errors have codes like `ECONNRESET`; the driver's own errors have no code. Codes that
  // begin with `ERR_` are about certificates, for which a retry does not help.
  const isNetwork = typeof code === "string" && /^E[A-Z]/.test(code) && !code.startsWith("ERR_");
  const isLost =
    code === undefined &&
    /^(Connection terminated|timeout|Client has encountered a connection error)/.test(String(message));
  const what = isLost ? "the connection was lost, or could not be made in time" : String(code ?? message);
  return new MillraceError("POSTGRES_FAILED", `${doing}: ${what}`, {
    where: { url },
    hint: "Check host and port, that the server takes connections from here, and whether it wants ssl.",
    retryable: isNetwork || isLost,
    cause: thrown,
  });
}
