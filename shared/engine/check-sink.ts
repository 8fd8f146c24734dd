import type { Schema } from "apache-arrow";
import type { ErrorCode } from "../contract/error-codes.ts";
import { MillraceError } from "../contract/errors.ts";
import type { Head } from "./ports/ledger.ts";
import type { Sessions } from "./sessions/open-sessions.ts";
import { checkSinkPosition } from "./sink-position.ts";

/** Codes of servers, catalogs and stores that refuse. */
const REFUSALS: ReadonlySet<string> = new Set<ErrorCode>([
  "CATALOG_DENIED",
  "CATALOG_FAILED",
  "DYNAMODB_FAILED",
  "POSTGRES_FAILED",
  "STORE_FAILED",
]);

/**
 * Checks before a batch is recorded that the sink fits the ledger, can be reached, and takes rows
 * of the schema. Throws the sink's error; `TARGET_UNUSABLE` if a server, a catalog or a store
 * refuses and will not take it next time either, such as for a wrong password.
 */
export async function checkSink(sessions: Sessions, head: Head, schema: Schema): Promise<void> {
  try {
    await checkSinkPosition(sessions, head);
    await sessions.sink.checkTarget(schema, head);
  } catch (error) {
    if (!MillraceError.is(error) || error.retryable || !REFUSALS.has(error.code)) throw error;
    const { message, where, hint, cause } = error;
    throw new MillraceError("TARGET_UNUSABLE", `the sink cannot be used: ${message}`, {
      where,
      hint: `Nothing was planned. ${hint ?? "Correct the options of the sink."}`,
      cause: cause ?? error,
    });
  }
}
