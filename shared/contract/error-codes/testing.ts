import type { ErrorMeaning } from "./meaning.ts";

/** Codes that functions of `millrace/testing` throw. */
export const KIT = {
  CHECK_FAILED: {
    means: "`checkSource`, `checkSink` or `checkSteps` found traps; the message names each with the way out",
    do: "see [testing](testing.md)",
  },
  CHECK_INVALID: {
    means:
      "it was given something that is no source or sink, `checkSteps` one without steps, or `runPipeline` no pipeline",
    do: "give a class, a pipeline, or a function that makes one; `runPipeline` a pipeline",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of the traps of steps that change rows. */
export const STEP_TRAPS = {
  STEP_NOT_REPEATABLE: {
    means: "the steps made other rows of the same rows the second time",
    do: "no clock, no chance, no counter that outlives a row",
  },
  STEP_DEPENDS_ON_BATCHES: {
    means: "the steps made other rows when record batches were cut in other places",
    do: "make each row of one row",
  },
  STEP_CHANGES_INPUT: {
    means: "`.mapBatches()` changed the record batch that it was given",
    do: "build new columns",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/**
 * Codes of the mistakes that `checkSource` looks for. They are listed in the `problems` of a
 * `CHECK_FAILED` error.
 */
export const SOURCE_TRAPS = {
  OFFSET_NOT_STABLE: {
    means: "`latestOffset` or `read`, asked again at one instant, gave ends that follow the clock or chance",
    do: "`settledNow(this.runtime.now(), { lag, step })`",
  },
  OFFSET_ORDER_WRONG: {
    means: "`compareOffsets` contradicts the order in which offsets were given",
    do: "`CompositeOffset`",
  },
  READ_NOT_REPEATABLE: {
    means: "a partition, `read` or `readBetweenOffsets`, a second time, gave other rows",
    do: "let partition or offsets say all that is read",
  },
  RANGES_OVERLAP: {
    means: "[a,b) and [b,c) together have rows twice, or two reads of a simple reader gave the same row",
    do: "`>= start` and `< end`. Equal rows are legitimate: `hasDuplicates: true`",
  },
  RANGES_LOSE_ROWS: {
    means: "[a,b) and [b,c) together lack rows of [a,c)",
    do: "`>= start` and `< end`",
  },
  RANGES_NOT_VERIFIED: {
    means: "the source has one range only, and none in between",
    do: "`advance`, or honour `ReadMaxRows(1)`; or `singleRange: true`",
  },
  COMMIT_FORGETS_TOO_MUCH: {
    means: "after `commit(b)` rows from b on are gone",
    do: "forget what is before `end` only",
  },
  AVAILABLE_NOW_ENDLESS: {
    means: "a run of `availableNow` never ends",
    do: "fix the end in `prepareForTriggerAvailableNow`",
  },
  AVAILABLE_NOW_NOT_RESTORED: {
    means: "a run of `availableNow` forgets its end in another process",
    do: "`restoreAvailableNow` fixes the end that `prepareForTriggerAvailableNow` fixed",
  },
  NOTHING_TO_CHECK: {
    means: "the source has nothing to read",
    do: "give it data, or `advance`",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/**
 * Codes of the mistakes that `checkSink` looks for. They are listed in the `problems` of a
 * `CHECK_FAILED` error.
 */
export const SINK_TRAPS = {
  SINK_NOT_IDEMPOTENT: {
    means: "`commit` again, or late, changed what is seen, or threw",
    do: "recognise (`batch.incarnation`, `batchId`), written in one step with the rows",
  },
  SINK_NOT_VERIFIED: {
    means: "nothing: there is no `readBack`",
    do: "give it",
  },
  VISIBLE_BEFORE_COMMIT: {
    means: "rows are seen though nothing was committed; nothing else is tried",
    do: "stage in `write`, insert in `commit`; or write by key (upsert), and set `showsRowsBeforeCommit: true`",
  },
  COMMIT_INCOMPLETE: {
    means: "`commit` showed fewer or more rows than were staged",
    do: "all of what the messages name, at once",
  },
  ABORT_INCOMPLETE: {
    means: "`abort`, or a second one, changed what is seen, or threw",
    do: "take away what the messages name, nothing else",
  },
  TASK_NOT_ISOLATED: {
    means: "two attempts of one task got into each other's way",
    do: "names with `task.attempt`, `task.attemptNumber` and a random id; with `showsRowsBeforeCommit`: write by key",
  },
  INCARNATION_IGNORED: {
    means: "batch 0 of a pipeline that began again was taken for the old one",
    do: "recognise `incarnation` and batch id together",
  },
  PLAN_IGNORED: {
    means:
      "another batch under a used id, as a restored ledger plans it, was taken for the one that landed: its rows are lost",
    do: "keep `planId` with the id, and ask `isCommitted(batch, newest)`",
  },
  COMMIT_LOOKUP_WRONG: {
    means: "`hasCommitted` says yes or no where it should not",
    do: "read back what `commit` wrote",
  },
  CAPABILITY_MISMATCH: {
    means:
      "a table promises with a capability what its builder or its write has no method for, or the other way round",
    do: "add the method, or remove the capability",
  },
  STAGED_CHECK_WRONG: {
    means: "`findDamaged` found damage where there is none, or changed what was staged",
    do: "only look at the files that the messages name",
  },
  OVERWRITE_INCOMPLETE: {
    means:
      "a batch with `overwrite` left old rows, or lost its own when it came twice; or one with a condition touched other rows",
    do: "replace what the batch is told to, in one step with its rows",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;
