import type { Mutation } from "./mutation.ts";

const RESUME = "shared/engine/resume.ts";

/** Finalize does not ask the sink for the batch before it decides to abort. */
const NO_QUESTION = {
  file: "shared/engine/finalize.ts",
  find: "problem === undefined || (await isInSink(finalizer, batch, write, problem))",
  replace: "problem === undefined",
};

/** Mutations that break nothing unless the ledger is put back to a copy, or a plan is lost. */
export const OLDER_LEDGER_MUTATIONS: readonly Mutation[] = [
  {
    rule: "15",
    what: "a task of another plan counts as one of the batch",
    caughtBy: "a task that is recorded after the ledger was put back and the next run has planned",
    shows: "rows are doubled",
    edits: [
      {
        file: "shared/engine/plan-tasks.ts",
        find: "return task.planId === undefined || planId === undefined || task.planId === planId;",
        replace: "return task !== undefined || planId !== undefined;",
      },
    ],
  },
  {
    rule: "15",
    what: "a batch that the sink has runs its tasks again",
    caughtBy: "a read that fails for good in a batch that has landed, when the ledger was put back",
    shows: "a file that a commit names was deleted",
    edits: [
      {
        file: RESUME,
        find: 'if (found === "landed") return',
        replace: 'if (found === "landed" && current.tasks < 0) return',
      },
      // Finalize would notice it, too, and abort nothing.
      NO_QUESTION,
    ],
  },
  {
    rule: "15",
    what: "a batch is aborted without asking the sink for it",
    caughtBy: "a finalizer that is tried again after the commit, when the ledger was put back",
    shows: "a file that a commit names was deleted",
    edits: [NO_QUESTION],
  },
  {
    rule: "2",
    what: "a simple reader whose partitions file is lost is planned like any other",
    caughtBy: "a simple reader whose partitions file is lost",
    shows: "runs without faults do not come to an end",
    edits: [
      {
        file: RESUME,
        find: "planner.canRepeatLatestOffset ? {} : { rowsKey: rowsKey(name) }",
        replace: "{}",
      },
    ],
  },
];
