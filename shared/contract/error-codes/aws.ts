import type { ErrorMeaning } from "./meaning.ts";

/** Codes of the commands that work on deployed pipelines. */
export const DEPLOYED = {
  AWS_FAILED: {
    means: "a call of an AWS service failed; the message has the call and what the service said",
    do: "check region, credentials, and what they may do",
    again: "by the SDK",
  },
  EXECUTION_FAILED: {
    means: "an execution failed outside a batch, or was ended from outside",
    do: "see it in the console of Step Functions",
    again: "no",
  },
  FUNCTION_FAILED: {
    means: "the function that was invoked failed",
    do: "see its log in CloudWatch",
    again: "no",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;

/** Codes of pipelines that run on AWS, and of the CDK construct. */
export const ON_AWS = {
  PROPS_INVALID: {
    means: "the construct's properties do not fit together",
    do: "as it says; nothing was deployed",
    again: "no",
  },
  PIPELINE_MISMATCH: {
    means: "the bundled file has another pipeline than was deployed",
    do: "deploy again",
    again: "no",
  },
  SETTING_MISSING: {
    means: "a function lacks an environment variable",
    do: "deploy it with `MicroBatchPipeline`",
    again: "no",
  },
  SECRET_UNAVAILABLE: {
    means: "a secret cannot be read from Secrets Manager or Parameter Store",
    do: "check that it exists, its field, and its KMS key",
    again: "yes",
  },
  TASK_OUT_OF_TIME: {
    means: "a writer stopped itself before Lambda would have",
    do: "raise `writerTimeout` or `writerMemory`, or give smaller partitions",
    again: "next run",
  },
  TASK_KILLED: {
    means: "a writer was ended from outside: out of memory, `process.exit`",
    do: "look into the log of Write",
    again: "next run",
  },
  TOO_MANY_PARTITIONS: {
    means:
      "a batch of more than 100,000 partitions, or 10,000 in an Express workflow, before or after an exchange of rows; nothing was recorded",
    do: "give larger partitions, end the batch earlier, or ask for fewer partitions of an exchange",
    again: "no",
  },
  STEP_FAILED: {
    means: "a function failed outside source and sink",
    do: "look into its log",
    again: "yes",
  },
  AVAILABLE_NOW_INVALID: {
    means: "`availableNowTarget()` gave no JSON, or too much of it",
    do: "give the last offset of the run",
    again: "no",
  },
} as const satisfies Readonly<Record<string, ErrorMeaning>>;
