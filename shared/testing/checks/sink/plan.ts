import { always, type Trap } from "../trap.ts";
import { commitOrRefuse, stage } from "./calls.ts";
import { attemptOf, checkVisibleRows, ROWS_OF_BATCH, type SinkSubject } from "./subject.ts";

const HINT =
  "A ledger that was restored from a backup uses an id again, for other rows. Keep batch.planId with the id, and ask isCommitted(batch, newest), which throws LEDGER_BEHIND_SINK.";

/**
 * Detects a sink that takes a batch for another one because their ids are equal. It may refuse the
 * batch, but not drop its rows.
 */
export const PLAN: Trap<SinkSubject> = {
  code: "PLAN_IGNORED",
  applies: always,
  async run(sink) {
    const usual = attemptOf(sink, 1);
    const other = { ...usual, planId: `another-${usual.planId}` };
    const messages = await stage(sink, other, "write() of another batch under a used id");
    if (messages === undefined) return true;
    const what = "commit() of another batch under a used id";
    if ((await commitOrRefuse(sink, other, messages, what)) !== "committed") return true;
    const { readBack, showsRowsBeforeCommit } = sink.options;
    if (readBack === undefined) {
      if (sink.knowsBatch && !sink.knowsPlan && showsRowsBeforeCommit !== true)
        sink.findings.add({
          code: "PLAN_IGNORED",
          message: `${what} neither threw nor asked for batch.planId`,
          hint: HINT,
        });
      return true;
    }
    sink.expected += ROWS_OF_BATCH;
    await checkVisibleRows(sink, "PLAN_IGNORED", `after ${what}`, HINT);
    return true;
  },
};
