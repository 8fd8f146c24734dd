import type { Mutation } from "./mutation.ts";

/** Mutations that break nothing unless a call fails first and takes effect later. */
export const LATE_MUTATIONS: readonly Mutation[] = [
  {
    rule: "10",
    what: "a task whose record failed deletes its rows if there is no record yet",
    caughtBy: "a task whose record is late, and is tried again",
    shows: "a file that the record of a task names was deleted",
    edits: [
      {
        file: "shared/engine/write/task-parts.ts",
        find: "if (recorded === undefined) throw error;",
        replace: `if (recorded === undefined) {
        await drop();
        throw error;
      }`,
      },
    ],
  },
  {
    rule: "12",
    what: "a vacuum deletes the plan of the epoch that is at work",
    caughtBy: "a batch that is recorded late, and a vacuum before it",
    shows: "the plan of a batch was deleted",
    edits: [
      {
        file: "shared/engine/vacuum.ts",
        find: "plan.epoch < head.epoch",
        replace: "plan.epoch <= head.epoch",
      },
    ],
  },
  {
    rule: "1",
    what: "a run that was fenced takes another run's transition for its own",
    caughtBy: "a finalizer that sleeps before its decision, while the next run decides and is killed",
    shows: "a run that was fenced went on",
    edits: [
      {
        file: "shared/engine/retry.ts",
        find: 'if (MillraceError.is(error) && error.code === "FENCED") throw error;',
        replace: "",
      },
    ],
  },
];
