import { type ErrorLocation, MillraceError, toMillraceError } from "../contract/errors.ts";
import type { CustomMetric, CustomTaskMetric } from "../contract/write/metrics.ts";
import { batchLocation } from "./messages.ts";
import { cut } from "./ports/bounded-error.ts";
import type { Batch } from "./ports/ledger.ts";
import type { BatchProgress } from "./ports/records.ts";
import type { Task } from "./ports/tasks.ts";
import type { SinkWrite } from "./sessions/sink-write.ts";

/** Longest text of a metric, in bytes of JSON. The ledger's database limits the size of a batch. */
const MAX_BYTES = 200;
const MAX_METRICS = 100;

/**
 * Returns the values of these metrics by name. As in Spark, a value without a metric is left out.
 * Throws `SINK_FAILED` if a value is no finite number.
 */
export function metricValues(
  metrics: readonly CustomMetric[],
  values: readonly CustomTaskMetric[],
  where: ErrorLocation,
): Readonly<Record<string, number>> {
  const names = new Set(metrics.slice(0, MAX_METRICS).map(({ name }) => name));
  const known = values.filter(({ name }) => names.has(name));
  const wrong = known.find(({ value }) => !Number.isFinite(value));
  if (wrong === undefined) return Object.fromEntries(known.map(({ name, value }) => [name, value]));
  throw new MillraceError(
    "SINK_FAILED",
    `the metric "${wrong.name}" has the value ${String(wrong.value)}, and needs a finite number`,
    { where, hint: "Correct the sink: the value comes from its metrics." },
  );
}

/**
 * Returns the metrics as people see them, from the last values of the recorded tasks and those of
 * the driver. As in Spark, a metric without a value is left out. Throws `SINK_FAILED`.
 */
export function shownMetrics(
  metrics: readonly CustomMetric[],
  tasks: readonly Task[],
  driver: Readonly<Record<string, number>>,
  where: ErrorLocation,
): Pick<BatchProgress, "metrics"> {
  const all = [...tasks.map((task) => task.metrics ?? {}), driver];
  const shown = metrics.slice(0, MAX_METRICS).flatMap((metric) => {
    const values = all.flatMap((values) => values[metric.name] ?? []);
    return values.length === 0
      ? []
      : [[cut(metric.description, MAX_BYTES), textOf(metric, values, where)] as const];
  });
  return shown.length === 0 ? {} : { metrics: Object.fromEntries(shown) };
}

function textOf(metric: CustomMetric, values: readonly number[], where: ErrorLocation): string {
  try {
    return cut(String(metric.aggregateTaskMetrics(values)), MAX_BYTES);
  } catch (error) {
    throw toMillraceError(error, "SINK_FAILED", `aggregateTaskMetrics() of "${metric.name}" failed`, where);
  }
}

/** Asks the sink for its metrics, after a commit or an abort. */
export async function reportMetrics(
  write: SinkWrite,
  { batch, tasks }: { readonly batch: Batch; readonly tasks: readonly Task[] },
): Promise<{ readonly shown: Pick<BatchProgress, "metrics">; readonly error?: MillraceError }> {
  const where = batchLocation(batch);
  let shown: Pick<BatchProgress, "metrics"> = {};
  try {
    // If the driver's metrics fail, those of the tasks are shown.
    shown = shownMetrics(write.metrics, tasks, {}, where);
    const driver = metricValues(write.metrics, await write.reportDriverMetrics(), where);
    return { shown: shownMetrics(write.metrics, tasks, driver, where) };
  } catch (error) {
    if (!MillraceError.is(error)) throw error;
    return { shown, error };
  }
}
