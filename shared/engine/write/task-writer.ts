import type { RecordBatch } from "apache-arrow";
import { rowsOf } from "../../arrow/rows.ts";
import { onAbort } from "../../contract/abort.ts";
import type { Runtime } from "../../contract/context.ts";
import type { ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { Awaitable, NamedRow } from "../../contract/stream-reader.ts";
import type { AnyDataWriter } from "../../contract/write/data-writer.ts";
import type { CustomMetric, CustomTaskMetric } from "../../contract/write/metrics.ts";
import type { Task } from "../ports/tasks.ts";
import { guard } from "../sessions/guard.ts";
import { metricValues } from "../write-metrics.ts";
import type { TaskWatch } from "./watch.ts";

/** How long a sink may take to react to its signal after a stall. */
const GRACE_MILLISECONDS = 5000;
/** As in Spark, a writer is asked for its metrics each time that it got so many rows. */
const ROWS_BETWEEN_METRICS = 100;

/** What the writer of a task needs of its task. */
export interface TaskWriterParts {
  readonly ports: { readonly runtime: Pick<Runtime, "sleep"> };
  readonly where: ErrorLocation;
  /** Aborts when the task must fail because of a stall. */
  readonly stalling: AbortController;
  readonly watch: TaskWatch;
  /** The metrics that the write has. */
  readonly metrics: readonly CustomMetric[];
}

/** The sink's writer of one task attempt, called in Spark's order. */
export class TaskWriter {
  readonly #writer: AnyDataWriter<unknown>;
  readonly #parts: TaskWriterParts;
  /** Present while the sink has been given up, although its call has not returned. */
  #late: Promise<unknown> | undefined;

  constructor(writer: AnyDataWriter<unknown>, parts: TaskWriterParts) {
    this.#writer = writer;
    this.#parts = parts;
  }

  /**
   * Writes all rows. After a stall, gives the sink 5 s to react to its signal, then gives it up.
   */
  async writeAll(batches: AsyncIterable<RecordBatch>): Promise<void> {
    const records = this.#writer.form === "arrow" ? this.#recordBatches(batches) : this.#rows(batches);
    const writing = this.#call("write", () =>
      (this.#writer.writeAll as (records: AsyncIterable<unknown>) => Awaitable<void>).call(
        this.#writer,
        records,
      ),
    );
    const { ports, stalling } = this.#parts;
    const over = new AbortController();
    const { promise: givenUp, reject } = Promise.withResolvers<never>();
    const giveUp = () => {
      this.#late = writing;
      reject(stalling.signal.reason);
    };
    const stopListening = onAbort(stalling.signal, () => {
      ports.runtime.sleep(GRACE_MILLISECONDS, over.signal).then(giveUp, () => undefined);
    });
    try {
      await Promise.race([writing, givenUp]);
    } finally {
      stopListening();
      over.abort();
    }
  }

  /** Returns the writer's last metrics, by name; `undefined` if it has none. */
  async metrics(): Promise<Task["metrics"]> {
    const values = await this.#call("currentMetricsValues", () => this.#askMetrics());
    const { metrics, where } = this.#parts;
    const known = metricValues(metrics, values, where);
    return Object.keys(known).length === 0 ? undefined : known;
  }

  async commit(): Promise<unknown> {
    return await this.#call("commit", () => this.#writer.commit());
  }

  async close(): Promise<void> {
    await this.#call("close", () => this.#writer.close());
  }

  /**
   * Aborts and closes the writer. Returns their errors: the error of the task matters more. A
   * writer that was given up is aborted when its call returns.
   */
  async abandon(): Promise<readonly MillraceError[]> {
    if (this.#late === undefined) return await this.#abortAndClose();
    this.#late
      .then(
        () => this.#abortAndClose(),
        () => this.#abortAndClose(),
      )
      .catch(() => undefined);
    return [];
  }

  async #abortAndClose(): Promise<readonly MillraceError[]> {
    const errors: MillraceError[] = [];
    const abort = () => this.#call("abort", () => this.#writer.abort());
    for (const end of [abort, () => this.close()]) {
      await end().catch((error: MillraceError) => errors.push(error));
    }
    return errors;
  }

  #askMetrics(): readonly CustomTaskMetric[] {
    return this.#writer.currentMetricsValues();
  }

  async #call<T>(method: string, body: () => Awaitable<T>): Promise<T> {
    return await guard("SINK_FAILED", `${method}() failed`, this.#parts.where, body, true);
  }

  async *#recordBatches(batches: AsyncIterable<RecordBatch>): AsyncGenerator<RecordBatch> {
    let rows = 0;
    let next = 0;
    for await (const batch of batches) {
      if (rows >= next && batch.numRows > 0) {
        this.#askMetrics();
        next = rows - (rows % ROWS_BETWEEN_METRICS) + ROWS_BETWEEN_METRICS;
      }
      rows += batch.numRows;
      yield batch;
    }
  }

  async *#rows(batches: AsyncIterable<RecordBatch>): AsyncGenerator<NamedRow> {
    let rows = 0;
    for await (const batch of batches) {
      for (const row of rowsOf(batch)) {
        if (rows++ % ROWS_BETWEEN_METRICS === 0) this.#askMetrics();
        yield row;
        this.#parts.watch.rowMoved();
      }
    }
  }
}
