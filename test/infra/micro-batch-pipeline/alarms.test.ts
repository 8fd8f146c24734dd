import { CfnOutput, Duration } from "aws-cdk-lib";
import { Match } from "aws-cdk-lib/assertions";
import { Schedule } from "aws-cdk-lib/aws-events";
import { Topic } from "aws-cdk-lib/aws-sns";
import { describe, expect, it } from "vitest";
import type { MicroBatchPipelineProps } from "../../../infra/props.ts";
import { METRIC } from "../../../shared/aws/names.ts";
import { Synthesized } from "../synthesize.ts";

describe("alarms and dashboard", () => {
  it("The alarms report age, failures, duration, abort rate, and a pipeline that has stopped", () => {
    const { template, pipeline } = new Synthesized({ schedule: Schedule.rate(Duration.minutes(1)) });
    expect(pipeline.alarms.map((alarm) => alarm.node.id)).toEqual([
      "FailedBatches",
      "Paused",
      "FailedExecutions",
      "BadRows",
      "BatchAge",
      "BatchDuration",
      "AbortRate",
      "StalledPartitions",
      "Stalled",
    ]);
    template.hasResourceProperties("AWS::CloudWatch::Alarm", {
      AlarmName: "Shop-Orders-Stalled",
      MetricName: METRIC.progress,
      Namespace: "Millrace",
      Dimensions: [{ Name: "service", Value: "orders" }],
      Period: 300,
      EvaluationPeriods: 12,
      ComparisonOperator: "LessThanThreshold",
      TreatMissingData: "breaching",
    });
    template.hasResourceProperties("AWS::CloudWatch::Alarm", {
      AlarmName: "Shop-Orders-Paused",
      MetricName: METRIC.pipelinePaused,
      Threshold: 0,
      ComparisonOperator: "GreaterThanThreshold",
      TreatMissingData: "ignore",
    });
    template.hasResourceProperties("AWS::CloudWatch::Alarm", {
      AlarmName: "Shop-Orders-BadRows",
      MetricName: METRIC.badRows,
      Threshold: 0,
      ComparisonOperator: "GreaterThanThreshold",
      TreatMissingData: "notBreaching",
    });
    template.hasResourceProperties("AWS::CloudWatch::Alarm", {
      AlarmName: "Shop-Orders-StalledPartitions",
      MetricName: METRIC.stalledPartitions,
      Threshold: 0,
      ComparisonOperator: "GreaterThanThreshold",
      TreatMissingData: "notBreaching",
    });
    const dashboard = JSON.stringify(template.findResources("AWS::CloudWatch::Dashboard"));
    for (const metric of [
      METRIC.rows,
      METRIC.batchAge,
      METRIC.batchDuration,
      METRIC.batchesAborted,
      METRIC.progress,
      METRIC.taskFailures,
      METRIC.stalledPartitions,
    ])
      expect(dashboard).toContain(metric);
  });

  it.each([
    ["rate(1 minute)", 300, 12],
    ["rate(2 hours)", 300, 72],
    ["rate(1 day)", 3600, 72],
    ["cron(0 3 * * ? *)", 3600, 25],
  ])(
    "The alarm for a stalled pipeline waits according to the schedule: %s",
    (expression, period, periods) => {
      const { template } = new Synthesized({ schedule: { expressionString: expression } });
      template.hasResourceProperties("AWS::CloudWatch::Alarm", {
        AlarmName: "Shop-Orders-Stalled",
        Period: period,
        EvaluationPeriods: periods,
      });
    },
  );

  it("The alarm for a stalled pipeline is absent without a schedule, and beyond CloudWatch's limit", () => {
    const named = (props: Partial<MicroBatchPipelineProps>) =>
      new Synthesized(props).pipeline.alarms.map((alarm) => alarm.node.id);
    expect(named({ schedule: Schedule.rate(Duration.minutes(1)), enabled: false })).not.toContain("Stalled");
    expect(named({ schedule: Schedule.rate(Duration.days(7)) })).not.toContain("Stalled");
    expect(named({ schedule: Schedule.rate(Duration.days(3)) })).toContain("Stalled");
    const asked = { enabled: false, alarms: { stalledAfter: Duration.hours(2) } };
    expect(named({ schedule: Schedule.rate(Duration.minutes(1)), ...asked })).toContain("Stalled");
  });

  it("The alarms go to a topic, have thresholds and can be left out", () => {
    const { template } = new Synthesized((scope) => ({
      alarms: { topic: new Topic(scope, "Pager"), batchAge: Duration.minutes(10), minRowsPerDay: 1000 },
      dashboard: false,
    }));
    template.hasResourceProperties("AWS::CloudWatch::Alarm", {
      AlarmName: "Shop-Orders-BatchAge",
      Threshold: 600_000,
      AlarmActions: Match.anyValue(),
    });
    template.hasResourceProperties("AWS::CloudWatch::Alarm", {
      AlarmName: "Shop-Orders-FewRows",
      Threshold: 1000,
    });
    template.resourceCountIs("AWS::CloudWatch::Dashboard", 0);
    new Synthesized({ alarms: false }).template.resourceCountIs("AWS::CloudWatch::Alarm", 0);
  });

  it("The alarms can be extended, because each metric belongs to this pipeline", () => {
    const { pipeline, stack } = new Synthesized({ metricsNamespace: "Shop" });
    const metrics = [
      pipeline.metricRows(),
      pipeline.metricBytes(),
      pipeline.metricBatchesCommitted(),
      pipeline.metricBatchesAborted(),
      pipeline.metricBatchDuration(),
      pipeline.metricBatchAge(),
      pipeline.metricTaskFailures({ period: Duration.minutes(1) }),
      pipeline.metricStalledPartitions(),
    ];
    for (const metric of metrics)
      expect(metric).toMatchObject({ namespace: "Shop", dimensions: { service: "orders" } });
    expect(new CfnOutput(stack, "Rate", { value: pipeline.metricAbortRate().expression }).value).toContain(
      "aborted",
    );
    expect(pipeline.metricExecutionsFailed().expression).toContain("timedOut");
  });
});
