import type { Trap } from "../trap.ts";
import { compareAfterCommit } from "./compare.ts";
import { rowsBetween } from "./simple-reading.ts";
import { hasFirstRead, type SimpleRange, type SimpleSubject } from "./subject.ts";

/** Detects a `commit(end)` that also releases rows after `end`. */
export const SIMPLE_COMMIT: Trap<SimpleSubject, SimpleSubject & { readonly ab: SimpleRange }> = {
  code: "COMMIT_FORGETS_TOO_MUCH",
  applies: hasFirstRead,
  async run(simple) {
    const { ab, bc, findings } = simple;
    const isCommitted = await findings.check("commit(b) twice", async () => {
      const reader = await simple.make();
      await reader.commit(ab.end);
      await reader.commit(ab.end);
    });
    if (!isCommitted || bc === undefined) return isCommitted;
    return await findings.check("readBetweenOffsets(b, c) after commit(b)", async () => {
      const after = await rowsBetween(simple, bc.start, bc.end);
      compareAfterCommit(simple, bc.rows, after, [bc.start, bc.end]);
    });
  },
};
