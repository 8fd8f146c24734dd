import type { ErrorCode } from "../contract/error-codes.ts";
import { type ErrorParts, MillraceError } from "../contract/errors.ts";

/** Maximum number of later errors that are kept beside the first one. */
const MAX_LATER = 3;

/** After these errors another run goes on with the pipeline, so this run has nothing to report. */
const LOST: ReadonlySet<string> = new Set<ErrorCode>(["FENCED", "RUN_IS_STALE"]);

/** True if the error means that another run has taken the pipeline over. */
export function isLost(error: unknown): boolean {
  return MillraceError.is(error) && LOST.has(error.code);
}

/**
 * Returns the first error with the later one beside it, because the first one is the cause. The
 * result is retryable if the later one is, because that one stopped the step.
 */
export function besides(first: ErrorParts | undefined, later: unknown): unknown {
  if (first === undefined || !MillraceError.is(later) || isLost(later)) return later;
  if (isSame(first, later)) return MillraceError.from({ ...partsWithStack(first), also: later.also });
  const earlier = (first.also ?? []).filter((error) => !isSame(error, later));
  return MillraceError.from({
    ...partsWithStack(first),
    retryable: later.retryable,
    also: [...earlier, later, ...later.also].slice(0, MAX_LATER),
  });
}

/**
 * Returns the error with errors beside it that do not change what follows, as Java keeps suppressed
 * exceptions.
 */
export function withSuppressed(error: unknown, suppressed: readonly MillraceError[]): unknown {
  if (!MillraceError.is(error) || suppressed.length === 0) return error;
  const also = [...error.also, ...suppressed].slice(0, MAX_LATER);
  return MillraceError.from({ ...partsWithStack(error), also });
}

/** Copies the parts one by one, because those of an error are no enumerable properties. */
function partsWithStack({
  code,
  message,
  where,
  hint,
  found,
  cause,
  origin,
  stack,
  retryable,
}: ErrorParts): ErrorParts {
  return {
    code,
    message,
    where: where ?? {},
    hint,
    found,
    cause,
    origin,
    stack,
    retryable: retryable ?? false,
  };
}

function isSame(a: ErrorParts, b: ErrorParts): boolean {
  return a.code === b.code && a.message === b.message;
}
