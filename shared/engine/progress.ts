import type { Runtime } from "../contract/context.ts";
import type { JsonValue } from "../contract/json.ts";
import { optional } from "../contract/optional.ts";
import type { Batch, BatchRun } from "./ports/ledger.ts";
import { rowsPerSecond, type StreamingQueryProgress } from "./ports/progress.ts";
import type { BatchProgress } from "./ports/records.ts";
import type { Sessions } from "./sessions/open-sessions.ts";

/**
 * Returns the progress record of a committed batch. `undefined` if the batch is not committed, or
 * if an older version committed it without measuring.
 */
export function progressOf(batch: Batch): StreamingQueryProgress | undefined {
  const { progress, incarnation, pipeline, batchId, start, end, latest = null } = batch;
  if (batch.state !== "committed" || progress?.trigger === undefined) return undefined;
  const { rows: written, bad, rowsRead = written + (bad?.rows ?? 0), trigger } = progress;
  const { durationMs, sincePrevious = 0 } = trigger;
  const batchDuration = durationMs["triggerExecution"] ?? 0;
  const figures = {
    numInputRows: rowsRead,
    ...(sincePrevious > 0 ? { inputRowsPerSecond: rowsPerSecond(rowsRead, sincePrevious) } : {}),
    ...(batchDuration > 0 ? { processedRowsPerSecond: rowsPerSecond(rowsRead, batchDuration) } : {}),
  };
  return {
    id: incarnation,
    runId: trigger.runId,
    name: pipeline,
    timestamp: new Date(trigger.startedAt).toISOString(),
    batchId,
    batchDuration,
    ...figures,
    ...optional("numBadRows", bad?.rows),
    durationMs,
    sources: [
      { description: trigger.source, startOffset: start, endOffset: end, latestOffset: latest, ...figures },
    ],
    sink: { description: trigger.sink, numOutputRows: written, ...optional("metrics", progress.metrics) },
  };
}

/**
 * Returns the measurements for a batch's progress record; called after the sink's commit. Empty if
 * an older version started the run.
 */
export function triggerProgressOf(
  { pipeline: { source, sink } }: Pick<Sessions, "pipeline">,
  now: number,
  { planning }: BatchRun,
): Pick<BatchProgress, "trigger"> {
  if (planning === undefined) return {};
  const { endedAt, durationMs, ...trigger } = planning;
  return {
    trigger: {
      ...trigger,
      durationMs: {
        ...durationMs,
        addBatch: elapsedBetween(endedAt, now),
        triggerExecution: elapsedBetween(planning.startedAt, now),
      },
      source: source.dataSource.name,
      sink: sink.dataSource.name,
    },
  };
}

/**
 * Returns the milliseconds between two recorded times. Two processes may have recorded them, so the
 * monotonic clock cannot be used. If the system clock was set back in between, returns 0.
 */
export function elapsedBetween(from: number, to: number): number {
  return Math.max(0, to - from);
}

/** Measures the duration of steps in milliseconds, under the names that Spark uses. */
export class Stopwatch {
  readonly durationMs: Record<string, number> = {};
  readonly #runtime: Pick<Runtime, "monotonic">;

  constructor(runtime: Pick<Runtime, "monotonic">) {
    this.#runtime = runtime;
  }

  async time<T>(step: string, body: () => Promise<T>): Promise<T> {
    const startedAt = this.#runtime.monotonic();
    const result = await body();
    this.durationMs[step] = this.#runtime.monotonic() - startedAt;
    return result;
  }
}

const MAX_CHARACTERS = 1024;

/** Returns the JSON of a partition or an offset for a message, cut at 1,024 characters. */
export function clippedText(value: unknown): string {
  const text = JSON.stringify(value) ?? "null";
  return text.length <= MAX_CHARACTERS ? text : `${text.slice(0, MAX_CHARACTERS - 1)}…`;
}

/**
 * Returns a partition or an offset for a log: the value itself, or the beginning of its JSON if
 * that has more than 1,024 characters.
 */
export function clipped(value: JsonValue): JsonValue {
  const text = clippedText(value);
  return text.endsWith("…") ? text : value;
}
