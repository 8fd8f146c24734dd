import { MillraceError } from "../errors.ts";
import type { Awaitable, NamedRow } from "../stream-reader.ts";
import type { BatchWrite, StreamingWrite } from "./batch-write.ts";
import type { CustomMetric, CustomTaskMetric } from "./metrics.ts";

/**
 * A write that a `WriteBuilder` has built. Implement `toBatch` for batch pipelines and
 * `toStreaming` for streams. (Spark: `Write`.)
 */
export abstract class Write {
  /** What people see as the name of the write. */
  get description(): string {
    return this.constructor.name;
  }

  /** Returns the write of one batch. Needs the capability `BATCH_WRITE`. */
  toBatch(): Awaitable<BatchWrite<unknown>> {
    throw notSupported(this.description, "toBatch");
  }

  /** Returns the write of one epoch. Needs the capability `STREAMING_WRITE`. */
  toStreaming(): Awaitable<StreamingWrite<unknown>> {
    throw notSupported(this.description, "toStreaming");
  }

  /** Returns the metrics that the tasks and the driver report. */
  supportedCustomMetrics(): readonly CustomMetric[] {
    return [];
  }

  /**
   * Returns the values of the metrics that only the driver knows. Called last, also after a
   * failure; never in a stream. If it throws after a commit, the rows stay and the run fails.
   */
  reportDriverMetrics(): Awaitable<readonly CustomTaskMetric[]> {
    return [];
  }
}

function notSupported(description: string, method: string): MillraceError {
  return new MillraceError("NOT_SUPPORTED", `${description} has no ${method}()`, {
    hint: `Implement ${method}() in ${description}, or remove the capability that needs it.`,
  });
}

/**
 * A write that inserts all rows in one call, without tasks, messages, commit and abort. Needs the
 * capability `V1_BATCH_WRITE`. (Spark: `V1Write`.)
 */
export abstract class V1Write extends Write {
  /** Distinguishes these writes from others, even if two copies of the package are installed. */
  readonly isV1 = true as const;

  /** Returns what inserts the rows. It is called instead of `toBatch`. */
  abstract toInsertableRelation(): Awaitable<InsertableRelation>;
}

/** Inserts the rows of a `V1Write`. (Spark: `InsertableRelation`.) */
export interface InsertableRelation {
  /**
   * Inserts the rows. `overwrite` is always false, because the builder has been told before. After
   * a crash it may be called again with the same rows.
   */
  insert(rows: AsyncIterable<NamedRow>, overwrite: false): Awaitable<void>;
}
