import { MillraceError } from "../contract/errors.ts";
import type { RetryPolicy } from "../contract/retry.ts";
import type { Batch, Ledger } from "./ports/ledger.ts";
import type { BatchState } from "./ports/states.ts";

/** Waits between the attempts of a task, and between the attempts of a sink's commit. */
export const STEP_RETRY: Omit<RetryPolicy, "attempts"> = { firstDelay: 300, longestDelay: 10_000 };

/**
 * Makes a ledger call once. If it throws, its outcome is unknown: `readBack` then returns the state
 * if it is the intended one, otherwise `undefined`, and the error is thrown. `FENCED` is thrown at
 * once, because the outcome is then known.
 */
export async function callOrReadBack<T>(
  call: () => Promise<T>,
  readBack: () => Promise<T | undefined>,
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (MillraceError.is(error) && error.code === "FENCED") throw error;
    const accepted = await readBack().catch(() => undefined);
    if (accepted === undefined) throw error;
    return accepted;
  }
}

/**
 * Makes a transition of the batch to the state `to`. If the call throws, reads the batch and
 * accepts it if this attempt has reached that state.
 */
export async function transitionOrReadBack(
  ledger: Ledger,
  { pipeline, batchId, attempt }: Batch,
  to: BatchState,
  transition: () => Promise<Batch>,
): Promise<Batch> {
  return await callOrReadBack(transition, async () => {
    const current = await ledger.batch(pipeline, batchId);
    return current?.attempt === attempt && current.state === to ? current : undefined;
  });
}
