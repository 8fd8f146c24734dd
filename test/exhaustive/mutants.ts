import type { Edit } from "../faults/mutate.ts";

/** A rule that is removed from the engine, and the scenario that shows what is broken then. */
export interface Mutant {
  readonly what: string;
  /** Name of the scenario. */
  readonly foundBy: string;
  /** Part of the text of what is broken. */
  readonly shows: string;
  readonly edits: readonly Edit[];
}

const TRANSITION = "shared/engine/ports/transition.ts";
const TRANSITIONS = "shared/engine/ports/transitions.ts";
const WRITE = "shared/engine/write/task-parts.ts";
const TABLE = "shared/connectors/arrow-table/writer.ts";
const DEAD = "shared/connectors/kit/vacuum.ts";

export const MUTANTS: readonly Mutant[] = [
  {
    what: "no transition checks the epoch",
    foundBy: "two-runs",
    shows: "a run that lost the pipeline changed the ledger",
    edits: [
      {
        file: TRANSITION,
        find: "head: { where: [{ ...heldBy(fence), ...where }], set },",
        replace: "head: { where: [where], set },",
      },
    ],
  },
  {
    what: "a later attempt of a task replaces the first",
    foundBy: "two-runs-one-task",
    shows: "a recorded task was changed",
    edits: [
      {
        file: "shared/engine/ports/commit-claims.ts",
        find: "return { where: [{ task: ABSENT }], set: { task, claim",
        replace: "return { where: [{}], set: { task, claim",
      },
    ],
  },
  {
    what: "whoever comes later decides again",
    foundBy: "run",
    shows: "an attempt that was",
    edits: [
      {
        file: TRANSITIONS,
        find: "where: [{ attempt: equal(attempt), state: equal(state) }],",
        replace: "where: [{ attempt: equal(attempt) }],",
      },
    ],
  },
  {
    what: "a vacuum takes the files of a plan for dead although its epoch is at work",
    foundBy: "vacuum",
    shows: "the plan of an open batch was deleted",
    edits: [
      {
        file: "shared/engine/vacuum.ts",
        find: "plan.epoch < head.epoch",
        replace: "plan.epoch <= head.epoch",
      },
    ],
  },
  {
    what: "a task drops its file when its record failed and is not there yet",
    foundBy: "run",
    shows: "a file of a recorded task was deleted",
    edits: [
      {
        file: WRITE,
        find: "if (recorded === undefined) throw error;",
        replace: "if (recorded === undefined) { await drop(); throw error; }",
      },
    ],
  },
  {
    what: "a call that was refused because the epoch was lost is read back too",
    foundBy: "two-runs-one-task",
    shows: "a run goes on although it was told that it has lost the pipeline",
    edits: [
      {
        file: "shared/engine/retry.ts",
        find: 'if (MillraceError.is(error) && error.code === "FENCED") throw error;',
        replace: "",
      },
    ],
  },
  {
    what: "the sink does not look whether it has the batch",
    foundBy: "run",
    shows: "the log has a batch twice",
    edits: [
      {
        file: "shared/connectors/arrow-table/commit.ts",
        find: "if (isCommitted(batch, position.newest)) return",
        replace: "if (isCommitted(batch, position.newest) && batch === undefined) return",
      },
    ],
  },
  {
    what: "abort deletes after a commit was tried",
    foundBy: "run",
    shows: "a commit names a file that is not there",
    edits: [{ file: TABLE, find: "if (batch.commitTried) return;", replace: "" }],
  },
  {
    what: "a vacuum takes an attempt for dead although its commit was tried",
    foundBy: "vacuum-one-fault",
    shows: "a commit names a file that is not there",
    edits: [
      {
        file: DEAD,
        find: "return isOver && staged.attempt > open.lastTriedAttempt;",
        replace: "return isOver;",
      },
    ],
  },
  {
    what: "a vacuum goes by age alone",
    foundBy: "vacuum",
    shows: "a file of a recorded task was deleted",
    edits: [
      {
        file: DEAD,
        find: "if (staged.batchId <= landed) return true;",
        replace: "if (staged.batchId <= landed || staged.batchId >= 0) return true;",
      },
    ],
  },
  {
    what: "the offset moves with the decision, before the sink's commit",
    foundBy: "two-runs",
    shows: "the offset moved without a commit",
    edits: [
      {
        file: TRANSITIONS,
        find: `...optional("error", error && boundedError(error)),
    },
  });`,
        replace: `...optional("error", error && boundedError(error)),
    },
  }, to === "committing" ? { offset: batch.end, openBatchId: undefined } : {});`,
      },
    ],
  },
  {
    what: "an acknowledgement that failed is forgotten",
    foundBy: "two-runs",
    shows: "the source was never told of a committed batch",
    edits: [
      {
        file: "shared/engine/plan.ts",
        find: "await acknowledge(await sessions.source.planner(), ports, fence, head.unacknowledged);",
        replace: "await ports.ledger.acknowledge(fence, head.unacknowledged.batchId);",
      },
    ],
  },
  {
    what: "the file of a large message is named by the attempt of the batch, not by its writer",
    foundBy: "large-messages",
    shows: "rows are",
    edits: [
      {
        file: "shared/engine/write/task-message.ts",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source code
        find: "${BATCH_FILE.message}${writerId}.json",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source code
        replace: "${BATCH_FILE.message}${run.attempt}.json",
      },
    ],
  },
];
