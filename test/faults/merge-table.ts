import type { CommittedBatch } from "../../shared/contract/batch-identity.ts";
import { isCommitted } from "../../shared/contract/committed-batch.ts";
import type { BatchContext, TaskContext } from "../../shared/contract/context.ts";
import type { NamedRow } from "../../shared/contract/stream-reader.ts";
import type { SupportsAutoCdc } from "../../shared/contract/write/auto-cdc.ts";
import {
  DeltaStreamingWrite,
  type DeltaStreamingWriterFactory,
  DeltaWrite,
  type DeltaWriteBuilder,
  DeltaWriter,
} from "../../shared/contract/write/row-level.ts";
import type { TableCapability } from "../../shared/contract/write/table.ts";
import { landed } from "./database.ts";
import type { Points } from "./faulty-ports.ts";
import type { StagedChange } from "./merged-rows.ts";
import { rowsBetween } from "./setup.ts";
import type { Surroundings } from "./surroundings.ts";

interface Staged {
  readonly key: string;
}

/** The run for which the table works. */
interface Run extends Points {
  saw(messages: unknown, batch: BatchContext): void;
}

/** A table in the database that a stream of changes is merged into. */
export class MergeTable implements SupportsAutoCdc {
  readonly name = "merged";
  readonly capabilities: ReadonlySet<TableCapability> = new Set(["STREAMING_WRITE"]);
  readonly #run: Run;
  readonly #world: Surroundings;

  constructor(run: Run, world: Surroundings) {
    this.#run = run;
    this.#world = world;
  }

  newAutoCdcWriteBuilder(): DeltaWriteBuilder {
    return { build: () => new MergingWrite(this.#run, this.#world) };
  }

  hasCommitted(_batchId: number, batch: BatchContext): Promise<boolean> {
    return this.#run.point("sink.hasCommitted", async () => isCommitted(batch, this.#world.database.newest));
  }

  newestBatch(): Promise<CommittedBatch | undefined> {
    return this.#run.point("sink.newestBatch", async () => this.#world.database.newest);
  }
}

class MergingWrite extends DeltaWrite {
  readonly #run: Run;
  readonly #world: Surroundings;

  constructor(run: Run, world: Surroundings) {
    super();
    this.#run = run;
    this.#world = world;
  }

  override toStreaming(): DeltaStreamingWrite<unknown> {
    return new MergingStreamingWrite(this.#run, this.#world) as DeltaStreamingWrite<unknown>;
  }
}

class MergingStreamingWrite extends DeltaStreamingWrite<Staged> {
  readonly #run: Run;
  readonly #world: Surroundings;

  constructor(run: Run, world: Surroundings) {
    super();
    this.#run = run;
    this.#world = world;
  }

  override createStreamingWriterFactory(): DeltaStreamingWriterFactory<Staged> {
    return {
      createWriter: (_partitionId, taskId, _epochId, task) =>
        new ChangesWriter(this.#run, this.#world, taskId, task),
    };
  }

  override commit(
    _epochId: number,
    messages: readonly (Staged | null)[],
    batch: BatchContext,
  ): Promise<void> {
    return this.#run.point("sink.commit", async () => {
      const { database, shape } = this.#world;
      this.#run.saw(messages, batch);
      if (isCommitted(batch, database.newest)) return;
      const tasks = messages.map((message) => this.#staged(message));
      const keys = tasks.flatMap((changes) => [...new Set(changes.map(({ k }) => k))]);
      if (new Set(keys).size < keys.length) this.#world.broken("changes of one key are in two tasks");
      const { start, end } = batch;
      // A batch that was skipped has no tasks.
      const ids = tasks.length === 0 ? [] : rowsBetween(shape, Number(start["n"]), Number(end["n"]));
      database.add(landed(batch, ids));
      database.merged.merge(tasks.flat());
    });
  }

  #staged(message: Staged | null): readonly StagedChange[] {
    const changes = this.#world.database.merged.staged.get(message?.key ?? "");
    if (changes === undefined) this.#world.broken("the rows of a recorded attempt are gone");
    return changes ?? [];
  }

  override abort(_epochId: number, messages: readonly (Staged | null)[], batch: BatchContext): Promise<void> {
    return this.#run.point("sink.abort", async () => {
      if (batch.commitTried) return;
      for (const message of messages) this.#world.database.merged.staged.delete(message?.key ?? "");
    });
  }
}

/** Receives the changes of one attempt of a task. */
class ChangesWriter extends DeltaWriter<Staged> {
  readonly #run: Run;
  readonly #world: Surroundings;
  readonly #key: string;
  readonly #changes: StagedChange[] = [];

  constructor(run: Run, world: Surroundings, taskId: number, task: TaskContext) {
    super();
    this.#run = run;
    this.#world = world;
    this.#key = `${task.batchId}/${task.planId}/${task.attempt}/${task.partitionId}/${task.attemptNumber}/${taskId}`;
  }

  override update(metadata: NamedRow | null, id: NamedRow, row: NamedRow): void {
    this.#changes.push({ ...changeOf(metadata, id), v: String(row["v"]) });
  }

  override delete(metadata: NamedRow | null, id: NamedRow): void {
    this.#changes.push(changeOf(metadata, id));
  }

  override insert(): never {
    throw new Error("a change is never inserted");
  }

  override commit(): Promise<Staged> {
    return this.#run.point("writer.commit", async () => {
      this.#world.database.merged.staged.set(this.#key, this.#changes);
      return { key: this.#key };
    });
  }

  override abort(): Promise<void> {
    return this.#run.point("writer.abort", async () => {
      this.#world.database.merged.staged.delete(this.#key);
    });
  }
}

function changeOf(metadata: NamedRow | null, id: NamedRow): StagedChange {
  return { k: Number(id["k"]), sequence: String(metadata?.["__sequence"]) };
}
