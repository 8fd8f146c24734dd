import type { LimitAnswer } from "./rate-limits.ts";

/** 5xx that do not pass: the API lacks something, or a network wants people to sign in. */
const LASTING_STATUS: ReadonlySet<number> = new Set([501, 505, 506, 510, 511]);
/** 4xx that pass. */
const PASSING_STATUS: ReadonlySet<number> = new Set([408, 425, 429]);

/** HTTP statuses and error codes after which it is certain that the request was not processed. */
export const REFUSED_STATUS: ReadonlySet<number> = new Set([425, 429]);
export const NOT_SENT: ReadonlySet<string> = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN"]);

/** Returns true if the same request may succeed later: also for the statuses of proxies, as 522. */
export function isPassing(status: number): boolean {
  return PASSING_STATUS.has(status) || (status >= 500 && status <= 599 && !LASTING_STATUS.has(status));
}

/** Returns the advice for a limit, or for a wait that is longer than allowed. */
export function limitHint({
  isLimit,
  wait,
  maxDelay,
}: Pick<LimitAnswer, "isLimit" | "wait"> & { readonly maxDelay: number }): string | undefined {
  const seconds = Math.ceil((wait ?? 0) / 1000);
  if (seconds > maxDelay) {
    return (
      `The API asks to wait ${seconds} s, which is longer than maxRetryDelaySeconds (${maxDelay}): ` +
      `run later, or set \`maxRetryDelaySeconds: ${seconds}\`.`
    );
  }
  if (!isLimit) return undefined;
  return "The API limits requests: set `requestsPerSecond: 1` or what it allows, lower --max-concurrency, or raise maxRetries and maxRetryDelaySeconds.";
}

/** fetch says only "fetch failed"; the reason is in the error's cause. */
export function reasonOf(error: unknown): { readonly code: string; readonly reason: string } {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const message = cause instanceof Error ? cause.message : String(cause);
  return { code, reason: [code, message].filter(Boolean).join(": ") };
}
