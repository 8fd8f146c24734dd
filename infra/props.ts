import type { Duration, RemovalPolicy } from "aws-cdk-lib";
import type { ITable } from "aws-cdk-lib/aws-dynamodb";
import type { ISecurityGroup, IVpc, SubnetSelection } from "aws-cdk-lib/aws-ec2";
import type { IKey } from "aws-cdk-lib/aws-kms";
import type { BundlingOptions } from "aws-cdk-lib/aws-lambda-nodejs";
import type { RetentionDays } from "aws-cdk-lib/aws-logs";
import type { IBucket } from "aws-cdk-lib/aws-s3";
import type { ISecret } from "aws-cdk-lib/aws-secretsmanager";
import type { ITopic } from "aws-cdk-lib/aws-sns";
import type { IStringParameter } from "aws-cdk-lib/aws-ssm";

/** When executions start: a `Schedule` of aws-events or a `ScheduleExpression` of aws-scheduler. */
export interface ScheduleLike {
  /** A schedule expression such as `rate(1 minute)` or `cron(0 3 * * ? *)`. */
  readonly expressionString: string;
}

/**
 * A secret in Secrets Manager (the whole secret or one field of its JSON), or a String or
 * SecureString parameter in Parameter Store.
 */
export type PipelineSecret =
  | { readonly secret: ISecret; readonly field?: string }
  | { readonly parameter: IStringParameter };

/** The notification topic and the thresholds of the alarms. */
export interface AlarmProps {
  /** SNS topic that is notified when an alarm starts and ends. Default: no notification. */
  readonly topic?: ITopic;
  /** Alarm if a batch is not committed this long after it was first planned. Default: 1 hour. */
  readonly batchAge?: Duration;
  /** Alarm if a batch takes longer than this. Default: half of `timeout`. */
  readonly batchDuration?: Duration;
  /**
   * Alarm if more than this fraction of an hour's batch attempts was aborted, 0 to 1. Default: 0.5.
   */
  readonly abortRate?: number;
  /**
   * Alarm if the pipeline makes no progress for this long: it commits no batch, and no run reports
   * that there is no new data. Default: three times the rate of `schedule`, at least 1 hour; 25
   * hours for a schedule that is not a rate; no alarm without a schedule.
   */
  readonly stalledAfter?: Duration;
  /** Alarm if more rows than this are left out within five minutes (`.onBadRow()`). Default: 0. */
  readonly badRows?: number;
  /** Alarm if fewer rows are committed in a day. Default: no alarm. */
  readonly minRowsPerDay?: number;
}

/** Properties of a `MicroBatchPipeline`. */
export interface MicroBatchPipelineProps {
  /**
   * The TypeScript or JavaScript file whose default export is the pipeline, relative to the working
   * directory.
   */
  readonly entry: string;
  /**
   * The pipeline's name. Default: the name in `entry`, which is loaded during synthesis. If the
   * name is set, `entry` is not loaded.
   */
  readonly pipelineName?: string;
  /**
   * Folder of the Arrow table, `s3://bucket/folder`, to which the roles get access. Default: the
   * path in `entry`, if it is loaded (see `pipelineName`).
   */
  readonly tablePath?: string;
  /**
   * When executions start. Default: no schedule; start them with `millrace run` or another trigger
   * of the state machine.
   */
  readonly schedule?: ScheduleLike;
  /** Whether the schedule is enabled. Default: true. */
  readonly enabled?: boolean;
  /**
   * What one execution does: one batch (`once`), or all batches until the data available at its
   * start is read (`availableNow`). Default: the pipeline's trigger.
   */
  readonly trigger?: "once" | "availableNow";
  /**
   * Type of the state machine. `standard` is billed per state transition and keeps its history for
   * 90 days. `express` is billed per second, ends after five minutes, and has no Distributed Map.
   * Default: `standard`.
   */
  readonly workflow?: "standard" | "express";
  /**
   * The ledger's table, with keys `pk` and `sk` and the TTL attribute `expiresAt`. Pipelines may
   * share it. Default: a new table.
   */
  readonly table?: ITable;
  /**
   * The store's bucket. Each pipeline uses a prefix with its name, so pipelines may share it.
   * Default: a new bucket.
   */
  readonly bucket?: IBucket;
  /** Memory of the function that writes a partition, in MiB. Default: 1024. */
  readonly writerMemory?: number;
  /**
   * Timeout of the function that writes a partition. Default: 15 minutes; 2 minutes with `express`.
   */
  readonly writerTimeout?: Duration;
  /** Memory of the functions that plan, finalize and vacuum, in MiB. Default: 512. */
  readonly plannerMemory?: number;
  /**
   * Timeout of the functions that plan, finalize and vacuum. Default: 5 minutes; 1 minute with
   * `express`.
   */
  readonly plannerTimeout?: Duration;
  /**
   * Timeout of a whole execution. The next execution resumes a batch that was cut off. Default: 12
   * hours; 5 minutes with `express`.
   */
  readonly timeout?: Duration;
  /**
   * Maximum number of parallel writers. Batches that run in an inline Map have at most 40. Default:
   * 500.
   */
  readonly maxConcurrency?: number;
  /** Maximum number of attempts for one task. Default: 3. */
  readonly maxAttempts?: number;
  /**
   * A partition is reported as stalled if its source yields no row, or its sink takes none, for
   * this long. It must be less than `writerTimeout`. Default: the pipeline's setting, or 5 minutes.
   */
  readonly stallAfter?: Duration;
  /**
   * Whether the task of a stalled partition fails and is retried. Default: the pipeline's setting,
   * or false.
   */
  readonly failStalled?: boolean;
  /** Maximum number of partitions for which an inline Map is used, at most 1000. Default: 200. */
  readonly distributeAbove?: number;
  /** Environment variables of all functions. */
  readonly environment?: Readonly<Record<string, string>>;
  /**
   * Secrets by the name of the environment variable (`runtime.env`) in which the pipeline finds
   * them. They are read at run time. A secret needs the package `@aws-sdk/client-secrets-manager`,
   * a parameter needs `@aws-sdk/client-ssm`.
   */
  readonly secrets?: Readonly<Record<string, PipelineSecret>>;
  /**
   * What happens to table, bucket and logs when the stack is deleted. Default: table and bucket are
   * kept, logs are deleted.
   */
  readonly removalPolicy?: RemovalPolicy;
  /** The KMS key that encrypts table and bucket. Default: keys managed by AWS. */
  readonly encryptionKey?: IKey;
  /**
   * The VPC of the functions. It needs access to DynamoDB, S3, Step Functions and the source.
   * Default: none.
   */
  readonly vpc?: IVpc;
  /** The subnets of the functions. Default: the private subnets of `vpc`. */
  readonly vpcSubnets?: SubnetSelection;
  /** The security groups of the functions. Default: a new one that allows all outgoing traffic. */
  readonly securityGroups?: readonly ISecurityGroup[];
  /** How long logs are kept. Default: one month. */
  readonly logRetention?: RetentionDays;
  /**
   * Whether to trace with X-Ray. Its actions do not support resource-level permissions, so all
   * roles get a statement on `*`. Needs the package `@aws-lambda-powertools/tracer`. Default:
   * false.
   */
  readonly tracing?: boolean;
  /** Namespace of the metrics. Default: `Millrace`. */
  readonly metricsNamespace?: string;
  /** Whether to create a dashboard. Default: true. */
  readonly dashboard?: boolean;
  /** Thresholds of the alarms, or false for no alarms. */
  readonly alarms?: AlarmProps | false;
  /** Options for esbuild, which override those of the construct. */
  readonly bundling?: BundlingOptions;
}
