import { Duration, Stack } from "aws-cdk-lib";
import {
  Alarm,
  type AlarmProps as CloudWatchAlarmProps,
  ComparisonOperator,
  Dashboard,
  GraphWidget,
  type IMetric,
  MathExpression,
  SingleValueWidget,
  Stats,
  TextWidget,
  TreatMissingData,
} from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import type { StateMachine } from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";
import { LOG_MESSAGE, METRIC } from "../shared/aws/names.ts";
import type { Figures } from "./figures.ts";
import type { PipelineMetrics } from "./metrics.ts";
import type { AlarmProps, MicroBatchPipelineProps } from "./props.ts";

const MINUTES = 60;
const HOURS = 3600;
const WEEK = 7 * 24 * HOURS;

export interface MonitoringProps {
  readonly props: MicroBatchPipelineProps;
  readonly figures: Figures;
  readonly pipeline: string;
  readonly name: string;
  readonly metrics: PipelineMetrics;
  readonly stateMachine: StateMachine;
}

/** The alarms and the dashboard of a pipeline. */
export class Monitoring extends Construct {
  readonly alarms: readonly Alarm[];
  readonly dashboard: Dashboard | undefined;

  constructor(scope: Construct, id: string, monitoring: MonitoringProps) {
    super(scope, id);
    const { props } = monitoring;
    this.alarms = props.alarms === false ? [] : this.#alarms(monitoring, props.alarms ?? {});
    this.dashboard = props.dashboard === false ? undefined : this.#dashboard(monitoring);
  }

  #alarms(monitoring: MonitoringProps, thresholds: AlarmProps): Alarm[] {
    const { pipeline, name } = monitoring;
    return [...batchAlarms(monitoring, thresholds), ...stallAlarms(monitoring, thresholds)].map(
      ({ id, description, ...alarmProps }) => {
        const alarm = new Alarm(this, id, {
          alarmName: `${name}-${id}`,
          alarmDescription: `Millrace pipeline ${pipeline}: ${description}`,
          treatMissingData: TreatMissingData.NOT_BREACHING,
          comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
          evaluationPeriods: 1,
          ...alarmProps,
        });
        if (thresholds.topic !== undefined) {
          alarm.addAlarmAction(new SnsAction(thresholds.topic));
          alarm.addOkAction(new SnsAction(thresholds.topic));
        }
        return alarm;
      },
    );
  }

  #dashboard({ pipeline, name, metrics, stateMachine, props }: MonitoringProps): Dashboard {
    const graph = (title: string, ...left: IMetric[]) =>
      new GraphWidget({ title, left, width: 12, height: 6 });
    // Dashboard names are unique in an account, not in a region, so the name has the region.
    const dashboard = new Dashboard(this, "Dashboard", { dashboardName: `${name}-${Stack.of(this).region}` });
    dashboard.addWidgets(
      new TextWidget({
        markdown: `# ${pipeline}\n${props.schedule?.expressionString ?? "no schedule"} · \`millrace status ${pipeline}\` tells where it is`,
        width: 24,
        height: 2,
      }),
    );
    dashboard.addWidgets(
      new SingleValueWidget({
        title: "Last day",
        width: 24,
        height: 3,
        metrics: [
          METRIC.rows,
          METRIC.bytes,
          METRIC.batchesCommitted,
          METRIC.batchesAborted,
          METRIC.partitions,
        ].map((metric) => metrics.get(metric, { period: Duration.days(1) })),
      }),
    );
    dashboard.addWidgets(
      graph("Rows", metrics.get(METRIC.rows), metrics.get(METRIC.badRows)),
      graph("Batches", metrics.get(METRIC.batchesCommitted), metrics.get(METRIC.batchesAborted)),
      graph("Batch age and duration (ms)", metrics.get(METRIC.batchAge), metrics.get(METRIC.batchDuration)),
      graph("Abort rate", metrics.abortRate()),
      graph(
        "Tasks: duration (ms)",
        metrics.get(METRIC.taskDuration),
        metrics.get(METRIC.taskDuration, { statistic: Stats.percentile(50) }),
      ),
      graph(
        "Tasks: failed attempts, stalled partitions",
        metrics.get(METRIC.taskFailures),
        metrics.get(METRIC.stalledPartitions),
      ),
      graph(
        "Executions",
        stateMachine.metricSucceeded(),
        stateMachine.metricFailed(),
        stateMachine.metricTimedOut(),
      ),
      graph("Progress", metrics.get(METRIC.progress)),
    );
    return dashboard;
  }
}

/** An alarm. By default it fires if the metric is above the threshold in one period. */
interface AlarmDefinition
  extends Pick<CloudWatchAlarmProps, "metric" | "threshold" | "comparisonOperator" | "treatMissingData"> {
  readonly id: string;
  readonly description: string;
  readonly evaluationPeriods?: number;
}

/** Returns the alarms for batches that fail or take long. */
function batchAlarms(
  { figures, metrics, stateMachine }: MonitoringProps,
  thresholds: AlarmProps,
): readonly AlarmDefinition[] {
  const { batchAge = Duration.hours(1), abortRate = 0.5, badRows = 0 } = thresholds;
  const { batchDuration = Duration.seconds(figures.timeout.toSeconds() / 2) } = thresholds;
  return [
    {
      id: "FailedBatches",
      description: "a batch was aborted; the next run replays it. `millrace batches` has the error.",
      metric: metrics.get(METRIC.batchesAborted),
      threshold: 0,
    },
    {
      id: "Paused",
      description: `a batch was aborted again and again by an error that will not pass, and has paused the pipeline: nothing is done until \`millrace resume\`. \`millrace status\` has the reason, and \`${LOG_MESSAGE.paused}\` in the log of Finalize.`,
      metric: metrics.get(METRIC.pipelinePaused),
      threshold: 0,
      // Between two executions nothing tells that the pause has ended.
      treatMissingData: TreatMissingData.IGNORE,
    },
    {
      id: "FailedExecutions",
      description: "an execution failed, was stopped or ran out of time. Its cause has the error.",
      metric: executionsFailed(stateMachine),
      threshold: 0,
    },
    {
      id: "BadRows",
      description:
        "rows were left out that could not be written. `millrace quarantine` has those that were kept.",
      metric: metrics.get(METRIC.badRows),
      threshold: badRows,
    },
    {
      id: "BatchAge",
      description: "a batch has been open for too long: later data wait behind it.",
      metric: metrics.get(METRIC.batchAge),
      threshold: batchAge.toMilliseconds(),
    },
    {
      id: "BatchDuration",
      description: "a batch takes long: more or smaller partitions, or a slow source.",
      metric: metrics.get(METRIC.batchDuration),
      threshold: batchDuration.toMilliseconds(),
    },
    {
      id: "AbortRate",
      description: "many batch attempts of the last hour were aborted.",
      metric: metrics.abortRate(),
      threshold: abortRate,
    },
  ];
}

/** Returns the alarms for a partition or a whole pipeline that makes no progress. */
function stallAlarms(
  { props, metrics }: MonitoringProps,
  { stalledAfter = defaultStalledAfter(props), minRowsPerDay }: AlarmProps,
): readonly AlarmDefinition[] {
  const alarms: AlarmDefinition[] = [
    {
      id: "StalledPartitions",
      description: `the source of a partition gave no row for too long, or its sink took none; or the commit of a batch does not answer: \`${LOG_MESSAGE.stalled}\` in the log of Write or Finalize says which.`,
      metric: metrics.get(METRIC.stalledPartitions),
      threshold: 0,
    },
  ];
  // A pipeline that makes no progress writes no metrics, so missing data must fire the alarm.
  const tooFew = {
    comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
    treatMissingData: TreatMissingData.BREACHING,
  };
  if (stalledAfter !== undefined) {
    const { period, evaluationPeriods } = windowOf(stalledAfter);
    alarms.push({
      ...tooFew,
      id: "Stalled",
      description: "no batch was committed, nor found that nothing is new, for too long.",
      metric: metrics.get(METRIC.progress, { period }),
      threshold: 1,
      evaluationPeriods,
    });
  }
  if (minRowsPerDay !== undefined) {
    alarms.push({
      ...tooFew,
      id: "FewRows",
      description: "fewer rows than expected in a day.",
      metric: metrics.get(METRIC.rows, { period: Duration.days(1) }),
      threshold: minRowsPerDay,
    });
  }
  return alarms;
}

/** Returns the number of executions that failed, timed out or were stopped. */
export function executionsFailed(stateMachine: StateMachine): MathExpression {
  return new MathExpression({
    expression: "failed + timedOut + aborted",
    usingMetrics: {
      failed: stateMachine.metricFailed(),
      timedOut: stateMachine.metricTimedOut(),
      aborted: stateMachine.metricAborted(),
    },
    label: "failed executions",
  });
}

/**
 * Returns three times the rate of the schedule. Returns `undefined` if the schedule is disabled, or
 * if its rate is a week or longer, which CloudWatch cannot evaluate.
 */
function defaultStalledAfter({ schedule, enabled }: MicroBatchPipelineProps): Duration | undefined {
  if (schedule === undefined || enabled === false) return undefined;
  const [, count, unit = ""] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(schedule.expressionString) ?? [];
  if (count === undefined) return Duration.hours(25);
  const rate = Number(count) * ({ minute: MINUTES, hour: HOURS, day: 24 * HOURS }[unit] ?? HOURS);
  return rate >= WEEK ? undefined : Duration.seconds(Math.max(HOURS, 3 * rate));
}

/**
 * Returns the period of an alarm. CloudWatch evaluates at most a day, or a week with periods of at
 * least an hour.
 */
function windowOf(duration: Duration): { readonly period: Duration; readonly evaluationPeriods: number } {
  const seconds = duration.toSeconds();
  const period = seconds <= 24 * HOURS ? 5 * MINUTES : HOURS;
  const evaluationPeriods = Math.min(period === HOURS ? 7 * 24 : 288, Math.ceil(seconds / period));
  return { period: Duration.seconds(period), evaluationPeriods };
}
