import { DEPLOYED, ON_AWS } from "./error-codes/aws.ts";
import { COMMAND, TWO_RUNS } from "./error-codes/command.ts";
import {
  DYNAMODB,
  FILES,
  KINESIS_AND_SQS,
  MEMORY,
  POSTGRES,
  REST_API,
  SECRETS,
} from "./error-codes/connectors.ts";
import { LEDGER_AND_STORE, SINK, SOURCE, TASKS } from "./error-codes/engine.ts";
import { ICEBERG } from "./error-codes/iceberg.ts";
import type { ErrorMeaning } from "./error-codes/meaning.ts";
import { CHANGES } from "./error-codes/rows.ts";
import { KIT, SINK_TRAPS, SOURCE_TRAPS, STEP_TRAPS } from "./error-codes/testing.ts";
import { USER_CODE } from "./error-codes/user-code.ts";

/**
 * The sections of docs/errors.md, keyed by their titles. `npm run docs:errors` writes that page.
 */
export const ERROR_SECTIONS = {
  "The command and the pipeline's file (exit code 2)": COMMAND,
  "Two runs (exit code 3)": TWO_RUNS,
  "The source": SOURCE,
  Tasks: TASKS,
  "The pipeline's own code": USER_CODE,
  "The sink": SINK,
  "Exchanged rows and changes to rows": CHANGES,
  "Ledger and store": LEDGER_AND_STORE,
  Secrets: SECRETS,
  "`dynamodb`": DYNAMODB,
  "`files`": FILES,
  "`iceberg`": ICEBERG,
  "`kinesis` and `sqs`": KINESIS_AND_SQS,
  "`memory`": MEMORY,
  "`postgres`": POSTGRES,
  "`rest-api`": REST_API,
  "Deployed pipelines": DEPLOYED,
  "On AWS": ON_AWS,
  "`millrace/testing`": KIT,
  "Traps of a source": SOURCE_TRAPS,
  "Traps of steps": STEP_TRAPS,
  "Traps of a sink": SINK_TRAPS,
} as const;

type KeysOfEach<T> = T extends unknown ? keyof T & string : never;
type Section = Readonly<Record<string, ErrorMeaning>>;

/**
 * Every code that Millrace raises, with its meaning. At run time only its type is used, so no
 * bundle contains the texts.
 */
export const ERROR_CODES = flat(ERROR_SECTIONS);

/**
 * A code that Millrace raises. An error that was read back from a record can have any other code,
 * because users define their own.
 */
export type ErrorCode = keyof typeof ERROR_CODES;

function flat<Sections extends Readonly<Record<string, Section>>>(
  sections: Sections,
): Readonly<Record<KeysOfEach<Sections[keyof Sections]>, ErrorMeaning>> {
  return Object.assign({}, ...Object.values(sections)) as ReturnType<typeof flat<Sections>>;
}
