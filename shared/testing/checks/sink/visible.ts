import { always, type Trap } from "../trap.ts";
import { checkVisibleRows, type SinkSubject } from "./subject.ts";

export const VISIBLE_HINT =
  "write() must stage: a batch that fails, or a task that runs twice, must leave nothing that readers see. Stage in write and insert in commit, or write by key (upsert) and set showsRowsBeforeCommit.";

/**
 * Detects rows that are visible before the commit. The remaining checks are then skipped, because
 * their results would be misleading.
 */
export const VISIBLE: Trap<SinkSubject> = {
  code: "VISIBLE_BEFORE_COMMIT",
  applies: always,
  run: (sink) => checkVisibleRows(sink, "VISIBLE_BEFORE_COMMIT", "before commit()", VISIBLE_HINT),
};
