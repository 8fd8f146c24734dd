import { isAbort } from "../calls.ts";
import type { WriteRewrite } from "./rewrite.ts";
import { changeEach, repeatedChain, sectionsOf, writeRuns } from "./sections.ts";

/** Rewrites of how a batch ends. */

export const abortAgain: WriteRewrite = {
  id: "table-abort-again",
  reason:
    "docs/protocol.md, rule 4: a decision is followed to its end, so the `abort` of a stream's batch that failed is called again by the next run, before the batch is replayed. Spark forgets it.",
  rewrite(steps) {
    const streams = writeRuns(steps).filter(({ op }) => op.kind === "stream");
    return changeEach(streams, (run, i) => {
      const before = streams[i - 1];
      const isSame = run.op.kind === "stream" && run.op.checkpoint === "same";
      const failed = before?.driver.findLast(isAbort);
      const hasFailed = before?.driver.at(-1)?.call === "!! raise in StreamingWrite.abort";
      const [first] = sectionsOf(run);
      if (!isSame || failed === undefined || !hasFailed || first === undefined) return false;
      run.driver.unshift(...structuredClone(repeatedChain(first)), structuredClone(failed));
      return true;
    });
  },
};
