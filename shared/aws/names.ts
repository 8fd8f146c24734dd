/**
 * Names that the construct, the functions and the command must spell alike. Those of environment
 * variables are in settings.ts, those of what goes from state to state in state.ts.
 */

/** Metrics: the functions write them, the construct watches them. docs/aws.md lists them. */
export const METRIC = {
  batchAge: "BatchAge",
  batchDuration: "BatchDuration",
  batchesAborted: "BatchesAborted",
  batchesCommitted: "BatchesCommitted",
  bytes: "Bytes",
  partitions: "Partitions",
  progress: "Progress",
  rows: "Rows",
  stalledPartitions: "StalledPartitions",
  taskDuration: "TaskDuration",
  taskFailures: "TaskFailures",
} as const;

/** The metrics that the functions write. */
export type MetricName = (typeof METRIC)[keyof typeof METRIC];

/** Namespace of the metrics, unless the construct is told another one. */
export const METRICS_NAMESPACE = "Millrace";

/** The variables of Powertools that the construct sets. */
export const POWERTOOLS = {
  namespace: "POWERTOOLS_METRICS_NAMESPACE",
  tracing: "POWERTOOLS_TRACE_ENABLED",
} as const;

/** Log messages that somebody is told to look for. */
export const LOG_MESSAGE = { stalled: "stalled" } as const;

/** Begins the names of all errors that a function throws by itself; others come from Lambda. */
export const STEP_ERROR_PREFIX = "Millrace.";

/**
 * The errors of a function, as the state machine tells them apart: whether to try the same call
 * again.
 */
export const STEP_ERROR = {
  retryable: `${STEP_ERROR_PREFIX}Retryable`,
  final: `${STEP_ERROR_PREFIX}Final`,
} as const;

/**
 * Fields of the stack's output that tells the command where a pipeline is. docs/aws.md lists them.
 */
export const OUTPUT = {
  /** Version of the output, by which it is recognized. */
  version: "millrace",
  pipeline: "pipeline",
  /** Name of the ledger's table. */
  table: "table",
  bucket: "bucket",
  /** Of the pipeline's store in the bucket. */
  prefix: "prefix",
  /** ARN. */
  stateMachine: "stateMachine",
  /** Name of the function. */
  vacuum: "vacuum",
} as const;

export type OutputField = (typeof OUTPUT)[keyof typeof OUTPUT];

export const OUTPUT_VERSION = 1;

/** Attributes of the ledger's table that its definition names. */
export const LEDGER_ATTRIBUTE = { partitionKey: "pk", sortKey: "sk", expiry: "expiresAt" } as const;

/** Partition key of a pipeline's head, batches and journal. */
export function pipelinePartition(pipeline: string): string {
  return `P#${pipeline}`;
}

/**
 * Begins the partition keys of a pipeline's tasks, which have partitions of their own so that roles
 * can be limited to them.
 */
export function tasksPrefix(pipeline: string): string {
  return `T#${pipeline}#`;
}
