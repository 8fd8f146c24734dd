import { Duration } from "aws-cdk-lib";
import { MathExpression, Metric, type MetricOptions, Stats } from "aws-cdk-lib/aws-cloudwatch";
import { METRIC, type MetricName } from "../shared/aws/names.ts";

const MAXIMA: ReadonlySet<MetricName> = new Set([METRIC.batchAge, METRIC.batchDuration, METRIC.taskDuration]);

/** The CloudWatch metrics of one pipeline. */
export class PipelineMetrics {
  readonly #namespace: string;
  readonly #pipeline: string;

  constructor(namespace: string, pipeline: string) {
    this.#namespace = namespace;
    this.#pipeline = pipeline;
  }

  get(name: MetricName, options?: MetricOptions): Metric {
    return new Metric({
      namespace: this.#namespace,
      metricName: name,
      dimensionsMap: { service: this.#pipeline },
      statistic: MAXIMA.has(name) ? Stats.MAXIMUM : Stats.SUM,
      period: Duration.minutes(5),
      ...options,
    });
  }

  /** Returns the fraction of batch attempts that were aborted, 0 to 1. */
  abortRate(options?: MetricOptions): MathExpression {
    const { period = Duration.hours(1) } = options ?? {};
    return new MathExpression({
      expression: "IF(aborted + committed > 0, aborted / (aborted + committed), 0)",
      usingMetrics: {
        aborted: this.get(METRIC.batchesAborted, { period }),
        committed: this.get(METRIC.batchesCommitted, { period }),
      },
      label: "abort rate",
      period,
    });
  }
}
