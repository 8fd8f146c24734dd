const NAMES: ReadonlySet<string> = new Set([
  "InternalServerError",
  "NetworkingError",
  "ProvisionedThroughputExceededException",
  "RequestLimitExceeded",
  "RequestTimeout",
  "RequestTimeoutException",
  "ServiceUnavailable",
  "SlowDown",
  "ThrottlingException",
  "TimeoutError",
  "TransactionConflictException",
  "TransactionInProgressException",
]);
const CODES: ReadonlySet<unknown> = new Set([
  "EAI_AGAIN",
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
]);

/**
 * True if the same call may succeed later, because the service was busy or the connection broke.
 * The AWS SDK has already used up its own retries at this point.
 */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, $retryable } = error as { readonly code?: unknown; readonly $retryable?: unknown };
  const status = httpStatusOf(error);
  const isBusy = status === 429 || (status !== undefined && status >= 500);
  return isBusy || $retryable !== undefined || NAMES.has(error.name) || CODES.has(code);
}

/** Returns the HTTP status of an error that the AWS SDK threw, if it has one. */
export function httpStatusOf(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null || !("$metadata" in error)) return undefined;
  return (error.$metadata as { readonly httpStatusCode?: number }).httpStatusCode;
}
