import { expect, it } from "vitest";
import { isDenial, stepErrorName } from "../../functions/step-error.ts";
import type { ErrorCode } from "../../shared/contract/error-codes.ts";

it.each<[string, ErrorCode, boolean]>([
  ["Millrace.Retryable", "SOURCE_FAILED", true],
  ["Millrace.Final", "SOURCE_FAILED", false],
  ["Millrace.Denied", "COMMIT_DENIED", true],
])("The state machine learns of %s from the error %s with retryable %s", (name, code, retryable) => {
  expect(stepErrorName({ code, retryable })).toBe(name);
  expect(isDenial({ code })).toBe(code === "COMMIT_DENIED");
});
