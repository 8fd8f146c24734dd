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

/**
 * When executions start: a `Schedule` of aws-events, or a `ScheduleExpression` of aws-scheduler.
 */
export interface ScheduleLike {
  /** Such as `rate(1 minute)` or `cron(0 3 * * ? *)`. */
  readonly expressionString: string;
}

/**
 * A secret in Secrets Manager, whole or one field of its JSON, or a parameter, plain or
 * SecureString, in Parameter Store.
 */
export type PipelineSecret =
  | { readonly secret: ISecret; readonly field?: string }
  | { readonly parameter: IStringParameter };

/** Thresholds of the alarms. */
export interface AlarmProps {
  /** Told of alarms, and of their end. Default: nobody. */
  readonly topic?: ITopic;
  /** A batch was planned this long ago and is not committed. Default: 1 hour. */
  readonly batchAge?: Duration;
  /** One batch takes longer. Default: half of `timeout`. */
  readonly batchDuration?: Duration;
  /** Part of the batch attempts of an hour that were aborted, 0 to 1. Default: 0.5. */
  readonly abortRate?: number;
  /**
   * For this long no batch was committed, and no run found that there is nothing new. Default:
   * three times the `schedule`'s rate, at least 1 hour; 25 hours for another kind of schedule; no
   * alarm without one.
   */
  readonly stalledAfter?: Duration;
  /** Fewer rows a day are an alarm. Default: none. */
  readonly minRowsPerDay?: number;
}

/** Properties of a MicroBatchPipeline. */
export interface MicroBatchPipelineProps {
  /**
   * The file whose default export is the pipeline, TypeScript or JavaScript, relative to the
   * working directory.
   */
  readonly entry: string;
  /**
   * The pipeline's name. Default: as `entry` says, which is loaded for it; with a name it is not.
   */
  readonly pipelineName?: string;
  /**
   * Folder of the Arrow table, `s3://bucket/folder`, for the roles' rights. Default: as `entry`
   * says, which with `pipelineName` is not loaded.
   */
  readonly tablePath?: string;
  /** Starts executions. Default: none; `millrace run`, or whatever starts the state machine. */
  readonly schedule?: ScheduleLike;
  /** Whether the schedule is on. Default: true. */
  readonly enabled?: boolean;
  /**
   * What one execution does: one batch, or batches until all that was there at its start is read.
   * Default: as the pipeline says.
   */
  readonly trigger?: "once" | "availableNow";
  /**
   * Kind of state machine. `standard` costs per state transition and can be looked at for 90 days;
   * `express` costs per second, ends after five minutes, and has no distributed Map. Default:
   * `standard`.
   */
  readonly workflow?: "standard" | "express";
  /**
   * The ledger, keys `pk` and `sk`, TTL `expiresAt`: pipelines may share one. Default: a table of
   * its own.
   */
  readonly table?: ITable;
  /**
   * The store, below a prefix with the pipeline's name: pipelines may share one. Default: a bucket
   * of its own.
   */
  readonly bucket?: IBucket;
  /** Memory of the function that writes a partition, in MiB. Default: 1024. */
  readonly writerMemory?: number;
  /**
   * Time of the function that writes a partition. Default: 15 minutes; 2 minutes with `express`.
   */
  readonly writerTimeout?: Duration;
  /** Memory of the functions that plan, finalize and vacuum, in MiB. Default: 512. */
  readonly plannerMemory?: number;
  /**
   * Time of the functions that plan, finalize and vacuum. Default: 5 minutes; 1 minute with
   * `express`.
   */
  readonly plannerTimeout?: Duration;
  /**
   * Time of a whole execution; a batch that it cuts off is resumed by the next one. Default: 12
   * hours; 5 minutes with `express`.
   */
  readonly timeout?: Duration;
  /** Writers at once; up to 200 partitions at most 40. Default: 500. */
  readonly maxConcurrency?: number;
  /** Attempts of one task. Default: 3. */
  readonly maxAttempts?: number;
  /**
   * A partition is reported as stalled when its source has given no row, or its sink has taken
   * none, for this long; less than `writerTimeout`. Default: as the pipeline says, else 5 minutes.
   */
  readonly stallAfter?: Duration;
  /**
   * Whether the task of a stalled partition fails, and is tried again. Default: as the pipeline
   * says, else false.
   */
  readonly failStalled?: boolean;
  /** Partitions up to which the Map runs inline, at most 1,000. Default: 200. */
  readonly distributeAbove?: number;
  /** Environment variables of all functions. */
  readonly environment?: Readonly<Record<string, string>>;
  /**
   * Secrets by the name under which the pipeline finds them in its environment (`runtime.env`),
   * read at run time. A secret needs the package `@aws-sdk/client-secrets-manager`, a parameter
   * `@aws-sdk/client-ssm`.
   */
  readonly secrets?: Readonly<Record<string, PipelineSecret>>;
  /**
   * What becomes of table, bucket and logs with the stack. Default: table and bucket are kept, logs
   * go.
   */
  readonly removalPolicy?: RemovalPolicy;
  /** Encrypts table and bucket. Default: keys that AWS manages. */
  readonly encryptionKey?: IKey;
  /**
   * Network of the functions. It needs ways to DynamoDB, S3, Step Functions and the source.
   * Default: none.
   */
  readonly vpc?: IVpc;
  /** Default: the private ones. */
  readonly vpcSubnets?: SubnetSelection;
  /** Default: one of its own that allows all outgoing traffic. */
  readonly securityGroups?: readonly ISecurityGroup[];
  /** How long logs are kept. Default: one month. */
  readonly logRetention?: RetentionDays;
  /**
   * Traces by X-Ray. Its actions know no resources, so all roles get a statement on `*`. Needs
   * the package `@aws-lambda-powertools/tracer`. Default: false.
   */
  readonly tracing?: boolean;
  /** Namespace of the metrics. Default: `Millrace`. */
  readonly metricsNamespace?: string;
  /** Whether to make a dashboard. Default: true. */
  readonly dashboard?: boolean;
  /** Thresholds of the alarms, or false for none. */
  readonly alarms?: AlarmProps | false;
  /** Options of esbuild, over those of the construct. */
  readonly bundling?: BundlingOptions;
}
