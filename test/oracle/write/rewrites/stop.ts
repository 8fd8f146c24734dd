import type { JsonValue } from "../../../../shared/contract/json.ts";
import { epochOf, isAbort, isCommit, messageOf, messagesOf } from "../calls.ts";
import type { Step } from "../trace.ts";
import type { WriteRewrite } from "./rewrite.ts";
import { changeEach, joined, sectionsOf, type WriteRun, writeRuns } from "./sections.ts";

export const stopLeavesOpen: WriteRewrite = {
  id: "stop-leaves-open",
  reason:
    "docs/spark-differences.md, Tables: a run that is stopped leaves its batch open, so no `abort` is called. The next run goes on with it: finished tasks are kept, the others run again. Spark aborts the epoch and writes all of it again.",
  rewrite(steps) {
    const streams = writeRuns(steps).filter(({ op }) => op.kind === "stream");
    return changeEach(streams, (run, i) => {
      if (!isStopped(steps, run)) return false;
      const abort = run.driver.findLast(isAbort);
      if (abort === undefined) return false;
      const epoch = epochOf(abort);
      const hasCommit = run.driver.some((call) => isCommit(call) && epochOf(call) === epoch);
      if (hasCommit) return false;
      // The step that would have ended the batch has not begun.
      run.driver = joined(sectionsOf(run).filter(({ rest }) => !rest.includes(abort)));
      const next = streams[i + 1];
      if (next?.op.kind === "stream" && next.op.checkpoint === "same") goOn(run, next, epoch);
      return true;
    });
  },
};

function isStopped(steps: readonly Step[], run: WriteRun): boolean {
  const next = steps.slice(steps.indexOf(run) + 1).find((step) => step.kind === "run");
  return next?.kind === "run" && next.op.kind === "stop";
}

/** The next run has the open batch: it plans nothing, and runs the tasks that are left. */
function goOn(stopped: WriteRun, next: WriteRun, epoch: number): void {
  const kept = new Map<number, JsonValue>();
  for (const attempt of stopped.attempts)
    if (attempt.epoch === epoch && messageOf(attempt) !== null)
      kept.set(attempt.partition, messageOf(attempt));
  next.attempts = next.attempts.filter((attempt) => attempt.epoch !== epoch || !kept.has(attempt.partition));
  const [planned, finalized, ...others] = sectionsOf(next);
  if (planned === undefined || finalized === undefined) return;
  const rest = finalized.rest.map((call) => {
    const messages = messagesOf(call).map((message, partition) => kept.get(partition) ?? message);
    return messages.length === 0 ? call : { ...call, args: { ...call.args, messages } };
  });
  next.driver = joined([{ ...finalized, rest }, ...others]);
}
