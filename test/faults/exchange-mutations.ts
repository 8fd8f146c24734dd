import type { Mutation } from "./mutation.ts";

const STAGE = "shared/engine/plan-stage.ts";
const TASK = "shared/engine/write/exchange-task.ts";

/** Mutations of the stages in which tasks exchange their rows. */
export const EXCHANGE_MUTATIONS: readonly Mutation[] = [
  {
    rule: "21",
    what: "tasks that exchange rows are recorded like those that write",
    caughtBy: "a run whose tasks exchange their rows",
    shows: "rows are lost",
    edits: [
      {
        file: "shared/platform/embedded/sqlite-ledger.ts",
        find: "stage: stage ?? NO_STAGE",
        replace: "stage: (stage, NO_STAGE)",
      },
    ],
  },
  {
    rule: "21",
    what: "the next stage is planned although a task has not exchanged its rows",
    caughtBy: "a task that cannot exchange its rows",
    shows: "rows are lost",
    edits: [
      { file: STAGE, find: "if (tasks.length < batch.tasks)", replace: "if (tasks.length < 0)" },
      {
        file: STAGE,
        find: "return messages as unknown as readonly ShuffleOutput[];",
        replace:
          "return (messages as unknown as (ShuffleOutput | null)[]).filter((one) => one !== null) as ShuffleOutput[];",
      },
    ],
  },
  {
    rule: "21",
    what: "an attempt after an abort reads the rows that the last one has exchanged",
    caughtBy: "a commit that fails for good after an exchange",
    shows: "a batch is left open",
    edits: [
      {
        file: "shared/engine/resume.ts",
        find: "  if (exchanges === undefined) return batch;\n",
        replace: "  if (exchanges !== undefined || exchanges === undefined) return batch;\n",
      },
    ],
  },
  {
    rule: "21",
    what: "the files of all attempts of a task have one name",
    caughtBy: "a task that is killed when it has staged the rows that it exchanges",
    shows: "a batch is left open",
    edits: [
      {
        file: TASK,
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source code
        find: "${BATCH_FILE.exchanged}${writerId}",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source code
        replace: "${BATCH_FILE.exchanged}${request.partition}",
      },
    ],
  },
  {
    rule: "21",
    what: "an attempt that lost to another one deletes the file of the winner",
    caughtBy: "two attempts of a task that exchange its rows",
    shows: "a file of exchanged rows that the record of a task names was deleted",
    edits: [
      {
        file: TASK,
        find: "await ports.store.delete([key])",
        replace:
          "await ports.store.delete((await ports.ledger.tasks(run)).map(({ message }) => (message as { key: string }).key))",
      },
    ],
  },
];
