import { MillraceError } from "../../shared/contract/errors.ts";

/** Calls an AWS service and converts its errors to `AWS_FAILED`. */
export async function callAws<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const problem = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    throw new MillraceError("AWS_FAILED", `${what} failed: ${problem}`, {
      hint: "Check the region and the credentials (AWS_REGION, AWS_PROFILE), and what they may do.",
    });
  }
}
