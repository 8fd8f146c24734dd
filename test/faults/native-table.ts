import type { CommittedBatch } from "../../shared/contract/batch-identity.ts";
import { isCommitted } from "../../shared/contract/committed-batch.ts";
import type { BatchContext, TaskContext } from "../../shared/contract/context.ts";
import type { NamedRow } from "../../shared/contract/stream-reader.ts";
import { StreamingWrite } from "../../shared/contract/write/batch-write.ts";
import { DataWriter, type StreamingDataWriterFactory } from "../../shared/contract/write/data-writer.ts";
import type { SupportsWrite, TableCapability } from "../../shared/contract/write/table.ts";
import { Write } from "../../shared/contract/write/write.ts";
import type { WriteBuilder } from "../../shared/contract/write/write-builder.ts";
import { landed } from "./database.ts";
import type { Points } from "./faulty-ports.ts";
import type { Surroundings } from "./surroundings.ts";

/** Where the database keeps the rows of one attempt of a task. */
interface Staged {
  readonly key: string;
}

/** The run for which the table works. */
interface Run extends Points {
  saw(messages: unknown, batch: BatchContext): void;
  /** Notes that the attempt that makes the current call begins to commit its task. */
  beganCommit(key: string): void;
  endedCommit(): void;
}

/**
 * A table of the write package in the database. A task stages its rows in a commit of two calls,
 * between which its attempt can be killed or overtaken.
 */
export class NativeTable implements SupportsWrite, WriteBuilder {
  readonly name = "native";
  readonly capabilities: ReadonlySet<TableCapability> = new Set(["STREAMING_WRITE"]);
  readonly #run: Run;
  readonly #world: Surroundings;

  constructor(run: Run, world: Surroundings) {
    this.#run = run;
    this.#world = world;
  }

  newWriteBuilder(): WriteBuilder {
    return this;
  }

  build(): Write {
    return new NativeWrite(this.#run, this.#world);
  }

  hasCommitted(_batchId: number, batch: BatchContext): Promise<boolean> {
    return this.#run.point("sink.hasCommitted", async () => isCommitted(batch, this.#world.database.newest));
  }

  newestBatch(): Promise<CommittedBatch | undefined> {
    return this.#run.point("sink.newestBatch", async () => this.#world.database.newest);
  }
}

class NativeWrite extends Write {
  readonly #run: Run;
  readonly #world: Surroundings;

  constructor(run: Run, world: Surroundings) {
    super();
    this.#run = run;
    this.#world = world;
  }

  override toStreaming(): StreamingWrite<Staged> {
    return new NativeStreamingWrite(this.#run, this.#world);
  }
}

class NativeStreamingWrite extends StreamingWrite<Staged> {
  readonly #run: Run;
  readonly #world: Surroundings;

  constructor(run: Run, world: Surroundings) {
    super();
    this.#run = run;
    this.#world = world;
  }

  override useCommitCoordinator(): boolean {
    return this.#world.setup.sink === "coordinated";
  }

  override createStreamingWriterFactory(): StreamingDataWriterFactory<Staged> {
    return {
      createWriter: (_partitionId, taskId, _epochId, task) =>
        new NativeWriter(this.#run, this.#world, taskId, task),
    };
  }

  override commit(
    _epochId: number,
    messages: readonly (Staged | null)[],
    batch: BatchContext,
  ): Promise<void> {
    return this.#run.point("sink.commit", async () => {
      const { database } = this.#world;
      this.#run.saw(messages, batch);
      if (isCommitted(batch, database.newest)) return;
      const ids = messages.flatMap((message) => {
        const rows = database.staged.get(message?.key ?? "");
        if (rows === undefined) this.#world.broken("the rows of a recorded attempt are gone");
        return rows ?? [];
      });
      database.add(landed(batch, ids));
    });
  }

  override abort(): Promise<void> {
    return this.#run.point("sink.abort", async () => undefined);
  }
}

class NativeWriter extends DataWriter<NamedRow, Staged> {
  readonly #run: Run;
  readonly #world: Surroundings;
  readonly #key: string;
  readonly #task: string;
  readonly #ids: number[] = [];

  constructor(run: Run, world: Surroundings, taskId: number, task: TaskContext) {
    super();
    this.#run = run;
    this.#world = world;
    this.#task = `${task.batchId}/${task.attempt}/${task.partitionId}`;
    this.#key = `${this.#task}/${task.attemptNumber}/${taskId}`;
  }

  override write({ id }: NamedRow): void {
    this.#ids.push(Number(id));
  }

  override async commit(): Promise<Staged> {
    await this.#run.point("writer.commit", async () => this.#run.beganCommit(this.#task));
    await this.#run.point("writer.committed", async () => {
      this.#world.database.staged.set(this.#key, this.#ids);
      this.#run.endedCommit();
    });
    return { key: this.#key };
  }

  override abort(): Promise<void> {
    return this.#run.point("writer.abort", async () => {
      this.#world.database.staged.delete(this.#key);
      this.#run.endedCommit();
    });
  }

  override close(): Promise<void> {
    return this.#run.point("writer.close", async () => undefined);
  }
}
