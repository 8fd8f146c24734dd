import type { Trap } from "../trap.ts";
import { commitOrRefuse } from "./calls.ts";
import { attemptOf, checkVisibleRows, isStaged, type SinkSubject, type Staged } from "./subject.ts";

const HINT =
  "The engine calls commit() again after a crash: keep incarnation, batchId and planId of the newest batch, written in one step with the rows, and do nothing if isCommitted(batch, newest).";

/** Detects a repeated commit that writes its rows again. */
export const COMMIT_AGAIN: Trap<SinkSubject, Staged> = {
  code: "SINK_NOT_IDEMPOTENT",
  applies: isStaged,
  run: (sink) => commitAgain(sink, "commit() again, with equal messages"),
};

/** Detects the same mistake if the commit is repeated after a later batch. */
export const LATE_COMMIT: Trap<SinkSubject, Staged> = {
  code: "SINK_NOT_IDEMPOTENT",
  applies: isStaged,
  run: (sink) => commitAgain(sink, "commit() of an earlier batch, late"),
};

async function commitAgain(sink: Staged, what: string): Promise<boolean> {
  const named = { code: "SINK_NOT_IDEMPOTENT", hint: HINT } as const;
  const outcome = await commitOrRefuse(sink, attemptOf(sink, 0), sink.messages, what, named);
  if (outcome === "failed") return true;
  if (sink.options.readBack === undefined) sink.findings.add(notVerified(sink));
  else await checkVisibleRows(sink, "SINK_NOT_IDEMPOTENT", `after ${what}`, HINT);
  return true;
}

function notVerified({ knowsBatch }: SinkSubject) {
  if (!knowsBatch)
    return {
      code: "SINK_NOT_IDEMPOTENT",
      message:
        "commit() asks neither for the batch id nor for batch.incarnation, so it cannot tell a commit that comes again",
      hint: `${HINT} If your commit is idempotent in another way, give readBack, and it is tried.`,
    } as const;
  return {
    code: "SINK_NOT_VERIFIED",
    message:
      "commit() was called twice for one batch, as after a crash, and nothing tells the kit whether the rows are there twice",
    hint: "Give readBack: () => the rows that a reader of the target sees, or their number.",
  } as const;
}
