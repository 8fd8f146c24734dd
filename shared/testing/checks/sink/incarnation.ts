import { always, type Trap } from "../trap.ts";
import { commitOrRefuse, stage } from "./calls.ts";
import { attemptOfNewLife, checkVisibleRows, ROWS_OF_BATCH, type SinkSubject } from "./subject.ts";

/**
 * Detects a sink that ignores the incarnation. A pipeline whose ledger was lost starts again at
 * batch 0, and its rows are new: the sink may refuse them, but not drop them.
 */
export const INCARNATION: Trap<SinkSubject> = {
  code: "INCARNATION_IGNORED",
  applies: always,
  async run(sink) {
    const again = attemptOfNewLife(sink);
    const messages = await stage(sink, again, "write() under another incarnation");
    if (messages === undefined) return true;
    const outcome = await commitOrRefuse(sink, again, messages, "commit() under another incarnation");
    if (outcome !== "committed") return true;
    sink.expected += ROWS_OF_BATCH;
    await checkVisibleRows(
      sink,
      "INCARNATION_IGNORED",
      "after batch 0 of another incarnation",
      "Recognise a batch by batch.incarnation, batchId and planId together, as isCommitted(batch, newest) does: a pipeline that begins again from nothing has another incarnation, and its rows are new.",
    );
    return true;
  },
};
