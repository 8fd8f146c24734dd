import type { JsonValue } from "../../../contract/json.ts";
import { always, type Trap } from "../trap.ts";
import { commit, writeRows } from "./calls.ts";
import { attemptOf, checkVisibleRows, type SinkSubject, taskOf } from "./subject.ts";

/** Detects an empty batch that changes the visible rows. */
export const NO_ROWS: Trap<SinkSubject> = {
  code: "COMMIT_INCOMPLETE",
  applies: always,
  async run(sink) {
    const attempt = attemptOf(sink, 2);
    let message: JsonValue = null;
    const isWritten = await sink.findings.check("write() without rows", async () => {
      message = await writeRows(sink, [], taskOf(sink, attempt, 0));
    });
    if (isWritten && (await commit(sink, attempt, [message], "commit() of a batch without rows")))
      await checkVisibleRows(
        sink,
        "COMMIT_INCOMPLETE",
        "after a batch without rows",
        "A batch without rows changes nothing.",
      );
    return true;
  },
};
