import {
  ConditionalCheckFailedException,
  type Put,
  TransactionCanceledException,
  type TransactWriteItem,
} from "@aws-sdk/client-dynamodb";
import { isDynamoDbItem } from "../../aws/transaction-item.ts";
import { httpStatusOf, isTransient } from "../../aws/transient.ts";
import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { type RetryPolicy, retry } from "../../contract/retry.ts";
import type { TransactionItem } from "../../contract/stream-writer.ts";
import type { Batch } from "../../engine/ports/ledger.ts";
import type { Item } from "./dynamodb-items.ts";

/**
 * More retries than the SDK's own: a new table throttles for longer, and the SDK does not retry
 * transaction conflicts at all.
 */
const RETRY: RetryPolicy = { attempts: 8, firstDelay: 100, longestDelay: 5000 };
const RETRYABLE_REASONS = new Set([
  "TransactionConflict",
  "ThrottlingError",
  "ProvisionedThroughputExceeded",
]);

/**
 * Makes a call, and retries it if it was throttled or conflicted with another transaction. A failed
 * condition is thrown unchanged. Any other error becomes `LEDGER_FAILED`; such a call may have
 * taken effect.
 */
export async function callWithRetry<T>(runtime: Runtime, call: () => Promise<T>): Promise<T> {
  try {
    return await retry(runtime, RETRY, call, { isRetryable });
  } catch (error) {
    throw isFailedCondition(error) ? error : ledgerFailed(error);
  }
}

/**
 * Returns the existing items, in the order of the writes, if a condition of the transaction failed.
 * Returns `undefined` for any other error.
 */
export function itemsOfFailedCondition(error: unknown): readonly (Item | undefined)[] | undefined {
  if (!(error instanceof TransactionCanceledException)) return undefined;
  const reasons = error.CancellationReasons ?? [];
  return reasons.some((reason) => reason.Code === "ConditionalCheckFailed")
    ? reasons.map((reason) => reason.Item)
    : undefined;
}

/**
 * Returns the error of a transaction that included items of a sink. It is `TRANSACTION_REFUSED` if
 * DynamoDB certainly refused the items, so that nothing was written. Otherwise it is `error`
 * itself.
 */
export function refusedItemsError(error: unknown, pipeline: string, batchId: number): unknown {
  const cause = MillraceError.is(error) ? error.cause : undefined;
  if (isRetryable(cause) || httpStatusOf(cause) !== 400) return error;
  const codes = cause instanceof TransactionCanceledException ? cause.CancellationReasons : undefined;
  const code = codes?.find((reason) => reason.Code !== "None")?.Code ?? (cause as Error).name;
  return new MillraceError("TRANSACTION_REFUSED", `DynamoDB refused the items of the sink: ${code}`, {
    where: { pipeline, batchId },
    hint: "Nothing was written. Check that the table is there, that its keys are those of the sink's options, and that the role of Finalize may put items; its own message is below.",
    cause,
  });
}

/**
 * Converts an item of a sink to a write of the transaction. Throws `TRANSACTION_REFUSED` if the
 * item is not for DynamoDB.
 */
export function putOf(
  item: TransactionItem,
  { pipeline, batchId }: Pick<Batch, "pipeline" | "batchId">,
): TransactWriteItem {
  if (isDynamoDbItem(item)) {
    const { table, item: Item, condition } = item;
    return { Put: { TableName: table, Item: Item as Item, ...(condition as Partial<Put> | undefined) } };
  }
  throw new MillraceError(
    "TRANSACTION_REFUSED",
    `the ledger is in DynamoDB, and takes no items of a sink that are for "${item.kind}"`,
    {
      where: { pipeline, batchId },
      hint: "Nothing was written. transactionItems() must make its items by dynamoDbItem().",
    },
  );
}

/**
 * The error of a transaction whose condition on an item of the sink failed: another ledger has
 * written the item since the sink read it.
 */
export function sinkItemChanged(pipeline: string, batchId: number): MillraceError {
  return new MillraceError(
    "TRANSACTION_REFUSED",
    "an item of the sink has changed since the sink looked at it",
    {
      where: { pipeline, batchId },
      hint: "Nothing was written. Another ledger may write to the same table under this name: the next run looks again, and says so.",
    },
  );
}

function isFailedCondition(error: unknown): boolean {
  return error instanceof ConditionalCheckFailedException || itemsOfFailedCondition(error) !== undefined;
}

function isRetryable(error: unknown): boolean {
  if (isFailedCondition(error)) return false;
  if (error instanceof TransactionCanceledException) {
    return (error.CancellationReasons ?? []).some((reason) => RETRYABLE_REASONS.has(reason.Code ?? ""));
  }
  return isTransient(error);
}

function ledgerFailed(error: unknown): MillraceError {
  const name = error instanceof Error ? error.name : "unknown error";
  return new MillraceError("LEDGER_FAILED", `DynamoDB failed: ${name}`, {
    retryable: isRetryable(error),
    hint: "Check the table, the role's rights and the account's limits, then run again: nothing is lost.",
    cause: error,
  });
}
