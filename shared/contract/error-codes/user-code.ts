import type { ErrorMeaning } from "./meaning.ts";

/** Codes of what the pipeline's own code, or a library of it, does to the process. */
export const USER_CODE = {
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
