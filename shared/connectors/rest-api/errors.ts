import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import { optional } from "../../contract/optional.ts";
import type { NotText } from "../kit/http/body.ts";
import { isPassing, limitHint, NOT_SENT, REFUSED_STATUS, reasonOf } from "../kit/http/failures.ts";
import type { LimitAnswer } from "../kit/http/rate-limits.ts";
import type { JsonFault } from "../kit/json-parser.ts";
import type { HttpRequest } from "./request.ts";

/** Returns true if it is safe to send the request twice. */
function isRepeatable({ method, delivery }: HttpRequest): boolean {
  const isIdempotent = method === "PUT" || method === "DELETE";
  return delivery === undefined || isIdempotent || delivery.idempotency !== undefined;
}

/** Formats the request's rows for a message, such as ` for rows 201 to 300`. */
function rowsIn({ delivery }: HttpRequest): string {
  const rows = delivery?.rows;
  return rows === undefined ? "" : ` for rows ${rows.first} to ${rows.last}`;
}

function locationOf({ delivery }: HttpRequest, url: string): ErrorLocation {
  return { url, ...optional("row", delivery?.rows?.first) };
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

/**
 * The error of a body that is not JSON. `fault` says why, and `found` is its start, without
 * secrets.
 */
export function notJson(
  method: string,
  status: number,
  url: string,
  { message: fault, kind }: JsonFault,
  found: string | undefined,
): MillraceError {
  const message = `${method} ${url} answered ${status} with a body that is not JSON: ${fault}`;
  return new MillraceError("HTTP_NOT_JSON", message, {
    where: { url, status },
    hint:
      kind === "doubtful"
        ? "The meaning is in doubt. Ask who runs the API to correct it."
        : "Check that url is the API's, not that of a page for people.",
    found,
  });
}

/** The error of a body that ends too early, though the connection was closed in order. */
export function bodyCut(method: string, status: number, url: string, how: string): MillraceError {
  const message = `${method} ${url} answered ${status} with a body that was cut: ${how}`;
  return new MillraceError("HTTP_FAILED", message, {
    where: { url, status },
    retryable: true,
    hint: "Look for a proxy between here and the API that cuts answers, or ask for smaller pages.",
  });
}

/** The error of a body that is not in its charset. */
export function notText(method: string, status: number, url: string, reason: NotText): MillraceError {
  const { problem, charset } = reason;
  if (problem === "incomplete") return bodyCut(method, status, url, "it ends in the middle of a character");
  const why =
    problem === "unknown charset"
      ? `in the charset ${JSON.stringify(charset)}, which is unknown`
      : `that is not in its charset, ${charset}: the byte at ${reason.position} (from 0) cannot be decoded`;
  return new MillraceError("HTTP_NOT_TEXT", `${method} ${url} answered ${status} with a body ${why}`, {
    where: { url, status },
    hint: 'If the API writes another charset than it says, set that one, such as `charset: "windows-1252"`.',
  });
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

/** A response whose status is an error, and the options that its error names. */
export interface ErrorAnswer extends LimitAnswer {
  readonly status: number;
  /** What the API said, without secrets. It may quote rows. */
  readonly found: string | undefined;
  /** The option `maxRetryDelaySeconds`. */
  readonly maxDelay: number;
}

export function statusError(request: HttpRequest, url: string, answer: ErrorAnswer): MillraceError {
  const { delivery } = request;
  const { status, isLimit, found } = answer;
  const passes = isPassing(status) || isLimit;
  // With a key, status 409 means that the API is still processing the first request.
  const passesWithKey = passes || (status === 409 && delivery?.idempotency !== undefined);
  const isRefused = REFUSED_STATUS.has(status) || isLimit;
  const retryable = isRepeatable(request) ? passesWithKey : isRefused;
  const ofStatus = delivery === undefined ? hintFor(status) : hintForDelivery(status);
  const hint =
    (passesWithKey ? limitHint(answer) : undefined) ??
    (passes && !retryable ? MAYBE_PROCESSED_HINT : ofStatus);
  return new MillraceError("HTTP_STATUS", `${request.method} ${url} answered ${status}${rowsIn(request)}`, {
    where: { ...locationOf(request, url), status },
    retryable,
    hint,
    found,
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
  if (status !== 401 && status !== 403) return undefined;
  return "Check the credentials: oauth2, bearerToken, headers or query of the options, and the environment variables that they name.";
}
