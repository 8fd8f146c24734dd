import { MillraceError } from "../contract/errors.ts";
import type { Ports } from "./ports/runtime.ts";

const FIRST_DELAY_MILLISECONDS = 200;
const LONGEST_DELAY_MILLISECONDS = 10_000;

/** How long to wait before attempt `attemptNumber` (1 is the first retry): exponential, half of it jitter. */
export function backOff(attemptNumber: number, random: () => number): number {
  const delay = Math.min(LONGEST_DELAY_MILLISECONDS, FIRST_DELAY_MILLISECONDS * 2 ** (attemptNumber - 1));
  return delay / 2 + (delay / 2) * random();
}

/** Calls `body` until it succeeds, fails for good, or has failed `attempts` times. Only retryable errors are tried again. */
export async function retried<T>(ports: Ports, attempts: number, body: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await body();
    } catch (error) {
      if (attempt >= attempts || !MillraceError.is(error) || !error.retryable) throw error;
      await ports.runtime.sleep(backOff(attempt, ports.random));
    }
  }
}

/**
 * Makes one call whose error does not tell whether it took effect: then reads back, and takes what is there where it is what was
 * meant (`readBack` gives `undefined` where it is not). A lost epoch is final and is not asked about.
 */
export async function confirmed<T>(
  call: () => Promise<T>,
  readBack: () => Promise<T | undefined>,
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (MillraceError.is(error) && error.code === "FENCED") throw error;
    const there = await readBack().catch(() => undefined);
    if (there === undefined) throw error;
    return there;
  }
}
