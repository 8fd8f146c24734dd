/** The value of a metric in one task or on the driver. (Spark: `CustomTaskMetric`.) */
export interface CustomTaskMetric {
  /** Name of the `CustomMetric`. */
  readonly name: string;
  /** The value, a whole number. */
  readonly value: number;
}

/**
 * A metric that a write reports. A run shows it under its description. (Spark: `CustomMetric`.)
 */
export interface CustomMetric {
  /** Name of the metric, by which its values are found. */
  readonly name: string;
  /** What people see as the name of the metric. */
  readonly description: string;
  /** Returns the text that people see, computed from the values of all tasks. */
  aggregateTaskMetrics(values: readonly number[]): string;
}

/** A metric whose values are added up. (Spark: `CustomSumMetric`.) */
export abstract class CustomSumMetric implements CustomMetric {
  /** Name of the metric, by which its values are found. */
  abstract readonly name: string;
  /** What people see as the name of the metric. */
  abstract readonly description: string;
  /** Returns the sum of the values. */
  aggregateTaskMetrics(values: readonly number[]): string {
    return String(values.reduce((sum, value) => sum + value, 0));
  }
}

/** A metric of which the average is shown. (Spark: `CustomAvgMetric`.) */
export abstract class CustomAvgMetric implements CustomMetric {
  /** Name of the metric, by which its values are found. */
  abstract readonly name: string;
  /** What people see as the name of the metric. */
  abstract readonly description: string;
  /** Returns the average with up to three decimals, or `"0"` if there are no values. */
  aggregateTaskMetrics(values: readonly number[]): string {
    if (values.length === 0) return "0";
    const average = values.reduce((sum, value) => sum + value, 0) / values.length;
    return String(Number(average.toFixed(3)));
  }
}
