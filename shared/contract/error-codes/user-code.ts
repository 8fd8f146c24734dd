import type { ErrorMeaning } from "./meaning.ts";

/** Codes of what the pipeline's own code, or a library of it, does to the process. */
export const USER_CODE = {
  STEP_INVALID: {
    means:
      "`.map()`, `.filter()`, `.select()` or another step that changes rows has a part that it cannot have, or names a column that the rows lack before it; nothing was planned",
    do: "correct it as the hint says; the guide is [steps](steps.md)",
    again: "no",
  },
  STEP_FAILED: {
    means:
      "a function of a step threw, or returned what is no row; `where` has the step and the row's number in its partition",
    do: "correct the function: the stack shows where it threw; the next run tries the batch again",
    again: "in a task, if the function is `async`",
  },
  STEPS_CHANGED: {
    means:
      "the batch was planned while its rows had other columns, and the steps were changed since; it is aborted, and its next attempt has the columns of the steps as they are now",
    do: "nothing, if the change is meant",
    again: "next run",
  },
  PROCESS_EXIT: {
    means:
      "the pipeline's code, or a library of it, called `process.exit`, `process.kill` or `process.abort`, or the process ended before the command had",
    do: "throw an error in its place; the stack shows the call",
    again: "next run",
  },
  UNCAUGHT_ERROR: {
    means:
      "the pipeline's code forgot a promise that was rejected, or threw an error in a callback; the run ended, and its batch stays open",
    do: "`await` the promise, or catch the error; the stack shows where it comes from",
    again: "next run",
  },
  HOOK_FAILED: {
    means: "the command of `--on-failure` or the webhook of `--on-failure-url` failed; a warning only",
    do: "try it by hand with [the JSON that it gets](alerts.md#what-they-get)",
    again: "with the next failure",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;
