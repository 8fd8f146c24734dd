import type { Runtime } from "./context.ts";
import { MillraceError } from "./errors.ts";

/** How often a call is tried, and how long to wait between tries. */
export interface RetryPolicy {
  /** Maximum number of calls, including the first. */
  readonly attempts: number;
  /** Maximum wait before the second call, in milliseconds. It doubles with each further call. */
  readonly firstDelay: number;
  /** Upper bound of every wait, in milliseconds. */
  readonly longestDelay: number;
}

/** How `retry` treats the errors of one call. */
export interface RetryOptions {
  /**
   * Returns true if the same call may succeed later. By default this is the `retryable` property of
   * a MillraceError.
   */
  isRetryable?(error: unknown): boolean;
  /**
   * Returns the milliseconds that the other side asks to wait, or `undefined` if it does not say.
   */
  askedDelayOf?(error: unknown): number | undefined;
  /** Called before each wait, with the wait in milliseconds. */
  onRetry?(error: unknown, delay: number): void;
  /** Aborts the current wait. `retry` then throws the reason of the signal. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Returns the milliseconds to wait before retry number `retry` (1 is the first). The back-off is
 * exponential with full jitter, so that callers that failed together do not retry at the same
 * moment.
 */
export function backOff(policy: RetryPolicy, retry: number, random: () => number): number {
  return Math.min(policy.longestDelay, policy.firstDelay * 2 ** (retry - 1)) * random();
}

/**
 * Calls `body` until it succeeds, throws an error that is not retryable, or has failed `attempts`
 * times. The last error is thrown unchanged. A wait that the other side asks for is respected up to
 * `longestDelay`; if it asks for more, the error is thrown. `body` receives the attempt number,
 * from 1.
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
