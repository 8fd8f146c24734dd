import type { CustomMetric, CustomTaskMetric } from "../contract/write/metrics.ts";
import type { BatchProgress } from "./ports/records.ts";
import type { Task } from "./ports/tasks.ts";

/** Returns the values by name. The last one counts if a name occurs twice. */
export function metricValues(metrics: readonly CustomTaskMetric[]): Readonly<Record<string, number>> {
  return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
}

/**
 * Returns the metrics as people see them, from the last values of the recorded tasks and those of
 * the driver. As in Spark, a metric without a value is left out, and a value without a metric too.
 */
export function shownMetrics(
  metrics: readonly CustomMetric[],
  tasks: readonly Task[],
  driver: readonly CustomTaskMetric[],
): Pick<BatchProgress, "metrics"> {
  const all = [...tasks.map((task) => task.metrics ?? {}), metricValues(driver)];
  const shown = metrics.flatMap((metric) => {
    const values = all.flatMap((values) => values[metric.name] ?? []);
    return values.length === 0 ? [] : [[metric.description, metric.aggregateTaskMetrics(values)] as const];
  });
  return shown.length === 0 ? {} : { metrics: Object.fromEntries(shown) };
}
