import type { Schema } from "apache-arrow";
import type { BatchIdentity, CommittedBatch } from "../../contract/batch-identity.ts";
import type { SupportsExists, Writer } from "../../contract/batch-writer.ts";
import type { BatchContext, SinkContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { JsonValue } from "../../contract/json.ts";
import { optional } from "../../contract/optional.ts";
import type { Pipeline } from "../../contract/pipeline.ts";
import type { SupportsNewestBatch, SupportsTargetName, TargetContext } from "../../contract/stream-writer.ts";
import type { Batch, BatchRun, SinkPosition } from "../ports/ledger.ts";
import { identityOf, positionOfRun } from "../ports/position.ts";
import type { Ports } from "../ports/runtime.ts";
import { BATCH_WRITER, checkImplementation, STREAM_WRITER } from "./check-implementation.ts";
import { dataSourceRuntime } from "./data-source-runtime.ts";
import { guard } from "./guard.ts";

/** The sink of a pipeline: creates its writers and the contexts that they receive. */
export class SinkSession {
  readonly #pipeline: Pipeline;
  readonly #ports: Ports;
  readonly #options: object;
  #askedWriter: Writer<unknown> | undefined;

  constructor(pipeline: Pipeline, ports: Ports, options: object) {
    this.#pipeline = pipeline;
    this.#ports = ports;
    this.#options = options;
  }

  /**
   * Creates a new writer. Tasks and commits each use their own, because only messages may pass
   * between them. The writer of a skipped batch adds nothing and must replace nothing either.
   */
  async writer(schema: Schema, { skipped }: Pick<Batch, "skipped"> = {}): Promise<Writer<unknown>> {
    const { sink, saveMode, name } = this.#pipeline;
    const { dataSource } = sink;
    const where = { pipeline: name };
    const made = await guard("SINK_FAILED", `making the sink "${dataSource.name}" failed`, where, () => {
      const sink = new dataSource(this.#options as never, dataSourceRuntime(this.#ports));
      return saveMode === undefined
        ? sink.streamWriter(schema, false)
        : sink.writer(schema, saveMode === "overwrite" && skipped === undefined);
    });
    return saveMode === undefined
      ? checkImplementation(made, "streamWriter", STREAM_WRITER, where)
      : checkImplementation(made, "writer", BATCH_WRITER, where);
  }

  /**
   * Returns the writer that answers questions about the sink. It is created once, when the sink's
   * options are checked, and writes nothing.
   */
  async askedWriter(schema: Schema): Promise<Writer<unknown>> {
    this.#askedWriter ??= await this.writer(schema);
    return this.#askedWriter;
  }

  /** Creates a writer, so that a sink with unusable options fails. */
  async checkOptions(schema: Schema): Promise<void> {
    await this.askedWriter(schema);
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
    return { ...this.#target, incarnation };
  }

  get #target(): TargetContext {
    return {
      pipeline: this.#pipeline.name,
      store: this.#ports.store,
      openStore: (location) => this.#ports.openStore(location),
    };
  }

  /** True for a batch pipeline, whose batches do not continue each other. */
  get isIndependent(): boolean {
    return this.#pipeline.saveMode !== undefined;
  }

  /** Returns what the sink must have before the next batch. */
  continuityOf({
    follows,
    isRewound = false,
    formerIncarnations = [],
  }: SinkPosition): Pick<BatchContext, "follows" | "continuity" | "formerIncarnations"> {
    return {
      ...(follows === undefined ? {} : { follows }),
      continuity: this.isIndependent ? "independent" : isRewound ? "rewound" : "strict",
      formerIncarnations,
    };
  }

  /**
   * Asks the sink for the newest batch of the pipeline. Returns `undefined` if the sink cannot
   * tell.
   */
  async newestBatch(
    schema: Schema,
    incarnation: string,
    lastCommit: JsonValue | undefined,
    follows: BatchIdentity | undefined,
  ): Promise<{ readonly newest: CommittedBatch | undefined } | undefined> {
    const writer = (await this.askedWriter(schema)) as Partial<SupportsNewestBatch>;
    if (writer.newestBatch === undefined) return undefined;
    const context = {
      ...this.context(incarnation),
      ...this.#hint(lastCommit),
      ...optional("follows", follows),
    };
    const where = { pipeline: this.#pipeline.name };
    const newest = await guard("SINK_FAILED", "newestBatch() failed", where, () =>
      writer.newestBatch?.(context),
    );
    return { newest: newest ?? undefined };
  }

  /** Returns the name of the target, if the sink names it. */
  async targetName(schema: Schema): Promise<string | undefined> {
    const writer = (await this.askedWriter(schema)) as Partial<SupportsTargetName>;
    const where = { pipeline: this.#pipeline.name };
    return await guard("SINK_FAILED", "targetName() failed", where, () => writer.targetName?.(this.#target));
  }

  batchContext(batch: Batch, run: Pick<BatchRun, "position" | "lastCommit">): BatchContext {
    return {
      ...this.context(batch.incarnation),
      ...identityOf(batch),
      start: batch.start,
      end: batch.end,
      ...this.continuityOf(positionOfRun({ ...batch, ...run })),
      attempt: batch.attempt,
      commitTried: batch.lastTriedAttempt === batch.attempt,
      plannedAt: batch.plannedAt,
      ...this.#hint(run.lastCommit),
    };
  }

  /**
   * Only `append` continues from the last commit. In other modes the target may have been deleted
   * since.
   */
  #hint(lastCommit: JsonValue | undefined): { readonly lastCommit?: JsonValue } {
    const { saveMode = "append" } = this.#pipeline;
    return lastCommit === undefined || saveMode !== "append" ? {} : { lastCommit };
  }
}
