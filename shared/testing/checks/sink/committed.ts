import type { Trap } from "../trap.ts";
import { commit } from "./calls.ts";
import {
  attemptOf,
  checkVisibleRows,
  isStaged,
  ROWS_OF_BATCH,
  type SinkSubject,
  type Staged,
} from "./subject.ts";

const HINT = "commit(messages) must make visible what all tasks staged, all of it at once.";
const TABLE_HINT =
  "Planning, each task and the commit make the table, its write and the factory anew: what a BatchWrite keeps in memory, and a random value that the factory's functions see, is another one in commit(). Put it into the messages, or take info.queryId.";

/** Detects a commit that makes fewer or more rows visible than were staged. */
export const COMMITTED: Trap<SinkSubject, Staged> = {
  code: "COMMIT_INCOMPLETE",
  applies: isStaged,
  async run(sink) {
    if (!(await commit(sink, attemptOf(sink, 0), sink.messages, "commit()"))) return false;
    sink.expected += ROWS_OF_BATCH;
    await checkVisibleRows(
      sink,
      "COMMIT_INCOMPLETE",
      "after commit()",
      sink.factory.access === undefined ? HINT : `${HINT} ${TABLE_HINT}`,
    );
    return true;
  },
};
