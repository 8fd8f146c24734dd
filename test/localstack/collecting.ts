import { runtime } from "../../local/home.ts";
import type { BatchContext } from "../../shared/contract/context.ts";
import { DataSource } from "../../shared/contract/data-source.ts";
import {
  type Pipeline,
  type PipelineStart,
  pipeline,
  type ReadStream,
} from "../../shared/contract/pipeline.ts";
import type { NamedRow } from "../../shared/contract/stream-reader.ts";
import { DataSourceStreamWriter } from "../../shared/contract/stream-writer.ts";
import { EngineWorld, type Run } from "../support/engine.ts";

/**
 * Runs a source into a sink that keeps committed rows in memory, each batch once. The clock is the
 * real clock of the machine.
 */
export class CollectingWorld extends EngineWorld {
  /** While true, every task fails. */
  failing = false;
  readonly #batches = new Map<string, readonly NamedRow[]>();
  readonly #pipeline: Pipeline;

  constructor(name: string, source: (start: PipelineStart) => ReadStream<never>) {
    super();
    const world = this;
    class Writer extends DataSourceStreamWriter<NamedRow[]> {
      override async write(rows: AsyncIterable<NamedRow>): Promise<NamedRow[]> {
        const staged = await Array.fromAsync(rows);
        if (world.failing) throw new Error("the sink is down");
        return staged;
      }
      override commit(messages: readonly (NamedRow[] | null)[], batchId: number, batch: BatchContext): void {
        world.#batches.set(
          `${batch.incarnation}-${batchId}`,
          messages.flatMap((rows) => rows ?? []),
        );
      }
      override abort(): void {}
    }
    class Sink extends DataSource {
      override streamWriter = () => new Writer();
    }
    this.#pipeline = source(pipeline(name)).writeStream.format(Sink) as unknown as Pipeline;
  }

  /** Starts a run that can plan, write and finalize. */
  async start(owner: string): Promise<Run> {
    return await this.run(this.#pipeline, owner, { runtime });
  }

  /** Returns the committed rows, in the order of the batches. */
  rows(): NamedRow[] {
    return [...this.#batches.values()].flat();
  }
}
