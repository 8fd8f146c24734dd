import { ConditionalCheckFailedException, TransactionCanceledException } from "@aws-sdk/client-dynamodb";
import { isTransient, statusOf } from "../../aws/transient.ts";
import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { Item } from "./dynamodb-items.ts";

/** Beyond the SDK's own: a table that was just made throttles for longer, and conflicts it does not retry at all. */
const ATTEMPTS = 8;
const FIRST_DELAY_MILLISECONDS = 50;
const LONGEST_DELAY_MILLISECONDS = 5000;
const PASSING_REASONS = new Set(["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]);

/**
 * Makes a call, again with jitter where it was throttled or met another transaction. A failed condition is passed on as it is; any other
 * error becomes `LEDGER_FAILED`, whose call may have taken effect.
 */
export async function calling<T>(options: { readonly runtime: Runtime }, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException || cancelledBy(error) !== undefined) throw error;
      const passes = isPassing(error);
      if (!passes || attempt === ATTEMPTS) throw failed(error, passes);
      const delay = Math.min(LONGEST_DELAY_MILLISECONDS, FIRST_DELAY_MILLISECONDS * 2 ** attempt);
      await options.runtime.sleep(delay * options.runtime.random());
    }
  }
}

/** The items that were there, by the position of the write, where a transaction failed by a condition; else `undefined`. */
export function cancelledBy(error: unknown): readonly (Item | undefined)[] | undefined {
  if (!(error instanceof TransactionCanceledException)) return undefined;
  const reasons = error.CancellationReasons ?? [];
  return reasons.some((reason) => reason.Code === "ConditionalCheckFailed")
    ? reasons.map((reason) => reason.Item)
    : undefined;
}

/** The error of a transaction with items of a sink, where these were surely refused, and so nothing was written; else `error` itself. */
export function refusedItems(error: unknown, pipeline: string, batchId: number): unknown {
  const cause = MillraceError.is(error) ? error.cause : undefined;
  if (isPassing(cause) || statusOf(cause) !== 400) return error;
  const codes = cause instanceof TransactionCanceledException ? cause.CancellationReasons : undefined;
  const code = codes?.find((reason) => reason.Code !== "None")?.Code ?? (cause as Error).name;
  return new MillraceError("TRANSACTION_REFUSED", `DynamoDB refused the items of the sink: ${code}`, {
    where: { pipeline, batchId },
    hint: "Nothing was written. Check that the table is there, that its keys are those of the sink's options, and that the role of Finalize may put items; its own message is below.",
    cause,
  });
}

function isPassing(error: unknown): boolean {
  if (error instanceof TransactionCanceledException) {
    return (error.CancellationReasons ?? []).some((reason) => PASSING_REASONS.has(reason.Code ?? ""));
  }
  return isTransient(error);
}

function failed(error: unknown, retryable: boolean): MillraceError {
  const name = error instanceof Error ? error.name : "unknown error";
  return new MillraceError("LEDGER_FAILED", `DynamoDB failed: ${name}`, {
    retryable,
    hint: "Check the table, the role's rights and the account's limits, then run again: nothing is lost.",
    cause: error,
  });
}
