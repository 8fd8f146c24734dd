import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { HttpRequest } from "./request.ts";

const RETRIED_STATUS: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);
/**
 * Statuses for which a request with an idempotency key is sent again. With a key, status 409 means
 * that the API is still processing the first request.
 */
const RETRIED_WITH_KEY: ReadonlySet<number> = new Set([...RETRIED_STATUS, 409]);
/** HTTP statuses and error codes after which it is certain that the request was not processed. */
const REFUSED_STATUS: ReadonlySet<number> = new Set([425, 429]);
const NOT_SENT: ReadonlySet<string> = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN"]);

/** Returns true if it is safe to send the request twice. */
function isRepeatable({ method, delivery }: HttpRequest): boolean {
  return delivery === undefined || method === "PUT" || delivery.idempotency !== undefined;
}

/** Formats the request's rows for a message, such as ` for rows 201 to 300`. */
function rowsIn({ delivery }: HttpRequest): string {
  return delivery === undefined ? "" : ` for rows ${delivery.rows.first} to ${delivery.rows.last}`;
}

function locationOf({ delivery }: HttpRequest, url: string): ErrorLocation {
  return { url, ...(delivery === undefined ? {} : { row: delivery.rows.first }) };
}

const MAYBE_PROCESSED_HINT =
  "The API may have processed it, and has no idempotency key to know it by: look there before the next run, which sends it again.";

/**
 * The error of a request without a complete response. `seconds` is the timeout if that was the
 * reason.
 */
export function noResponse(
  request: HttpRequest,
  url: string,
  thrown: unknown,
  seconds: number | undefined,
): MillraceError {
  const { code, reason } = reasonOf(thrown);
  const problem = seconds === undefined ? reason : `no answer within ${seconds} s`;
  const retryable = isRepeatable(request) || (seconds === undefined && NOT_SENT.has(code));
  return new MillraceError("HTTP_FAILED", `${request.method} ${url} failed${rowsIn(request)}: ${problem}`, {
    where: locationOf(request, url),
    retryable,
    hint: retryable ? "Check that the API is up and can be reached from here." : MAYBE_PROCESSED_HINT,
  });
}

export function notJson(method: string, status: number, url: string): MillraceError {
  return new MillraceError(
    "HTTP_NOT_JSON",
    `${method} ${url} answered ${status} with a body that is not JSON`,
    {
      where: { url, status },
      hint: "Check that url is the API's, not that of a page for people.",
    },
  );
}

export function responseTooLarge(
  method: string,
  status: number,
  url: string,
  maxBytes: number,
): MillraceError {
  return new MillraceError(
    "RESPONSE_TOO_LARGE",
    `${method} ${url} answered with more than ${maxBytes} bytes, which is the maxResponseBytes of the options`,
    {
      where: { url, status },
      hint: "Ask for smaller pages (pageSize, timeRange), or raise maxResponseBytes: a page is held in memory.",
    },
  );
}

export function statusError(request: HttpRequest, url: string, status: number): MillraceError {
  const { delivery } = request;
  const retried = delivery?.idempotency === undefined ? RETRIED_STATUS : RETRIED_WITH_KEY;
  const retryable = (isRepeatable(request) ? retried : REFUSED_STATUS).has(status);
  const isUnknown = !retryable && RETRIED_STATUS.has(status);
  return new MillraceError("HTTP_STATUS", `${request.method} ${url} answered ${status}${rowsIn(request)}`, {
    where: { ...locationOf(request, url), status },
    retryable,
    hint: isUnknown
      ? MAYBE_PROCESSED_HINT
      : delivery === undefined
        ? hintFor(status)
        : hintForDelivery(status),
  });
}

function hintFor(status: number): string {
  return (
    commonHint(status) ??
    (status >= 500
      ? "The API is at fault: ask who runs it. The batch will be replayed with the same range."
      : "Check url, query and pagination of the options.")
  );
}

function hintForDelivery(status: number): string {
  if (status >= 300 && status <= 399) return "The API is elsewhere: set url to where it sends the request.";
  if (status === 409)
    return "Where the API says so of rows that it has already, set alreadyDone: [409]; else it was still at work on an earlier try.";
  if (status === 413) return "The request is too large: lower rowsPerRequest.";
  return (
    commonHint(status) ??
    (status >= 500
      ? "The API is at fault: ask who runs it. The next run sends the same requests again."
      : "The API refuses the rows, or has no such endpoint: check url, method and body of the options, and its log.")
  );
}

function commonHint(status: number): string | undefined {
  if (status === 401 || status === 403) {
    return "Check the credentials: bearerToken, headers or query of the options, and the environment variables that they name.";
  }
  if (status === 429)
    return "The API limits requests: lower --max-concurrency, or raise maxRetries and maxRetryDelaySeconds.";
  return undefined;
}

/** fetch says only "fetch failed"; the reason is in the error's cause. */
function reasonOf(error: unknown): { readonly code: string; readonly reason: string } {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const message = cause instanceof Error ? cause.message : String(cause);
  return { code, reason: [code, message].filter(Boolean).join(": ") };
}
