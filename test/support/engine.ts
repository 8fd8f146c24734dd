import { join } from "node:path";
import type { RecordBatch } from "apache-arrow";
import { rowsOf } from "../../shared/arrow/rows.ts";
import type { Arrangement } from "../../shared/contract/arrangement.ts";
import type { BatchContext, TaskContext } from "../../shared/contract/context.ts";
import { DataSource } from "../../shared/contract/data-source.ts";
import { optional } from "../../shared/contract/optional.ts";
import { type Pipeline, ReadStream } from "../../shared/contract/pipeline.ts";
import { ReadAllAvailable } from "../../shared/contract/read-limit.ts";
import { DataSourceStreamReader, type Row } from "../../shared/contract/stream-reader.ts";
import { DataSourceStreamArrowWriter } from "../../shared/contract/stream-writer.ts";
import { type FinalizeResult, finalize } from "../../shared/engine/finalize.ts";
import { type PlannedBatch, type PlanResult, plan } from "../../shared/engine/plan.ts";
import { planStage } from "../../shared/engine/plan-stage.ts";
import type { Ledger } from "../../shared/engine/ports/ledger.ts";
import type { Ports } from "../../shared/engine/ports/runtime.ts";
import { openSessions, type Sessions } from "../../shared/engine/sessions/open-sessions.ts";
import { write } from "../../shared/engine/write/task.ts";
import type { TaskResult } from "../../shared/engine/write/task-request.ts";
import { DirectoryStore } from "../../shared/platform/embedded/directory-store.ts";
import { SqliteLedger } from "../../shared/platform/embedded/sqlite-ledger.ts";
import { temporaryFolder } from "./folder.ts";

type Position = { n: number };
type Slice = { from: number; to: number };
export type Message = { partition: number; attempt: number; ids: number[] };

/** One call of the contract. A list of calls is in the order in which they began. */
export interface Call {
  readonly call: string;
  readonly args: unknown;
}

/** Settings of the source and the sink that a test may change while they run. */
export interface Script {
  readonly calls: Call[];
  /** The source has the rows 0 to `available`. */
  available: number;
  /** Called at each call. If this function throws, the call fails with the same error. */
  fault: (call: string, args: unknown) => void;
  /**
   * The ids of the batches for which the sink's `hasCommitted` returns true. If `undefined`, the
   * sink has no `hasCommitted`.
   */
  landed: Set<number> | undefined;
}

function quarters(start: number, end: number): Slice[] {
  const step = Math.ceil((end - start) / 4);
  return [0, 1, 2, 3].map((i) => ({ from: start + i * step, to: Math.min(end, start + (i + 1) * step) }));
}

class Ids extends DataSource {
  override schema(): string {
    return "id bigint NOT NULL";
  }
}

/**
 * Returns a pipeline from a source of whole numbers, eight per batch in four partitions, to a sink
 * that keeps no rows and records its calls. Source and sink are like those in the recorded Spark
 * traces.
 */
export function scripted(
  overrides: Partial<Script> = {},
  arrangement?: Arrangement,
): { script: Script; pipeline: Pipeline } {
  const script: Script = {
    calls: [],
    available: 24,
    fault: () => undefined,
    landed: undefined,
    ...overrides,
  };
  const called = (call: string, args: unknown) => {
    script.calls.push({ call, args });
    script.fault(call, args);
  };

  class Reader extends DataSourceStreamReader<Position, Slice> {
    override initialOffset(): Position {
      called("initialOffset", null);
      return { n: 0 };
    }
    override latestOffset(start: Position): Position {
      called("latestOffset", start);
      return { n: Math.max(start.n, Math.min(start.n + 8, script.available)) };
    }
    override partitions(start: Position, end: Position): Slice[] {
      called("partitions", { start, end });
      return quarters(start.n, end.n);
    }
    override *read(slice: Slice): Generator<Row> {
      called("read", slice);
      for (let id = slice.from; id < slice.to; id++) yield { id };
    }
    override commit(end: Position): void {
      called("commit offset", end);
    }
    override stop(): void {
      called("stop", null);
    }
  }

  class Writer extends DataSourceStreamArrowWriter<Message> {
    override async write(batches: AsyncIterable<RecordBatch>, task: TaskContext): Promise<Message> {
      const ids: number[] = [];
      for await (const batch of batches) for (const row of rowsOf(batch)) ids.push(Number(row["id"]));
      called("write", { partition: task.partitionId, ids });
      return { partition: task.partitionId, attempt: task.attemptNumber, ids };
    }
    override commit(messages: readonly (Message | null)[], batchId: number, batch: BatchContext): void {
      called("commit", { messages: brief(messages), batchId, attempt: batch.attempt });
    }
    override abort(messages: readonly (Message | null)[], batchId: number, batch: BatchContext): void {
      called("abort", {
        messages: brief(messages),
        batchId,
        attempt: batch.attempt,
        commitTried: batch.commitTried,
      });
    }
    abortTask(message: Message | null): void {
      called("abortTask", message?.partition);
    }
    get hasCommitted(): ((batchId: number) => boolean) | undefined {
      const { landed } = script;
      return landed === undefined ? undefined : (batchId) => landed.has(batchId);
    }
  }

  class Numbers extends Ids {
    override streamReader(): Reader {
      return new Reader();
    }
  }
  class Sink extends DataSource {
    override streamWriter(): Writer {
      called("streamWriter", null);
      return new Writer();
    }
  }
  const source = { dataSource: Numbers, options: {}, ...optional("arrangement", arrangement) };
  const made = new ReadStream<never>("numbers", source).writeStream.format(Sink);
  return { script, pipeline: made as unknown as Pipeline };
}

function brief(messages: readonly (Message | null)[]): (number[] | null)[] {
  return messages.map((message) => message?.ids ?? null);
}

/** One process that runs steps of a pipeline on shared stores. */
export interface Run {
  readonly sessions: Sessions;
  readonly ports: Ports;
  plan(options?: { ended?: boolean; maxTasks?: number }): Promise<PlanResult>;
  write(planned: PlanResult, partition: number, attemptNumber?: number): Promise<TaskResult>;
  /** Plans the next stage of a batch whose tasks have exchanged their rows. */
  planStage(planned: PlanResult): Promise<PlannedBatch>;
  finalize(planned: PlanResult): Promise<FinalizeResult>;
  /**
   * Plans a batch, writes all of its open tasks, and finalizes. A task that fails is not recorded.
   */
  batch(): Promise<FinalizeResult | undefined>;
}

/** The stores that runs of the engine share, and a clock that stands still. */
export class EngineWorld {
  now = Date.UTC(2026, 10, 21);
  /** The waits before retries, in milliseconds. The clock moves on at once. */
  readonly slept: number[] = [];
  readonly folder: string = temporaryFolder();
  readonly ledger: Ledger = new SqliteLedger(join(this.folder, "ledger.sqlite"));
  #ids = 0;

  ports(overrides: Partial<Ports> = {}): Ports {
    return {
      ledger: this.ledger,
      store: new DirectoryStore(join(this.folder, "numbers")),
      openStore: (location) => new DirectoryStore(location),
      runtime: {
        now: () => this.now,
        monotonic: () => this.now,
        random: () => 0.5,
        newId: () => `00000000-0000-4000-8000-${String(++this.#ids).padStart(12, "0")}`,
        env: {},
        sleep: async (milliseconds, signal) => {
          // A sleep with a signal is the timeout of a call. It never ends by itself here, because
          // no call takes that long.
          if (signal !== undefined)
            return await new Promise<void>((_, reject) => signal.addEventListener("abort", reject));
          this.slept.push(milliseconds);
          this.now += milliseconds;
        },
      },
      ...overrides,
    };
  }

  async run(definition: Pipeline, owner: string, overrides: Partial<Ports> = {}): Promise<Run> {
    const ports = this.ports(overrides);
    const sessions = await openSessions(definition, ports);
    const runOf = (planned: PlanResult) => {
      if (planned.kind !== "batch") throw new Error("there is no batch");
      return planned.run;
    };
    const run: Run = {
      sessions,
      ports,
      plan: ({ ended = false, ...limits } = {}) =>
        plan(sessions, ports, {
          ...limits,
          owner: { id: owner, description: `run ${owner}` },
          leaseMilliseconds: 60_000,
          limit: new ReadAllAvailable(),
          hasEnded: async () => ended,
        }),
      write: (planned, partition, attemptNumber = 0) =>
        write(
          sessions,
          ports,
          { run: runOf(planned), partition, attemptNumber },
          { signal: new AbortController().signal },
        ),
      planStage: async (planned) => ({
        ...(planned as PlannedBatch),
        ...(await planStage(sessions, ports, runOf(planned))),
      }),
      finalize: (planned) => finalize(sessions, ports, { run: runOf(planned) }),
      batch: async () => {
        const planned = await run.plan();
        if (planned.kind !== "batch") return undefined;
        for (const partition of planned.todo) await run.write(planned, partition).catch(() => undefined);
        return await run.finalize(planned);
      },
    };
    return run;
  }
}
