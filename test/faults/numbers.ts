import type { Schema } from "apache-arrow";
import { ArrowTable } from "../../shared/connectors/arrow-table/index.ts";
import { DataSourceReader } from "../../shared/contract/batch-reader.ts";
import type { BatchContext, TaskContext } from "../../shared/contract/context.ts";
import { DataSource } from "../../shared/contract/data-source.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import type { Source } from "../../shared/contract/pipeline-source.ts";
import { type ReadLimit, ReadMaxRows } from "../../shared/contract/read-limit.ts";
import {
  DataSourceStreamReader,
  type Row,
  SimpleDataSourceStreamReader,
  type SimpleRead,
} from "../../shared/contract/stream-reader.ts";
import type { StreamWriter } from "../../shared/contract/stream-writer.ts";
import { literal, predicate, reference } from "../../shared/contract/write/predicates.ts";
import type { SupportsWrite, Table } from "../../shared/contract/write/table.ts";
import { commandPipeline } from "./command-pipeline.ts";
import { PlainWriter, StagingWriter, TransactionalWriter } from "./database-writers.ts";
import type { Points } from "./faulty-ports.ts";
import { MergeTable } from "./merge-table.ts";
import { changeAt } from "./merged-rows.ts";
import { NativeTable } from "./native-table.ts";
import { rowsBetween } from "./setup.ts";
import type { Surroundings } from "./surroundings.ts";

type Position = { readonly n: number };
/** The index tells slices without rows apart, because a plan may not have equal partitions. */
type Slice = { readonly index: number; readonly from: number; readonly to: number };

/** The run for which the source and the sink work. */
interface Run extends Points {
  readonly calls: readonly string[];
  /** True if no fault has happened and no other run works at the same time. */
  readonly isAlone: boolean;
  saw(messages: unknown, batch: BatchContext): void;
  /** Notes that the attempt that makes the current call begins to commit its task. */
  beganCommit(task: string): void;
  endedCommit(): void;
  /** Called if the sink finds a staged file gone or damaged. */
  sawDamaged(): void;
}

/**
 * Returns a pipeline that reads the numbers from 0 into the sink of the world. The source plans
 * other partitions for a batch each time, so only the partitions in the ledger are stable.
 */
export function numbersPipeline(run: Run, world: Surroundings): Pipeline {
  const { source, mode, exchanges = false, command } = world.setup;
  if (command !== undefined) return commandPipeline(run, world, command);
  // The rows of a batch stay in order over its tasks.
  const arranged = <S extends Source<never>>(rows: S): S =>
    exchanges ? rows.repartitionByRange(2, "id").sortWithinPartitions("id") : rows;
  const Sink = world.setup.sink === undefined ? tableSink(run) : databaseSink(run, world);
  const named = pipeline(world.pipeline);
  if (source === "batch") {
    const batch = arranged(named.read.format(batchSource(run, world))).write.format(Sink);
    return (mode === undefined ? batch : batch.mode(mode)) as unknown as Pipeline;
  }
  if (world.setup.merge) return mergePipeline(run, world);
  const Reader = source === "simple" ? simpleSource(run, world) : streamSource(run, world);
  return arranged(named.readStream.format(Reader)).writeStream.format(Sink) as unknown as Pipeline;
}

function mergePipeline(run: Run, world: Surroundings): Pipeline {
  class Merged extends DataSource {
    override table(): SupportsWrite {
      return new MergeTable(run, world) as Table as SupportsWrite;
    }
  }
  const changes = pipeline(world.pipeline).readStream.format(streamSource(run, world));
  return changes.writeStream.format(Merged).merge({
    keys: ["k"],
    sequenceBy: "seq",
    applyAsDeletes: predicate("=", reference("op"), literal("d")),
    exceptColumns: ["id", "op"],
    onEqualSequence: "first",
  }) as unknown as Pipeline;
}

/** A data source of numbers. The other sources add their reader. */
class Numbers extends DataSource {
  override schema(): string {
    return "id bigint NOT NULL";
  }
}

/** A data source of changes, at the position that each of them has in the stream. */
class Changes extends Numbers {
  override schema(): string {
    return "id bigint NOT NULL, k int NOT NULL, seq int NOT NULL, op string, v string";
  }
}

function streamSource(run: Run, world: Surroundings): typeof Numbers {
  const { rows, rowsABatch } = world.shape;
  class NumbersReader extends DataSourceStreamReader<Position, Slice> {
    override initialOffset(): Promise<Position> {
      return run.point("source.initialOffset", async () => ({ n: 0 }));
    }
    override getDefaultReadLimit(): ReadLimit {
      return new ReadMaxRows(rowsABatch);
    }
    override latestOffset(start: Position, limit: ReadLimit): Promise<Position> {
      const most = limit.kind === "ReadMaxRows" ? limit.maxRows : rowsABatch;
      return run.point("source.latestOffset", async () => ({ n: Math.min(start.n + most, rows) }));
    }
    override partitions(start: Position, end: Position): Promise<readonly Slice[]> {
      return run.point("source.partitions", async () => slices(run, world, start.n, end.n));
    }
    override async *read(slice: Slice, task: TaskContext): AsyncGenerator<Row> {
      yield* await read(run, world, slice, task);
    }
    override commit(end: Position): Promise<void> {
      return run.point("source.commit", async () => world.sawAcknowledged(end.n));
    }
  }
  return class extends (world.setup.merge ? Changes : Numbers) {
    override streamReader(): NumbersReader {
      return new NumbersReader();
    }
  };
}

function simpleSource(run: Run, world: Surroundings): typeof Numbers {
  const { shape } = world;
  const rowsOf = (from: number, to: number) => rowsBetween(shape, from, to).map((id) => ({ id }));
  class SimpleReader extends SimpleDataSourceStreamReader<Position> {
    override initialOffset(): Promise<Position> {
      return run.point("source.initialOffset", async () => ({ n: 0 }));
    }
    override read({ n }: Position): Promise<SimpleRead<Position>> {
      const to = Math.min(n + shape.rowsABatch, shape.rows);
      return run.point("source.read", async () => ({ rows: rowsOf(n, to), offset: { n: to } }));
    }
    override readBetweenOffsets(start: Position, end: Position): Promise<readonly Row[]> {
      return run.point("source.readBetweenOffsets", async () => rowsOf(start.n, end.n));
    }
    override commit(end: Position): Promise<void> {
      return run.point("source.commit", async () => world.sawAcknowledged(end.n));
    }
  }
  return class extends Numbers {
    override simpleStreamReader(): SimpleReader {
      return new SimpleReader();
    }
  };
}

function batchSource(run: Run, world: Surroundings): typeof Numbers {
  class BatchReader extends DataSourceReader<Slice> {
    override partitions(): Promise<readonly Slice[]> {
      return run.point("source.partitions", async () => slices(run, world, 0, world.shape.rows));
    }
    override async *read(slice: Slice, task: TaskContext): AsyncGenerator<Row> {
      yield* await read(run, world, slice, task);
    }
  }
  return class extends Numbers {
    override reader(): BatchReader {
      return new BatchReader();
    }
  };
}

async function read(
  run: Run,
  world: Surroundings,
  { from, to }: Slice,
  { batchId, attempt, partitionId }: TaskContext,
): Promise<readonly Row[]> {
  const key = `${batchId}/${attempt}/${partitionId}`;
  await run.point("source.read", async () => world.sawRead(key, run.isAlone));
  const { shape, setup } = world;
  return rowsBetween(shape, from, to).map((id) => ({ id, ...(setup.merge ? changeAt(id) : {}) }));
}

/** Divides a range of positions. A range without rows has no partitions. */
function slices(run: Run, { shape }: Surroundings, from: number, to: number): readonly Slice[] {
  if (rowsBetween(shape, from, to).length === 0) return [];
  const count = shape.partitions + 1;
  const plans = run.calls.filter((name) => name === "source.partitions").length;
  const isShifted = plans % 2 === 0;
  const step = Math.ceil((to - from) / count);
  const cut = (i: number) => Math.min(to, from + Math.max(0, i * step - (isShifted ? 1 : 0)));
  return Array.from({ length: count }, (_, index) => ({
    index,
    from: cut(index),
    to: index === count - 1 ? to : cut(index + 1),
  }));
}

function tableSink(run: Run): typeof ArrowTable {
  return class extends ArrowTable {
    override streamWriter(
      ...args: Parameters<ArrowTable["streamWriter"]>
    ): ReturnType<ArrowTable["streamWriter"]> {
      return faultyWriter(super.streamWriter(...args), run);
    }
    override writer(...args: Parameters<ArrowTable["writer"]>): ReturnType<ArrowTable["writer"]> {
      return faultyWriter(super.writer(...args), run);
    }
  };
}

function databaseSink(run: Run, world: Surroundings): typeof ArrowTable {
  const { setup, database } = world;
  if (setup.sink === "coordinated" || setup.sink === "uncoordinated") return nativeSink(run, world);
  class DatabaseSink extends Numbers {
    override streamWriter(schema: Schema): StreamWriter<never> {
      const writer =
        setup.sink === "staging"
          ? new StagingWriter(schema, database, this.runtime)
          : setup.sink === "transactional"
            ? new TransactionalWriter(database)
            : new PlainWriter(database);
      return faultyWriter(writer, run) as unknown as StreamWriter<never>;
    }
  }
  return DatabaseSink as unknown as typeof ArrowTable;
}

function nativeSink(run: Run, world: Surroundings): typeof ArrowTable {
  class NativeSink extends DataSource {
    override table(): NativeTable {
      return new NativeTable(run, world);
    }
  }
  return NativeSink as unknown as typeof ArrowTable;
}

/** Returns a writer of the sink in which each call can have a fault. */
function faultyWriter<W extends object>(writer: W, run: Run): W {
  return new Proxy(writer, {
    get(target, name) {
      const method = Reflect.get(target, name) as unknown;
      if (typeof method !== "function") return method;
      const call = async (args: unknown[]) => {
        const result: unknown = await method.apply(target, args);
        if (name === "findDamaged" && Array.isArray(result) && result.length > 0) run.sawDamaged();
        return result;
      };
      return (...args: unknown[]) =>
        run.point(`sink.${String(name)}`, () => {
          if (name === "commit") run.saw(args[0], args.at(-1) as BatchContext);
          return call(args);
        });
    },
  });
}
