import type { Mutation } from "./mutation.ts";

const TRANSITIONS = "shared/engine/ports/transitions.ts";
const PROBE = "a batch that fails again and again";

/** Mutations of the pause that ends the tries of a batch. */
export const PAUSE_MUTATIONS: readonly Mutation[] = [
  {
    rule: "24",
    what: "the last abort that is allowed does not pause the pipeline in its own step",
    caughtBy: PROBE,
    shows: "a batch that cannot succeed is tried for ever",
    edits: [{ file: TRANSITIONS, find: "initial: { paused: pause }", replace: "" }],
  },
  {
    rule: "24",
    what: "each attempt forgets the aborts before it",
    caughtBy: PROBE,
    shows: "a batch that cannot succeed is tried for ever",
    edits: [
      {
        file: TRANSITIONS,
        find: "...(code === batch.code ? {} : { lastingFailures: undefined }),",
        replace: "lastingFailures: undefined,",
      },
    ],
  },
  {
    rule: "24",
    what: "aborts by errors that may pass count",
    caughtBy: PROBE,
    shows: "an outage pauses the pipeline",
    edits: [
      {
        file: "shared/engine/lasting-failure.ts",
        find: "retryable === true || MAY_PASS.has(code)",
        replace: "retryable === true && MAY_PASS.has(code)",
      },
    ],
  },
];
