import { STEP_ERROR } from "../shared/aws/names.ts";
import type { ErrorCode } from "../shared/contract/error-codes.ts";
import type { MillraceError } from "../shared/contract/errors.ts";

/** Returns the name of an error by which the state machine decides whether to call again. */
export function stepErrorName({ code, retryable }: Pick<MillraceError, "code" | "retryable">): string {
  if (isDenial({ code })) return STEP_ERROR.denied;
  return retryable ? STEP_ERROR.retryable : STEP_ERROR.final;
}

/** True for the error of an attempt that another one kept from its commit. */
export function isDenial({ code }: Pick<MillraceError, "code">): boolean {
  return code === ("COMMIT_DENIED" satisfies ErrorCode);
}
