import type { Runtime } from "./context.ts";
import { MillraceError } from "./errors.ts";

/** How often a call is tried, and how long to wait in between. */
export interface RetryPolicy {
  /** Calls at most, the first one included. */
  readonly attempts: number;
  /** The longest wait before the second call, milliseconds; it doubles with each further call. */
  readonly firstDelay: number;
  /** The longest wait of all, milliseconds. */
  readonly longestDelay: number;
}

/** What a caller may say about its errors. */
export interface RetryOptions {
  /** True if the same call may succeed later. Default: what a MillraceError says of itself. */
  isRetryable?(error: unknown): boolean;
  /** How long the other side asks to wait, milliseconds; `undefined` if it does not say. */
  askedDelayOf?(error: unknown): number | undefined;
  /** Called before each wait, milliseconds. */
  onRetry?(error: unknown, delay: number): void;
  /** Ends the waiting: it then fails with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * How long to wait before retry number `retry` (1 is the first), milliseconds: exponential with full jitter, so that callers that
 * failed together do not come back together.
 */
export function backOff(policy: RetryPolicy, retry: number, random: () => number): number {
  return Math.min(policy.longestDelay, policy.firstDelay * 2 ** (retry - 1)) * random();
}

/**
 * Calls `body` until it succeeds, fails for good, or has failed `attempts` times; the last error is thrown as it is. A wait that the
 * other side asks for is kept if it is no longer than `longestDelay`; otherwise the error is final. `body` gets the attempt, from 1.
 */
export async function retry<T>(
  runtime: Pick<Runtime, "random" | "sleep">,
  policy: RetryPolicy,
  body: (attempt: number) => Promise<T>,
  options: RetryOptions = {},
): Promise<T> {
  const isRetryable = options.isRetryable ?? saysRetryable;
  for (let attempt = 1; ; attempt++) {
    try {
      return await body(attempt);
    } catch (error) {
      if (attempt >= policy.attempts || !isRetryable(error)) throw error;
      const asked = options.askedDelayOf?.(error) ?? 0;
      if (asked > policy.longestDelay) throw error;
      const delay = Math.max(
        asked,
        backOff(policy, attempt, () => runtime.random()),
      );
      options.onRetry?.(error, delay);
      await runtime.sleep(delay, options.signal);
    }
  }
}

function saysRetryable(error: unknown): boolean {
  return MillraceError.is(error) && error.retryable;
}
