import { ArrowTable } from "../../shared/connectors/arrow-table/index.ts";
import type { ArrowTableWriter } from "../../shared/connectors/arrow-table/writer.ts";
import type { TaskContext } from "../../shared/contract/context.ts";
import { DataSource } from "../../shared/contract/data-source.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { DataSourceStreamReader, type Row } from "../../shared/contract/stream-reader.ts";
import type { Points } from "./faulty-ports.ts";
import type { Surroundings } from "./world.ts";

type Position = { readonly n: number };
type Slice = { readonly from: number; readonly to: number };

/** The run for which the source and the sink work. */
interface Run extends Points {
  readonly calls: readonly string[];
  /** True if no fault has happened and no other run works at the same time. */
  readonly isAlone: boolean;
  saw(commit: Parameters<ArrowTableWriter["commit"]>): void;
}

/**
 * Returns a pipeline that reads the numbers from 0 into an Arrow table. The source plans other
 * partitions for a batch each time, so only the partitions in the ledger are stable.
 */
export function numbersPipeline(run: Run, world: Surroundings): Pipeline {
  const { rows, rowsABatch, partitions } = world.shape;
  class NumbersReader extends DataSourceStreamReader<Position, Slice> {
    override initialOffset(): Promise<Position> {
      return run.point("source.initialOffset", async () => ({ n: 0 }));
    }
    override latestOffset(start: Position): Promise<Position> {
      return run.point("source.latestOffset", async () => ({ n: Math.min(start.n + rowsABatch, rows) }));
    }
    override partitions(start: Position, end: Position): Promise<readonly Slice[]> {
      return run.point("source.partitions", async () =>
        slicesOf(start.n, end.n, { count: partitions + 1, isShifted: run.calls.length % 2 === 0 }),
      );
    }
    override async *read({ from, to }: Slice, task: TaskContext): AsyncGenerator<Row> {
      const key = `${task.batchId}/${task.attempt}/${task.partitionId}`;
      await run.point("source.read", async () => world.sawRead(key, run.isAlone));
      for (let id = from; id < to; id++) yield { id };
    }
    override commit(end: Position): Promise<void> {
      return run.point("source.commit", async () => world.sawAcknowledged(end.n));
    }
  }
  class Numbers extends DataSource {
    override schema(): string {
      return "id bigint NOT NULL";
    }
    override streamReader(): NumbersReader {
      return new NumbersReader();
    }
  }
  class Table extends ArrowTable {
    override streamWriter(
      ...args: Parameters<ArrowTable["streamWriter"]>
    ): ReturnType<ArrowTable["streamWriter"]> {
      return faultyWriter(super.streamWriter(...args), run);
    }
  }
  return pipeline(world.pipeline).readStream.format(Numbers).writeStream.format(Table) as unknown as Pipeline;
}

function slicesOf(
  from: number,
  to: number,
  { count, isShifted }: { readonly count: number; readonly isShifted: boolean },
): readonly Slice[] {
  const step = Math.ceil((to - from) / count);
  const cut = (i: number) => Math.min(to, from + Math.max(0, i * step - (isShifted ? 1 : 0)));
  return Array.from({ length: count }, (_, i) => ({
    from: cut(i),
    to: i === count - 1 ? to : cut(i + 1),
  }));
}

/** Returns a writer of the sink in which each call can have a fault. */
function faultyWriter<W extends object>(writer: W, run: Run): W {
  return new Proxy(writer, {
    get(target, name) {
      const method = Reflect.get(target, name) as unknown;
      if (typeof method !== "function") return method;
      const call = (args: unknown[]) => method.apply(target, args) as Promise<unknown>;
      return (...args: unknown[]) =>
        run.point(`sink.${String(name)}`, () => {
          if (name === "commit") run.saw(args as Parameters<ArrowTableWriter["commit"]>);
          return call(args);
        });
    },
  });
}
