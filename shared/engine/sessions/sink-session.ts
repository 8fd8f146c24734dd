import type { Schema } from "apache-arrow";
import type { SupportsExists, Writer } from "../../contract/batch-writer.ts";
import type { BatchContext, SinkContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { JsonValue } from "../../contract/json.ts";
import type { Pipeline } from "../../contract/pipeline.ts";
import type { Batch } from "../ports/ledger.ts";
import type { Ports } from "../ports/runtime.ts";
import { BATCH_WRITER, checkImplementation, STREAM_WRITER } from "./check-implementation.ts";
import { dataSourceRuntime } from "./data-source-runtime.ts";
import { guard } from "./guard.ts";

/** The sink of a pipeline: creates its writers and the contexts that they receive. */
export class SinkSession {
  readonly #pipeline: Pipeline;
  readonly #ports: Ports;
  readonly #options: object;

  constructor(pipeline: Pipeline, ports: Ports, options: object) {
    this.#pipeline = pipeline;
    this.#ports = ports;
    this.#options = options;
  }

  /**
   * Creates a new writer. Tasks and commits each use their own, because only messages may pass
   * between them.
   */
  async writer(schema: Schema): Promise<Writer<unknown>> {
    const { sink, saveMode, name } = this.#pipeline;
    const { dataSource } = sink;
    const where = { pipeline: name };
    const made = await guard("SINK_FAILED", `making the sink "${dataSource.name}" failed`, where, () => {
      const sink = new dataSource(this.#options as never, dataSourceRuntime(this.#ports));
      return saveMode === undefined
        ? sink.streamWriter(schema, false)
        : sink.writer(schema, saveMode === "overwrite");
    });
    return saveMode === undefined
      ? checkImplementation(made, "streamWriter", STREAM_WRITER, where)
      : checkImplementation(made, "writer", BATCH_WRITER, where);
  }

  /** True if the save mode depends on whether the target exists. */
  get dependsOnTarget(): boolean {
    const { saveMode } = this.#pipeline;
    return saveMode === "errorifexists" || saveMode === "ignore";
  }

  /**
   * Returns false if the target exists and the save mode is `ignore`. Throws `TARGET_EXISTS` if it
   * exists and the mode is `errorifexists`, and `SAVE_MODE_NOT_SUPPORTED` if the writer cannot
   * tell.
   */
  async shouldWriteTarget(schema: Schema, incarnation: string): Promise<boolean> {
    const { sink, saveMode, name } = this.#pipeline;
    const where = { pipeline: name };
    const writer = (await this.writer(schema)) as Partial<SupportsExists>;
    if (writer.exists === undefined) {
      throw new MillraceError(
        "SAVE_MODE_NOT_SUPPORTED",
        `the data source "${sink.dataSource.name}" cannot be written in the mode "${saveMode}"`,
        { where, hint: 'Choose .mode("append") or .mode("overwrite"), or give its writer exists(context).' },
      );
    }
    const exists = await guard("SINK_FAILED", "exists() failed", where, () =>
      writer.exists?.(this.context(incarnation)),
    );
    if (exists !== true) return true;
    if (saveMode === "ignore") return false;
    throw new MillraceError("TARGET_EXISTS", `the target of "${sink.dataSource.name}" is there already`, {
      where,
      hint: 'Nothing was read or written. Choose .mode("append"), .mode("overwrite") or .mode("ignore"), or another target.',
    });
  }

  context(incarnation: string): SinkContext {
    return {
      pipeline: this.#pipeline.name,
      incarnation,
      store: this.#ports.store,
      openStore: (location) => this.#ports.openStore(location),
    };
  }

  batchContext(batch: Batch, lastCommit: JsonValue | undefined): BatchContext {
    // Only `append` continues from the last commit. In other modes the target may have been deleted
    // since.
    const { saveMode = "append" } = this.#pipeline;
    return {
      ...this.context(batch.incarnation),
      batchId: batch.batchId,
      attempt: batch.attempt,
      commitTried: batch.lastTriedAttempt === batch.attempt,
      plannedAt: batch.plannedAt,
      ...(lastCommit === undefined || saveMode !== "append" ? {} : { lastCommit }),
    };
  }
}
