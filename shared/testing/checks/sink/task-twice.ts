import type { SupportsTaskAbort } from "../../../contract/stream-writer.ts";
import type { Trap } from "../trap.ts";
import { commit, write, writeRows } from "./calls.ts";
import {
  type Attempt,
  attemptOf,
  checkVisibleRows,
  type Messages,
  ROWS_OF_BATCH,
  rowsFor,
  type SinkSubject,
  taskOf,
} from "./subject.ts";

/** Detects two attempts of one task that interfere with each other. */
export const TASK_TWICE: Trap<SinkSubject> = {
  code: "TASK_NOT_ISOLATED",
  // Of a table that asks for coordination, only one attempt may commit: see ATTEMPTS.
  applies: (sink): sink is SinkSubject => sink.factory.access === undefined,
  async run(sink) {
    const attempt = attemptOf(sink, 1, 2);
    const messages = await stageTwice(sink, attempt);
    if (messages === undefined) return true;
    if (!(await commit(sink, attempt, messages, "commit() of a batch whose task ran twice"))) return true;
    sink.expected += ROWS_OF_BATCH;
    await checkVisibleRows(
      sink,
      "TASK_NOT_ISOLATED",
      "after commit() of a batch of which one task ran twice",
      sink.options.showsRowsBeforeCommit === true
        ? "A task that fails and one that is slow run again, with the same rows: write by key (upsert), or insert in commit()."
        : "Stage under a name that no other attempt uses (task.attempt, task.attemptNumber and a random id), and commit only what the messages name.",
      ": the task that ran twice wrote its rows twice",
    );
    return true;
  },
};

/**
 * Runs a task twice in parallel, as a retry beside a slow attempt does. The second attempt is used
 * and the first one is aborted.
 */
async function stageTwice(sink: SinkSubject, attempt: Attempt): Promise<Messages | undefined> {
  const rows = rowsFor(sink, attempt, 0);
  let messages: Messages | undefined;
  await sink.findings.check("write() of one partition by two attempts at once", async () => {
    const [loser, winner] = await Promise.all([
      writeRows(sink, rows, taskOf(sink, attempt, 0, 0)),
      writeRows(sink, rows, taskOf(sink, attempt, 0, 1)),
    ]);
    const writer = (await sink.factory.make(sink.schema, false)) as Partial<SupportsTaskAbort>;
    await writer.abortTask?.(loser, taskOf(sink, attempt, 0, 0));
    messages = [winner, await write(sink, attempt, 1)];
  });
  return messages;
}
