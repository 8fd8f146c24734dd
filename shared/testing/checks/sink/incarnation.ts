import { always, type Trap } from "../trap.ts";
import { commit, stage } from "./calls.ts";
import { checkVisibleRows, ROWS_OF_BATCH, type SinkSubject } from "./subject.ts";

/**
 * Detects a sink that ignores the incarnation. A pipeline whose ledger was deleted starts again at
 * batch 0, and its rows are new.
 */
export const INCARNATION: Trap<SinkSubject> = {
  code: "INCARNATION_IGNORED",
  applies: always,
  async run(sink) {
    const again = { incarnation: sink.surroundings.runtime.newId(), batchId: 0, attempt: 1 };
    const messages = await stage(sink, again, "write() under another incarnation");
    if (messages === undefined) return true;
    if (!(await commit(sink, again, messages, "commit() under another incarnation"))) return true;
    sink.expected += ROWS_OF_BATCH;
    await checkVisibleRows(
      sink,
      "INCARNATION_IGNORED",
      "after batch 0 of another incarnation",
      "Recognise a batch by batch.incarnation and batchId together: a pipeline that begins again from nothing has another incarnation, and its rows are new.",
    );
    return true;
  },
};
