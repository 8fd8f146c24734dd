import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { MUTANTS } from "../exhaustive/mutants.ts";
import { MUTATIONS } from "../faults/all-mutations.ts";
import { ICEBERG_MUTATIONS } from "../iceberg/mutants/mutations.ts";
import { ROOT } from "../support/root.ts";

it("Each mutant changes code that is there exactly once", () => {
  const edits = [MUTANTS, MUTATIONS, ICEBERG_MUTATIONS].flat().flatMap((mutant) => mutant.edits);
  const wrong = edits.filter(
    ({ file, find }) => readFileSync(join(ROOT, file), "utf8").split(find).length !== 2,
  );
  expect(wrong.map(({ file, find }) => ({ file, find }))).toEqual([]);
});
