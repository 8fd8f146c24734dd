import { BACKFILL_MARK, pipelineOfBackfill } from "../contract/backfill.ts";

/**
 * Names that the CDK construct, the Lambda functions and the command must spell alike. Environment
 * variables are in settings.ts, payloads of the state machine in state.ts.
 */

/**
 * Names of CloudWatch metrics. The functions publish them and the construct creates alarms on them.
 * docs/aws.md lists them.
 */
export const METRIC = {
  badRows: "BadRows",
  batchAge: "BatchAge",
  batchDuration: "BatchDuration",
  batchesAborted: "BatchesAborted",
  batchesCommitted: "BatchesCommitted",
  bytes: "Bytes",
  partitions: "Partitions",
  pipelinePaused: "PipelinePaused",
  progress: "Progress",
  rows: "Rows",
  stalledPartitions: "StalledPartitions",
  taskDuration: "TaskDuration",
  taskFailures: "TaskFailures",
} as const;

/** Name of a metric that the functions publish. */
export type MetricName = (typeof METRIC)[keyof typeof METRIC];

/** Default namespace of the metrics. */
export const METRICS_NAMESPACE = "Millrace";

/** The Powertools environment variables that the construct sets. */
export const POWERTOOLS = {
  namespace: "POWERTOOLS_METRICS_NAMESPACE",
  tracing: "POWERTOOLS_TRACE_ENABLED",
} as const;

/** Log messages that the description of an alarm tells people to search for. */
export const LOG_MESSAGE = { paused: "paused", stalled: "stalled" } as const;

/** Prefix of every error name that a function throws itself. Errors without it come from Lambda. */
export const STEP_ERROR_PREFIX = "Millrace.";

/** Error names by which the state machine decides whether to retry a function. */
export const STEP_ERROR = {
  retryable: `${STEP_ERROR_PREFIX}Retryable`,
  final: `${STEP_ERROR_PREFIX}Final`,
  /** The error of a task attempt that was not allowed to commit. It does not count as a failure. */
  denied: `${STEP_ERROR_PREFIX}Denied`,
} as const;

/**
 * Fields of the stack output from which the command learns where a pipeline is deployed.
 * docs/aws.md lists them.
 */
export const OUTPUT = {
  /** Version of the output. The command recognises the output by this field. */
  version: "millrace",
  pipeline: "pipeline",
  /** Name of the DynamoDB table of the ledger. */
  table: "table",
  bucket: "bucket",
  /** Prefix of the pipeline's store in the bucket. */
  prefix: "prefix",
  /** ARN of the state machine. */
  stateMachine: "stateMachine",
  /** Name of the vacuum function. */
  vacuum: "vacuum",
  /** Name of the function that finalizes batches, and performs manual operations. */
  finalize: "finalize",
} as const;

export type OutputField = (typeof OUTPUT)[keyof typeof OUTPUT];

export const OUTPUT_VERSION = 1;

/** Attributes that the definition of the ledger's table refers to. */
export const LEDGER_ATTRIBUTE = { partitionKey: "pk", sortKey: "sk", expiry: "expiresAt" } as const;

/** Partition key of a pipeline's head, batches and journal. */
export function pipelinePartition(pipeline: string): string {
  return `P#${pipeline}`;
}

/**
 * Prefix of the partition keys of a pipeline's tasks. Tasks have partitions of their own, so that
 * an IAM role can be limited to them.
 */
export function tasksPrefix(pipeline: string): string {
  return `T#${pipeline}#`;
}

/**
 * Returns the prefix of a pipeline's store in the bucket. That of a backfill lies beside the prefix
 * of its pipeline, and no other pipeline's own name can match it.
 */
export function storePrefix(prefix: string, name: string): string {
  const live = pipelineOfBackfill(name);
  return live === undefined ? prefix : prefix + name.slice(live.length);
}

/** Pattern for the part of a backfill's name that follows the name of its pipeline. */
export const ANY_BACKFILL: string = `${BACKFILL_MARK}*`;
