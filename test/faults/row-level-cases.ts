import type { Case } from "./cases.ts";
import type { CommandSetup, Shape } from "./setup.ts";

/** The changes of the streams that are merged: three batches. */
export const MERGE_SHAPE: Shape = { rows: 12, rowsABatch: 4, partitions: 2 };

const of = <const C extends CommandSetup>(command: C) => ({ command });
const MERGED = { merge: true, shape: MERGE_SHAPE } as const;

/** Cases of commands that change rows of a table, and of streams of changes. */
export const ROW_LEVEL_CASES = {
  "a merge whose rows are in several tasks": {
    kind: "row-level",
    runs: [[]],
    setup: of({ name: "merge", form: "group" }),
  },
  "an update by its changes": { kind: "row-level", runs: [[]], setup: of({ name: "update" }) },
  "rows that change between the scan of a command and its commit": {
    kind: "row-level",
    runs: [[]],
    setup: of({ name: "update", form: "group", rowsChange: true }),
  },
  "a commit of a command that lands when its batch was aborted": {
    kind: "row-level",
    runs: [[{ at: "sink.commit", kind: "sleep before" }], [{ at: "sink.commit", kind: "fail for good" }]],
    setup: of({ name: "update" }),
  },
  "a deletion by the table whose answer is lost": {
    kind: "row-level",
    runs: [[{ at: "sink.commit", kind: "lost answer" }]],
    setup: of({ name: "delete by filter" }),
  },
  "a deletion by the table that is skipped": {
    kind: "row-level",
    runs: [[{ at: "sink.commit", kind: "stop before" }]],
    act: "skip",
    setup: of({ name: "delete by filter" }),
  },
  "a merge that is aborted when its plan is lost": {
    kind: "file lost",
    runs: [
      [
        { at: "writer.commit", kind: "fail for good" },
        { at: "ledger.decide", kind: "stop after" },
      ],
      [{ at: "step plan", kind: "file lost", file: 0 }],
    ],
    setup: of({ name: "merge", form: "group" }),
  },
  "a run whose changes are merged by key": { kind: "merge", runs: [[]], setup: MERGED },
} as const satisfies Readonly<Record<string, Case>>;
