import type { RecordBatch } from "apache-arrow";
import { onTestFinished } from "vitest";
import type { BatchContext, TaskContext } from "../../../../shared/contract/context.ts";
import { DataSource } from "../../../../shared/contract/data-source.ts";
import { type Pipeline, pipeline } from "../../../../shared/contract/pipeline.ts";
import type { StallPolicy } from "../../../../shared/contract/pipeline-definition.ts";
import {
  DataSourceStreamReader,
  type NamedRow,
  type Row,
} from "../../../../shared/contract/stream-reader.ts";
import {
  DataSourceStreamArrowWriter,
  DataSourceStreamWriter,
} from "../../../../shared/contract/stream-writer.ts";
import type { BatchRun, Ledger } from "../../../../shared/engine/ports/ledger.ts";
import type { StalledTask } from "../../../../shared/engine/ports/run-events.ts";
import type { Ports } from "../../../../shared/engine/ports/runtime.ts";
import type { RunningTask } from "../../../../shared/engine/ports/tasks.ts";
import { write } from "../../../../shared/engine/write/task.ts";
import type { TaskResult } from "../../../../shared/engine/write/task-request.ts";
import { stallPolicyOf } from "../../../../shared/engine/write/watch.ts";
import { MemoryStore, memoryObjects } from "../../../../shared/platform/memory/memory-store.ts";
import { Clock } from "../../../support/clock.ts";
import { EngineWorld, type Run } from "../../../support/engine.ts";

export const MINUTE = 60_000;

/**
 * Returns ports in memory. A disk needs turns of the event loop, and a test cannot know how many.
 */
export function inMemory({ runtime }: Clock): Pick<Ports, "runtime" | "store"> {
  return { runtime, store: new MemoryStore(memoryObjects(() => runtime.now())) };
}

/** The source and the sink that a test defines for the task. */
interface Part {
  /** Yields the rows of the partition. Each row may wait for the clock. */
  rows(task: TaskContext): AsyncIterable<Row>;
  /** Consumes the rows. It may wait for the clock. */
  take?(rows: AsyncIterable<NamedRow>, task: TaskContext): Promise<void>;
  /** Consumes the record batches. It may wait for the clock. */
  takeBatches?(batches: AsyncIterable<RecordBatch>, task: TaskContext): Promise<void>;
  /** The partition that the source plans. */
  readonly partition?: object;
}

/** Runs the task of a stream with one batch and one partition, from offset 0 to 9. */
export class Scene {
  readonly clock = new Clock();
  readonly stalled: StalledTask[] = [];
  readonly running: RunningTask[] = [];
  readonly dropped: unknown[] = [];
  readonly signals: AbortSignal[] = [];
  readonly world = new EngineWorld();
  /** Aborts the signal that the last task received. */
  stop: () => void = () => undefined;
  readonly #part: Part;
  #batch: BatchRun | undefined;
  #run: Run | undefined;

  constructor(part: Part) {
    this.#part = part;
  }

  get pipeline(): Pipeline {
    const part = this.#part;
    const { dropped, signals } = this;
    class Reader extends DataSourceStreamReader<{ n: number }, object> {
      override initialOffset(): { n: number } {
        return { n: 0 };
      }
      override latestOffset(): { n: number } {
        return { n: 9 };
      }
      override partitions(): object[] {
        return [part.partition ?? { from: 0, to: 9 }];
      }
      override read(_: object, task: TaskContext): AsyncIterable<Row> {
        signals.push(task.signal);
        return part.rows(task);
      }
    }
    class Rows extends DataSourceStreamWriter<string> {
      override async write(rows: AsyncIterable<NamedRow>, task: TaskContext): Promise<string> {
        if (part.take === undefined) await Array.fromAsync(rows);
        else await part.take(rows, task);
        return "staged";
      }
      override commit(): void {}
      override abort(): void {}
      abortTask(message: unknown): void {
        dropped.push(message);
      }
    }
    class Batches extends DataSourceStreamArrowWriter<string> {
      override async write(batches: AsyncIterable<RecordBatch>, task: TaskContext): Promise<string> {
        await part.takeBatches?.(batches, task);
        return "staged";
      }
      override commit(_messages: readonly (string | null)[], _batchId: number, _batch: BatchContext): void {}
      override abort(): void {}
    }
    class Source extends DataSource {
      override schema(): string {
        return "n bigint NOT NULL";
      }
      override streamReader(): Reader {
        return new Reader();
      }
    }
    class Sink extends DataSource {
      override streamWriter(): Rows | Batches {
        return part.takeBatches === undefined ? new Rows() : new Batches();
      }
    }
    return pipeline("numbers").readStream.format(Source).writeStream.format(Sink) as unknown as Pipeline;
  }

  /** Starts an attempt of the task. */
  async begin(
    stall: Partial<StallPolicy> = {},
    attemptNumber = 0,
    ledger: Ledger = this.world.ledger,
  ): Promise<{ readonly ended: Promise<TaskResult> }> {
    this.#run ??= await this.world.run(this.pipeline, "a", { ...inMemory(this.clock), ledger });
    const { sessions, ports } = this.#run;
    if (this.#batch === undefined) {
      const planned = await this.#run.plan();
      if (planned.kind !== "batch") throw new Error("there is no batch");
      this.#batch = planned.run;
    }
    const stopping = new AbortController();
    this.stop = () => stopping.abort();
    onTestFinished(this.stop);
    const ended = write(
      sessions,
      ports,
      { run: this.#batch, partition: 0, attemptNumber },
      {
        signal: stopping.signal,
        watch: {
          stall: stallPolicyOf(sessions.pipeline, stall),
          onRunning: (running) => this.running.push(running),
          onStalled: (stalled) => this.stalled.push(stalled),
        },
      },
    );
    ended.catch(() => undefined);
    return { ended };
  }

  /** Returns the ledger's records of running tasks. */
  async told(): Promise<readonly RunningTask[]> {
    if (this.#batch === undefined) return [];
    return await this.world.ledger.progress(this.#batch);
  }

  readonly sleep = (milliseconds: number) => this.clock.runtime.sleep(milliseconds);
}

/** Returns a source of `count` rows that waits before each row. */
export function rowsEach(scene: () => Scene, count: number, milliseconds: number): Part["rows"] {
  return async function* () {
    for (let n = 0; n < count; n++) {
      await scene().sleep(milliseconds);
      yield { n };
    }
  };
}
