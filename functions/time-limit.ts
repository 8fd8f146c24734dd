import type { Context } from "aws-lambda";
import type { Runtime } from "../shared/contract/context.ts";
import { MillraceError } from "../shared/contract/errors.ts";

/**
 * Returns the time that a task gets to drop staged files and report its error: a tenth of its time,
 * between 1 and 10 seconds.
 */
const graceOf = (milliseconds: number) => Math.min(10_000, Math.max(1000, milliseconds / 10));

/**
 * Runs `body` and aborts its signal shortly before the function's timeout. If `body` does not
 * react, it is abandoned. Error: `TASK_OUT_OF_TIME`.
 */
export async function withinTime<T>(
  lambda: Pick<Context, "getRemainingTimeInMillis">,
  body: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const left = lambda.getRemainingTimeInMillis();
  const grace = graceOf(left);
  const error = new MillraceError(
    "TASK_OUT_OF_TIME",
    `the task was not done ${Math.round(grace / 1000)} s before its ${Math.round(left / 1000)} s were over, and was stopped`,
    {
      hint: "Raise the construct's writerTimeout (at most 15 minutes) or writerMemory, or give smaller partitions. The next run tries the same batch again.",
    },
  );
  const controller = new AbortController();
  const stop = setTimeout(() => controller.abort(error), left - grace);
  let abandon: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    abandon = setTimeout(() => reject(error), left - grace / 4);
  });
  try {
    return await Promise.race([body(controller.signal), tooLate]);
  } finally {
    clearTimeout(stop);
    clearTimeout(abandon);
  }
}

/**
 * Returns when the function is killed, in epoch milliseconds. Until then, no other attempt of the
 * task may commit if this one has begun to.
 */
export function commitDeadline(
  lambda: Pick<Context, "getRemainingTimeInMillis">,
  runtime: Pick<Runtime, "now">,
): number {
  return runtime.now() + lambda.getRemainingTimeInMillis();
}
