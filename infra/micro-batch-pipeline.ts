import { CfnOutput, Stack } from "aws-cdk-lib";
import type { Alarm, Dashboard, MathExpression, Metric, MetricOptions } from "aws-cdk-lib/aws-cloudwatch";
import type { ITable } from "aws-cdk-lib/aws-dynamodb";
import type { IGrantable } from "aws-cdk-lib/aws-iam";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import type { IBucket } from "aws-cdk-lib/aws-s3";
import type { StateMachine } from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";
import {
  METRIC,
  METRICS_NAMESPACE,
  type MetricName,
  OUTPUT,
  OUTPUT_VERSION,
  type OutputField,
} from "../shared/aws/names.ts";
import type { PipelineDescription } from "../shared/contract/pipeline-description.ts";
import { STORE_FOLDER } from "../shared/contract/store-layout.ts";
import { describePipeline } from "./describe-pipeline.ts";
import { figuresOf } from "./figures.ts";
import { folderOf, listing, objects } from "./folders.ts";
import { functionsOf, keysOf } from "./functions.ts";
import { icebergTableOf, readStatements } from "./iceberg-permissions.ts";
import { PipelineMetrics } from "./metrics.ts";
import { executionsFailed, Monitoring } from "./monitoring.ts";
import { checkImports, checkOptions } from "./optional-packages.ts";
import { type Places, tableArn } from "./permissions.ts";
import type { MicroBatchPipelineProps } from "./props.ts";
import { Schedules } from "./schedules.ts";
import { machineOf, PipelineStateMachine } from "./state-machine.ts";
import { bucketOf, tableOf } from "./storage.ts";

/** Lambda allows 64 characters, and the longest suffix is `-FailedExecutions`. */
const MAX_NAME = 47;

/**
 * A pipeline on AWS: a state machine that runs its micro-batches, the functions for its steps, its
 * ledger, its store, its schedule, a dashboard and alarms. Errors: `PROPS_INVALID`,
 * `DEPENDENCY_MISSING`, and those of loading `entry`.
 */
export class MicroBatchPipeline extends Construct {
  /**
   * The pipeline's name. It identifies the pipeline in the ledger and is its prefix in the bucket.
   */
  readonly pipelineName: string;
  /** The DynamoDB table of the ledger. */
  readonly table: ITable;
  /** The bucket with staged files. It also has the Arrow table, unless the sink's path is set. */
  readonly bucket: IBucket;
  /** The state machine that runs the batches. */
  readonly stateMachine: StateMachine;
  /** Plans batches: asks the source for new data. */
  readonly planFunction: IFunction;
  /** Reads and stages one partition. */
  readonly writeFunction: IFunction;
  /** Commits or aborts a batch. */
  readonly finalizeFunction: IFunction;
  /** Removes files that no batch needs any more. */
  readonly vacuumFunction: IFunction;
  /** The alarms. Empty if the prop `alarms` is false. */
  readonly alarms: readonly Alarm[];
  /** The dashboard. `undefined` if the prop `dashboard` is false. */
  readonly dashboard: Dashboard | undefined;
  readonly #places: Places;
  readonly #props: MicroBatchPipelineProps;
  readonly #metrics: PipelineMetrics;

  constructor(scope: Construct, id: string, props: MicroBatchPipelineProps) {
    super(scope, id);
    const figures = figuresOf(props);
    checkOptions(props);
    const description = describe(this, props);
    const pipeline = description.name;
    const name = nameOf(this);
    this.#props = props;
    this.pipelineName = pipeline;
    this.table = tableOf(this, props);
    this.bucket = bucketOf(this, props);
    const lake = folderOf(this, "Lake", description.path);
    const source = folderOf(this, "Source", description.sourcePath);
    const sinkTable = tableArn(this, description.sinkTable);
    const iceberg = icebergTableOf(this, pipeline, description.iceberg);
    this.#places = {
      pipeline,
      table: this.table,
      bucket: this.bucket,
      prefix: pipeline,
      ...(lake === undefined ? {} : { lake }),
      ...(source === undefined ? {} : { source }),
      ...(sinkTable === undefined ? {} : { sinkTable, merges: description.merges === true }),
      ...(iceberg === undefined ? {} : { iceberg }),
    };

    const context = {
      props,
      figures,
      places: this.#places,
      name,
      machine: machineOf(this, name, figures.isExpress),
    };
    const functions = functionsOf(this, context);
    this.planFunction = functions.Plan;
    this.writeFunction = functions.Write;
    this.finalizeFunction = functions.Finalize;
    this.vacuumFunction = functions.Vacuum;
    const { stateMachine } = new PipelineStateMachine(this, "Workflow", context, functions);
    this.stateMachine = stateMachine;
    new Schedules(this, "Schedules", props, { name, pipeline, stateMachine, vacuum: functions.Vacuum });

    this.#metrics = new PipelineMetrics(props.metricsNamespace ?? METRICS_NAMESPACE, pipeline);
    const monitoring = { props, figures, pipeline, name, metrics: this.#metrics, stateMachine };
    const { alarms, dashboard } = new Monitoring(this, "Monitoring", monitoring);
    this.alarms = alarms;
    this.dashboard = dashboard;
    this.#addOutput();
  }

  /** Allows reading the Arrow or Iceberg table that the pipeline writes, with all its files. */
  grantRead(grantee: IGrantable): void {
    const { bucket, prefix, lake, iceberg } = this.#places;
    if (iceberg !== undefined) {
      for (const statement of readStatements(iceberg)) grantee.grantPrincipal.addToPrincipalPolicy(statement);
      return;
    }
    this.#grantReadBelow(grantee, lake ?? { bucket, prefix: `${prefix}/${STORE_FOLDER.table}` });
  }

  /**
   * Allows reading everything that the pipeline stores in its bucket: partitions, large messages,
   * and files of batches that are not committed.
   */
  grantReadStaged(grantee: IGrantable): void {
    this.#grantReadBelow(grantee, this.#places);
  }

  /** Returns a metric of the pipeline by its name; docs/aws.md lists them. */
  metric(name: MetricName, options?: MetricOptions): Metric {
    return this.#metrics.get(name, options);
  }

  /** Number of committed rows. */
  metricRows(options?: MetricOptions): Metric {
    return this.metric(METRIC.rows, options);
  }

  /** Bytes of committed Arrow data. */
  metricBytes(options?: MetricOptions): Metric {
    return this.metric(METRIC.bytes, options);
  }

  /** Number of committed batches. */
  metricBatchesCommitted(options?: MetricOptions): Metric {
    return this.metric(METRIC.batchesCommitted, options);
  }

  /** Number of aborted batch attempts. */
  metricBatchesAborted(options?: MetricOptions): Metric {
    return this.metric(METRIC.batchesAborted, options);
  }

  /** Duration of a batch attempt from its plan to its end, in milliseconds. */
  metricBatchDuration(options?: MetricOptions): Metric {
    return this.metric(METRIC.batchDuration, options);
  }

  /**
   * Age of a batch in milliseconds: the time since it was first planned, up to now or to its end.
   */
  metricBatchAge(options?: MetricOptions): Metric {
    return this.metric(METRIC.batchAge, options);
  }

  /** Number of failed task attempts, including those that were retried. */
  metricTaskFailures(options?: MetricOptions): Metric {
    return this.metric(METRIC.taskFailures, options);
  }

  /** Number of times that a partition stalled. */
  metricStalledPartitions(options?: MetricOptions): Metric {
    return this.metric(METRIC.stalledPartitions, options);
  }

  /** Fraction of the batch attempts in an hour that were aborted, 0 to 1. */
  metricAbortRate(options?: MetricOptions): MathExpression {
    return this.#metrics.abortRate(options);
  }

  /** Number of executions that failed, timed out or were stopped. */
  metricExecutionsFailed(): MathExpression {
    return executionsFailed(this.stateMachine);
  }

  #grantReadBelow(grantee: IGrantable, folder: Pick<Places, "bucket" | "prefix">): void {
    const { grantPrincipal } = grantee;
    grantPrincipal.addToPrincipalPolicy(objects(folder, ["GetObject"], ["*"]));
    grantPrincipal.addToPrincipalPolicy(listing(folder, folder.prefix));
    for (const key of keysOf(this.#props)) key.grantDecrypt(grantee);
  }

  /** Writes the stack output that `millrace --stack` reads. */
  #addOutput(): void {
    const output: Readonly<Record<OutputField, unknown>> = {
      [OUTPUT.version]: OUTPUT_VERSION,
      [OUTPUT.pipeline]: this.pipelineName,
      [OUTPUT.table]: this.table.tableName,
      [OUTPUT.bucket]: this.bucket.bucketName,
      [OUTPUT.prefix]: this.#places.prefix,
      [OUTPUT.stateMachine]: this.stateMachine.stateMachineArn,
      [OUTPUT.vacuum]: this.vacuumFunction.functionName,
      [OUTPUT.finalize]: this.finalizeFunction.functionName,
    };
    new CfnOutput(this, "Pipeline", {
      description: `Millrace pipeline ${this.pipelineName}: read by the millrace command`,
      value: Stack.of(this).toJsonString(output),
    });
  }
}

/**
 * Returns name and path of the pipeline. With `pipelineName`, the file is not loaded during
 * synthesis. Errors: `DEPENDENCY_MISSING`, and those of loading the file.
 */
function describe(scope: Construct, props: MicroBatchPipelineProps): PipelineDescription {
  const { pipelineName, tablePath, entry, environment = {} } = props;
  if (pipelineName !== undefined && Stack.of(scope).bundlingRequired) checkImports(entry);
  const told = pipelineName === undefined ? describePipeline(entry, environment) : { name: pipelineName };
  return tablePath === undefined ? told : { ...told, path: tablePath };
}

/**
 * Returns the prefix of all resource names: `<stack>-<id>`, including the ids of constructs in
 * between, with only characters that all services accept.
 */
function nameOf(scope: Construct): string {
  let stack = Stack.of(scope);
  // Uses the root stack, because the name of a nested stack is long and is known only after
  // deployment.
  while (stack.nestedStackParent !== undefined) stack = stack.nestedStackParent;
  const { scopes } = scope.node;
  const ids = scopes.slice(scopes.indexOf(stack) + 1).map(({ node }) => node.id.replace(/[^\w-]/g, ""));
  const name = [stack.stackName, ...ids].join("-");
  return name.length <= MAX_NAME ? name : `${name.slice(0, MAX_NAME - 9)}-${scope.node.addr.slice(-8)}`;
}
