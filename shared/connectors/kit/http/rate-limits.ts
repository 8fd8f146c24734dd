import { parseHttpDate, parseRetryAfter } from "./response-headers.ts";

/** What an error response says about a limit on the number of requests. */
export interface LimitAnswer {
  /** True if the API refused the request because of a limit. */
  readonly isLimit: boolean;
  /** The milliseconds that the API asks to wait, or `undefined` if it does not say. */
  readonly wait: number | undefined;
}

/** Prefixes of the headers in use: GitHub's, Twitter's, and those of the IETF draft. */
const PREFIXES: readonly string[] = ["x-ratelimit-", "x-rate-limit-", "ratelimit-"];
/** Texts of APIs that answer 403 at a limit, such as GitHub's secondary limits and Google's. */
const LIMIT_TEXT = /rate.?limit|too many requests|throttl|quota.?(?:exceeded|exhausted)|request.?limit/i;
/** A reset above it is a time in seconds since 1970, and below it a number of seconds. */
const FIRST_EPOCH = 1e9;
const FIRST_EPOCH_MILLISECONDS = 1e12;

/** Reads the headers and the text of an error response. `now` is used if it has no `Date`. */
export function limitAnswer(
  { status, headers }: Pick<Response, "status" | "headers">,
  text: string,
  now: number,
): LimitAnswer {
  const sentAt = headers.get("date");
  const retryAfter = parseRetryAfter(headers.get("retry-after"), sentAt, now);
  const remaining = remainingOf(headers);
  const isForbiddenLimit = remaining === 0 || retryAfter !== undefined || LIMIT_TEXT.test(text);
  const isLimit = status === 429 || (status === 403 && isForbiddenLimit);
  // The counter may be that of another limit than the one that refused the request.
  const wait = retryAfter ?? (isLimit && !(remaining ?? 0) ? resetOf(headers, sentAt, now) : undefined);
  return { isLimit, wait };
}

function remainingOf(headers: Headers): number | undefined {
  return numberOf(namedHeader(headers, "remaining")) ?? draftParameter(headers, ["r", "remaining"]);
}

/** Returns the milliseconds until the limit is reset. */
function resetOf(headers: Headers, sentAt: string | null, now: number): number | undefined {
  const header = namedHeader(headers, "reset");
  const seconds = numberOf(header) ?? draftParameter(headers, ["t", "reset"]);
  if (seconds === undefined) return parseRetryAfter(header, sentAt, now);
  if (seconds < FIRST_EPOCH) return seconds * 1000;
  const at = seconds < FIRST_EPOCH_MILLISECONDS ? seconds * 1000 : seconds;
  return Math.max(0, at - (parseHttpDate(sentAt) ?? now));
}

function namedHeader(headers: Headers, name: string): string | null {
  for (const prefix of PREFIXES) {
    const value = headers.get(prefix + name);
    if (value !== null) return value;
  }
  return null;
}

/** Returns the first number of a header, such as of `0` and of `0, 0;w=60`. */
function numberOf(header: string | null): number | undefined {
  const digits = /^\s*(\d+(?:\.\d+)?)\s*(?:[,;]|$)/.exec(header ?? "")?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Reads the header `RateLimit`: `"default";r=0;t=30`, or `limit=100, remaining=0, reset=30`. */
function draftParameter(headers: Headers, names: readonly string[]): number | undefined {
  const parameters = (headers.get("ratelimit") ?? "").split(/[;,]/).map((part) => part.trim().split("="));
  const found = parameters.find(([name = ""]) => names.includes(name));
  return numberOf(found?.[1] ?? null);
}
