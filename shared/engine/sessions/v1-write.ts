import type { RecordBatch, Schema } from "apache-arrow";
import { encodeFile } from "../../arrow/ipc-file.ts";
import { rowsOf } from "../../arrow/rows.ts";
import { StoredFile } from "../../arrow/stored-file.ts";
import type { BatchContext, TaskContext } from "../../contract/context.ts";
import { BATCH_FILE } from "../../contract/store-layout.ts";
import type { NamedRow } from "../../contract/stream-reader.ts";
import { BatchWrite } from "../../contract/write/batch-write.ts";
import { ArrowDataWriter } from "../../contract/write/data-writer.ts";
import type { V1Write } from "../../contract/write/write.ts";
import { batchFolder } from "../partitions-file.ts";

/** The file in which a task staged its rows. */
interface StagedRows {
  readonly key: string;
}

/**
 * A `V1Write` on the path of all writes: tasks stage their rows in the pipeline's store, and the
 * commit inserts them in one call.
 */
export class V1BatchWrite extends BatchWrite<StagedRows> {
  readonly #write: V1Write;
  readonly #schema: Schema;
  readonly #newId: () => string;

  constructor(write: V1Write, schema: Schema, newId: () => string) {
    super();
    this.#write = write;
    this.#schema = schema;
    this.#newId = newId;
  }

  override createBatchWriterFactory() {
    return {
      createWriter: (_partitionId: number, _taskId: number, task: TaskContext) =>
        new StagingWriter(task, this.#schema, this.#newId()),
    };
  }

  /** What a task stages is invisible, so two attempts may stage at once. */
  override useCommitCoordinator(): boolean {
    return false;
  }

  override async commit(
    messages: readonly (StagedRows | null)[],
    _summary: unknown,
    batch: BatchContext,
  ): Promise<void> {
    const relation = await this.#write.toInsertableRelation();
    await relation.insert(stagedRows(messages, batch), false);
  }

  override async abort(messages: readonly (StagedRows | null)[], batch: BatchContext): Promise<void> {
    await batch.store.delete(messages.flatMap((message) => (message === null ? [] : [message.key])));
  }
}

async function* stagedRows(
  messages: readonly (StagedRows | null)[],
  { store, pipeline, batchId, attempt }: BatchContext,
): AsyncGenerator<NamedRow> {
  for (const message of messages) {
    if (message === null) continue;
    const file = new StoredFile(
      store,
      { path: message.key },
      {
        missing: "STAGED_FILE_MISSING",
        damaged: "STAGED_FILE_MISSING",
        kind: "the staged file",
        where: { pipeline, batchId, attempt },
        hint: "Somebody deleted or changed it in the pipeline's store. Nothing is lost: the next `millrace run` writes the rows again.",
      },
    );
    for await (const batch of file.batches()) yield* rowsOf(batch);
  }
}

/** Stages the rows of one task attempt as an Arrow file. */
class StagingWriter extends ArrowDataWriter<StagedRows> {
  readonly #task: TaskContext;
  readonly #schema: Schema;
  readonly #key: string;

  constructor(task: TaskContext, schema: Schema, id: string) {
    super();
    this.#task = task;
    this.#schema = schema;
    this.#key = `${batchFolder(task.batchId)}${BATCH_FILE.rows}${id}.arrow`;
  }

  override write(): never {
    throw new Error("all record batches are written at once");
  }

  override async writeAll(batches: AsyncIterable<RecordBatch>): Promise<void> {
    await this.#task.store.put(this.#key, encodeFile(this.#schema, batches));
  }

  override commit(): StagedRows {
    return { key: this.#key };
  }

  override async abort(): Promise<void> {
    await this.#task.store.delete([this.#key]);
  }
}
