import {
  type BatchContext,
  DataSource,
  type NamedRow,
  type ObjectStore,
  pipeline,
  type Runtime,
  type TaskContext,
} from "millrace";
import { DataWriter, StreamingWrite, type SupportsWrite, Write } from "millrace/write";
import { ask, batchOf, Numbers, name, placeOf } from "./numbers.ts";

/**
 * The numbers of numbers.ts into a table of the package `connector.write`, whose writers commit in
 * two steps. A task stages a JSON file; the commit puts a file that names them, if there is none of
 * the epoch yet.
 */

interface Staged {
  readonly key: string;
}

class RowsWriter extends DataWriter<NamedRow, Staged> {
  readonly #runtime: Runtime;
  readonly #task: TaskContext;
  readonly #key: string;
  readonly #rows: NamedRow[] = [];

  constructor(runtime: Runtime, task: TaskContext, key: string) {
    super();
    this.#runtime = runtime;
    this.#task = task;
    this.#key = key;
  }

  override write(row: NamedRow): void {
    this.#rows.push(row);
  }

  override async commit(): Promise<Staged> {
    await ask(this.#runtime, { call: "staged", ...placeOf(this.#task) });
    await putJson(this.#task.store, this.#key, this.#rows);
    return { key: this.#key };
  }

  override async abort(): Promise<void> {
    await this.#task.store.delete([this.#key]);
  }
}

/** Its field travels to the tasks; the runtime comes from the call that each task repeats. */
export class RowsFactory {
  readonly folder: string;
  readonly #runtime: Runtime;

  constructor(folder: string, runtime: Runtime) {
    this.folder = folder;
    this.#runtime = runtime;
  }

  createWriter(partitionId: number, taskId: number, _epochId: number, task: TaskContext): RowsWriter {
    return new RowsWriter(this.#runtime, task, `${this.folder}/${partitionId}-${taskId}.json`);
  }
}

export class RowsStreamingWrite extends StreamingWrite<Staged> {
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    super();
    this.#runtime = runtime;
  }

  override createStreamingWriterFactory(): RowsFactory | Promise<RowsFactory> {
    return new RowsFactory(`staging/${this.#runtime.newId()}`, this.#runtime);
  }

  override async commit(
    epochId: number,
    messages: readonly (Staged | null)[],
    batch: BatchContext,
  ): Promise<void> {
    await ask(this.#runtime, { call: "before commit", ...batchOf(batch) });
    const commit = { planId: batch.planId, keys: messages.map((message) => message?.key) };
    await putJson(batch.store, `table/commits/${epochId}.json`, commit);
    await ask(this.#runtime, { call: "after commit", ...batchOf(batch) });
  }

  override async abort(
    _epochId: number,
    messages: readonly (Staged | null)[],
    batch: BatchContext,
  ): Promise<void> {
    await ask(this.#runtime, { call: "abort", ...batchOf(batch) });
    // The commit of this attempt may still take effect.
    if (batch.commitTried) return;
    await batch.store.delete(messages.flatMap((message) => (message === null ? [] : [message.key])));
  }
}

class RowsWrite extends Write {
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    super();
    this.#runtime = runtime;
  }

  override toStreaming(): RowsStreamingWrite {
    return new RowsStreamingWrite(this.#runtime);
  }
}

class RowsTable extends DataSource {
  override table(): SupportsWrite {
    return {
      name: "rows",
      capabilities: new Set(["STREAMING_WRITE"] as const),
      newWriteBuilder: () => ({ build: () => new RowsWrite(this.runtime) }),
    };
  }
}

async function putJson(store: ObjectStore, key: string, value: unknown): Promise<void> {
  await store.put(key, Buffer.from(JSON.stringify(value)));
}

export default pipeline(name).readStream.format(Numbers).writeStream.format(RowsTable);
