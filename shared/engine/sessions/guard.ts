import type { ErrorCode } from "../../contract/error-codes.ts";
import { type ErrorLocation, toMillraceError } from "../../contract/errors.ts";
import type { Awaitable } from "../../contract/stream-reader.ts";

/** Calls user code. Anything it throws becomes a MillraceError at `where`. */
export async function guard<T>(
  code: ErrorCode,
  doing: string,
  where: ErrorLocation,
  body: () => Awaitable<T>,
  retryable = false,
): Promise<T> {
  try {
    return await body();
  } catch (error) {
    throw toMillraceError(error, code, doing, where, retryable);
  }
}
