import { expect, it } from "vitest";
import { otherCodeWarning } from "../../shared/engine/other-code.ts";
import type { Batch } from "../../shared/engine/ports/ledger.ts";

const batch = (code?: string) => ({ pipeline: "p", batchId: 7, attempt: 1, code }) as unknown as Batch;

it("A batch that is resumed by other code causes a warning with the beginnings of both digests", () => {
  expect(otherCodeWarning(batch("0123456789abcdef"), "fedcba9876543210")).toMatchObject({
    code: "CODE_CHANGED",
    message: "batch 7 was planned by code 0123456789ab, and code fedcba987654 goes on with it",
  });
});

it("A batch that is resumed by the same code, or by unknown code, causes no warning", () => {
  expect(otherCodeWarning(batch("a"), "a")).toBeUndefined();
  expect(otherCodeWarning(batch("a"), undefined)).toBeUndefined();
  expect(otherCodeWarning(batch(), "a")).toBeUndefined();
});
