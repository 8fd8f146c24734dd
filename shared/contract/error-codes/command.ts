import type { ErrorMeaning } from "./meaning.ts";

/** Codes of mistakes in the command line or in the pipeline's file. The command exits with 2. */
export const COMMAND = {
  USAGE: {
    means: "flags that exclude each other, or nobody to ask",
    do: "`millrace COMMAND --help`",
  },
  NODE_TOO_OLD: {
    means:
      "the command was started by a Node older than 24; the message says why, if the project has a newer one",
    do: "run what the error says: it names the way for npm or pnpm, also if they block install scripts",
  },
  PIPELINE_FILE_NOT_FOUND: {
    means: "there is no such file",
    do: "name the file that exports the pipeline",
  },
  PIPELINE_FILE_FAILED: {
    means: "the file cannot be loaded",
    do: "correct it; Node strips types only, so no enums and no parameter properties",
  },
  PIPELINE_NOT_EXPORTED: {
    means: "its default export is no pipeline",
    do: 'end it with `export default pipeline("name")…`',
  },
  PIPELINE_NAME_INVALID: {
    means: "a name of other than 1 to 64 lower-case letters, digits, `-`, `_`",
    do: "choose another",
  },
  PIPELINE_NOT_FOUND: {
    means: "no pipeline of that name has run in this home, stack or table",
    do: "check the name, and `--home`, `--stack` or `--table`",
  },
  BATCH_NOT_FOUND: {
    means: "the pipeline has no such batch",
    do: "`millrace batches`",
  },
  BATCH_OPEN: {
    means: "a rewind while a batch is open",
    do: "let it end: `millrace run` or `millrace replay`; if it cannot end, [`millrace skip`](restore.md#a-batch-cannot-end)",
  },
  BATCH_NOT_OPEN: {
    means: "a replay or a skip where no batch is open, or another one is",
    do: "`millrace rewind` reads committed rows again",
  },
  BACKFILL_NOT_SUPPORTED: {
    means: "the source, the sink or the kind of pipeline cannot be backfilled; the message says why",
    do: "[which ones can](backfill.md#which-sources-can)",
  },
  BACKFILL_RANGE_INVALID: {
    means: "`--from`, `--to` or `--chunk` is none that this source understands, or the range is empty",
    do: "write times or whole numbers, as the source has them",
  },
  BACKFILL_INCOMPLETE: {
    means: "records before `--to` may still arrive, so that they would be missed",
    do: "choose an earlier `--to`; the message says up to where the source is complete",
  },
  BACKFILL_OVERLAPS: {
    means:
      "the range is one that another backfill or the pipeline itself reads: its rows would be there twice",
    do: "[choose another range, or say that it is meant](backfill.md#what-is-refused)",
  },
  STACK_NOT_FOUND: {
    means: "no such stack in this account and region, or it has no pipeline",
    do: "check the name, region and profile; `millrace deploy`",
  },
  CDK_NOT_FOUND: {
    means: "the project has no AWS CDK",
    do: "`npm install --save-dev aws-cdk aws-cdk-lib constructs`",
  },
  HOME_NOT_FOUND: {
    means: "nothing has run in this home",
    do: "check `--home`",
  },
  TABLE_NOT_FOUND: {
    means: "there is no table, or it was dropped during a commit",
    do: "name the folder that holds `_log`; a catalog's table is created by the next `millrace run`",
  },
  TRIGGER_INVALID: {
    means: "the trigger is none",
    do: '`{ processingTime: "10 seconds" }`, `{ availableNow: true }`; `10s`, `5m` on the command line',
  },
  DURATION_INVALID: {
    means: "a text that is no duration, or is too short for a step",
    do: "a number and a unit: `500ms`, `10s`, `5m`",
  },
  DATA_SOURCE_NOT_FOUND: {
    means: '`.format("name")` of a name that is not registered',
    do: "`registerDataSource(YourClass)` before it; the hint has the import of a connector of Millrace",
  },
  DEPENDENCY_MISSING: {
    means:
      "a connector or an option needs a package that is not installed; the message names both. Nothing was planned or deployed",
    do: "run the command of the hint, such as `npm install pg`",
  },
  NOT_SUPPORTED: {
    means: "the data source has no such method",
    do: "implement it, or use another data source",
  },
  OPTIONS_INVALID: {
    means:
      "options of a data source; the message names all problems, or that its `optionsSchema` is no Standard Schema",
    do: "correct them",
  },
  FILTER_INVALID: {
    means:
      "`.filter()`, `.overwrite()` or `deleteFrom()` was given something else than filters or predicates; or one names no column of the schema, or compares it with what it cannot hold",
    do: 'correct it; a field of a struct is named `["place", "x"]`',
  },
  SAVE_MODE_INVALID: {
    means:
      "`.mode()` of something else than the four modes; or `.overwrite(condition)` or `.overwritePartitions()` beside another verb or mode",
    do: "`append`, `overwrite`, `errorifexists` or `ignore`; keep one of the verbs",
  },
  OUTPUT_MODE_INVALID: {
    means: "`.outputMode()` of something else than the two modes, such as Spark's `update`",
    do: "`append` or `complete`",
  },
  ON_BAD_ROW_INVALID: {
    means: "`.onBadRow()` of something else than `fail`, `drop` and `quarantine`, or with a wrong `max`",
    do: "one of the three; `max` is a number of rows",
  },
  ON_SCHEMA_CHANGE_INVALID: {
    means: "`.onSchemaChange()` of something else than `fail`, `evolve` and `ignore`",
    do: "one of the three",
  },
  PAUSE_AFTER_ABORTS_INVALID: {
    means: "`.pauseAfterAborts()` of something else than a whole number from 1 on, or `never`",
    do: "correct it",
  },
  SAVE_MODE_NOT_SUPPORTED: {
    means:
      "`errorifexists`, the default, or `ignore`, to a sink that cannot tell whether its target is there",
    do: "`append` or `overwrite`; or give its writer `exists(context)`",
  },
  SCHEMA_INVALID: {
    means: "the DDL does not parse; the message has the position",
    do: "correct it",
  },
  SCHEMA_REQUIRED: {
    means:
      "the source cannot tell the columns of its rows: files of this format tell no schema, or there is no file yet",
    do: 'set its option `schema`, or `.schema("id bigint, …")` on the reading side of the pipeline',
  },
  LOCATION_NOT_SUPPORTED: {
    means: "a URL that cannot be opened here",
    do: "give a path",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of conflicts between two runs of one pipeline. The command exits with 3. */
export const TWO_RUNS = {
  LEASE_HELD: {
    means: "another run works on the pipeline",
    do: "wait, or stop that one; `millrace unlock` where it is certainly dead",
  },
  FENCED: {
    means: "another run took the pipeline over from this one",
    do: "nothing: it changed nothing more",
  },
  RUN_IS_STALE: {
    means: "a Finalize of an attempt that is over",
    do: "nothing",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;
