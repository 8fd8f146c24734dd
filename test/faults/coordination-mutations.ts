import type { Mutation } from "./mutation.ts";

const CLAIMS = "shared/engine/ports/commit-claims.ts";
const RIGHT = "shared/engine/write/commit-right.ts";
const ATTEMPTS = "local/task-attempts.ts";

/** Mutations of the coordination of commits, and of attempts beside each other. */
export const COORDINATION_MUTATIONS: readonly Mutation[] = [
  {
    rule: "19",
    what: "an attempt may commit although another one commits",
    caughtBy: "a run whose tasks have two attempts each, of which one may commit",
    shows: "two attempts of a task commit at once",
    edits: [{ file: CLAIMS, find: "{ task: ABSENT, claim: ABSENT },", replace: "{ task: ABSENT }," }],
  },
  {
    rule: "19",
    what: "an attempt that was denied commits all the same",
    caughtBy: "a run whose tasks have two attempts each, of which one may commit",
    shows: "two attempts of a task commit at once",
    edits: [
      {
        file: "shared/engine/write/task.ts",
        find: "      if (other === undefined) {\n        const message",
        replace: "      {\n        const message",
      },
    ],
  },
  {
    rule: "19",
    what: "a claim never expires",
    caughtBy: "a task that is killed in its commit, and tried again",
    shows: "an attempt is denied for ever",
    edits: [{ file: CLAIMS, find: '{ task: ABSENT, "claim.expiresAt": atMost(now) },', replace: "" }],
  },
  {
    rule: "19",
    what: "an attempt that failed keeps its claim",
    caughtBy: "a task whose commit fails, and which is tried again",
    shows: "an attempt was denied for one that had failed",
    edits: [
      {
        file: RIGHT,
        find: "await ports.ledger.releaseCommit(key, writerId).catch(() => undefined);",
        replace: "",
      },
    ],
  },
  {
    rule: "19",
    what: "the claim of an earlier run holds",
    caughtBy: "a run that is killed in a commit of a task, before a run whose clock is slow",
    shows: "an attempt was denied for one of an earlier run",
    edits: [{ file: CLAIMS, find: '{ task: ABSENT, "claim.epoch": atMost(claim.epoch - 1) },', replace: "" }],
  },
  {
    rule: "19",
    what: "the record of a task leaves the claim",
    caughtBy: "a run with a coordinated table",
    shows: "a task is recorded, and a claim to commit it is left",
    edits: [
      {
        file: CLAIMS,
        find: "set: { task, claim: undefined } };",
        replace: "set: { task } };",
      },
    ],
  },
  {
    rule: "19",
    what: "the claim of an attempt whose thread died is not released",
    caughtBy: "a task whose thread dies while it may commit",
    shows: "the attempt after one that died may not commit",
    edits: [
      {
        file: ATTEMPTS,
        find: "await ports.ledger.releaseCommit(key, claim.writerId);",
        replace: "",
      },
    ],
  },
  {
    rule: "20",
    what: "an attempt goes on when another one of its task has succeeded",
    caughtBy: "a slow task with two attempts",
    shows: "the attempt that was overtaken works on",
    edits: [{ file: ATTEMPTS, find: "      stopping.abort();\n", replace: "" }],
  },
  {
    rule: "20",
    what: "the batch waits for the attempt that was overtaken",
    caughtBy: "a slow task with two attempts",
    shows: "the batch waits for an attempt that was overtaken",
    edits: [
      {
        file: ATTEMPTS,
        find: "    this.#endRound();\n  }\n\n  /**\n   * Releases",
        replace:
          "    void Promise.all([...this.#running.values()].map(({ ended }, i) => (i === 0 ? ended : undefined))).then(() => this.#endRound());\n  }\n\n  /**\n   * Releases",
      },
    ],
  },
];
