import type { RunSteps } from "../shared/engine/run/loop.ts";

/**
 * Returns the result of `work`. If `crash` aborts first, rejects with its reason and abandons the
 * work, as a killed process would.
 */
export async function unlessCrashed<T>(crash: AbortSignal, work: Promise<T>): Promise<T> {
  crash.throwIfAborted();
  const over = new AbortController();
  const crashed = new Promise<never>((_, reject) => {
    crash.addEventListener("abort", () => reject(crash.reason), { once: true, signal: over.signal });
  });
  try {
    return await Promise.race([work, crashed]);
  } finally {
    over.abort();
  }
}

/** Returns the same steps, which reject when `crash` aborts. */
export function stepsUnlessCrashed(crash: AbortSignal, steps: RunSteps): RunSteps {
  return {
    prepare: () => unlessCrashed(crash, steps.prepare()),
    plan: (policy) => unlessCrashed(crash, steps.plan(policy)),
    write: (planned) => unlessCrashed(crash, steps.write(planned)),
    finalize: (planned, failure) => unlessCrashed(crash, steps.finalize(planned, failure)),
  };
}
