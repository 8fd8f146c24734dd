import type { RecordBatch } from "apache-arrow";
import { rowsOf } from "../arrow/rows.ts";
import { takesRows, type Writer } from "../contract/batch-writer.ts";
import type { TaskContext } from "../contract/context.ts";
import type { DataSourceClass } from "../contract/data-source.ts";
import { parseDuration } from "../contract/duration.ts";
import { MillraceError } from "../contract/errors.ts";
import { type JsonValue, kindOf } from "../contract/json.ts";
import type { Offset } from "../contract/offset.ts";
import { Pipeline, triggerKind, triggerOf } from "../contract/pipeline.ts";
import type { NamedRow } from "../contract/stream-reader.ts";
import { finalize } from "../engine/finalize.ts";
import { OpenPipeline } from "../engine/open-pipeline.ts";
import { limitOf, type PlanResult, plan } from "../engine/plan.ts";
import type { Ports } from "../engine/ports/runtime.ts";
import { write } from "../engine/write/task.ts";
import { SqliteLedger } from "../platform/embedded/sqlite-ledger.ts";
import { Surroundings, type SurroundingsOptions } from "./surroundings.ts";

/** How far to run, and from where. */
export interface RunPipelineOptions extends SurroundingsOptions {
  /** Batches to run at most, until nothing is new; between them passes the interval of a trigger `processingTime`. Default: as the pipeline's trigger has it. */
  readonly batches?: number;
  /** What an earlier run left: its ledger and its store. Default: a pipeline that never ran. */
  readonly after?: PipelineRun;
  /** Attempts of one task at most. Default 1. */
  readonly maxAttempts?: number;
}

/** A batch that was committed. */
export interface CommittedBatch {
  /** From 0. */
  readonly batchId: number;
  /** Where it began (inclusive). */
  readonly start: Offset;
  /** Where it ended (exclusive). */
  readonly end: Offset;
  /** Attempt of the batch, from 1. */
  readonly attempt: number;
  /** Partitions of the batch. */
  readonly partitions: number;
  /** What the sink was given, by field name as JSON has it, in the order of the partitions. */
  readonly rows: readonly NamedRow[];
  /** What its `commit` was given. */
  readonly messages: readonly JsonValue[];
}

/** What a run in memory has done. */
export interface PipelineRun {
  /** The batches of this run. */
  readonly batches: readonly CommittedBatch[];
  /** The rows of these batches. */
  readonly rows: readonly NamedRow[];
  /** Where the next batch begins; absent for a pipeline without a first offset. */
  readonly offset?: Offset;
  /** The pipeline's store, which a sink may have written to. */
  readonly store: Ports["store"];
  /** For `after`. */
  readonly state: RunState;
}

/** Ledger and surroundings of runs that follow each other. */
export interface RunState {
  /** Lives as long as the process. */
  readonly ledger: Ports["ledger"];
  /** Clock, ids and store. */
  readonly surroundings: object;
}

const LEASE_MILLISECONDS = 3_600_000;
const MAX_BATCHES = 10_000;
/** Intervals of a trigger in a row without anything new, after which a run ends. */
const MAX_IDLE = 3;

/**
 * Runs a pipeline in this process, its ledger and store in memory, with the steps that also run on AWS. Tasks run one after the other. What a task or a commit
 * throws, this throws, once the batch was aborted; a run `after` it replays the batch.
 */
export async function runPipeline<SinkOptions extends object>(
  pipeline: Pipeline<SinkOptions>,
  options: RunPipelineOptions = {},
): Promise<PipelineRun> {
  if (!Pipeline.is(pipeline)) throw noPipeline(pipeline);
  const surroundings =
    (options.after?.state.surroundings as Surroundings | undefined) ?? new Surroundings(options);
  const ledger = options.after?.state.ledger ?? new SqliteLedger(":memory:");
  const ports: Ports = {
    ledger,
    store: surroundings.store,
    openStore: (location) => surroundings.openStore(location),
    runtime: surroundings.runtime,
  };
  const tap = new Tap();
  const open = await OpenPipeline.open(tap.around(pipeline as unknown as Pipeline), ports);
  const batches: CommittedBatch[] = [];
  try {
    // A sink that cannot use its options is told before anything is planned.
    await open.newWriter(await open.schema());
    const trigger = triggerOf(pipeline, undefined);
    const isBounded = "availableNow" in trigger && (await open.prepareForTriggerAvailableNow());
    const isCounted = options.batches !== undefined && pipeline.saveMode === undefined;
    const most = isCounted ? options.batches : isBounded ? MAX_BATCHES : 1;
    const limit = isCounted ? undefined : limitOf(triggerKind(trigger), isBounded);
    const interval = "processingTime" in trigger ? parseDuration(trigger.processingTime) : undefined;
    let idle = 0;
    while (batches.length < most) {
      const planned = await plan(open, ports, {
        owner: { id: "runPipeline", description: "runPipeline" },
        leaseMilliseconds: LEASE_MILLISECONDS,
        limit,
        hasEnded: async () => true,
      });
      if (planned.kind === "batch") {
        batches.push(await runBatch(open, ports, planned, tap, options.maxAttempts ?? 1));
        idle = 0;
      } else if (planned.kind === "paused" || interval === undefined || ++idle === MAX_IDLE) {
        break;
      }
      surroundings.now += interval ?? 0;
    }
  } finally {
    await open.stop();
  }
  const head = await ledger.head(pipeline.name);
  return {
    batches,
    rows: batches.flatMap((batch) => batch.rows),
    ...(head?.offset === undefined ? {} : { offset: head.offset }),
    store: surroundings.store,
    state: { ledger, surroundings },
  };
}

function noPipeline(given: unknown): MillraceError {
  const name = typeof given === "function" ? given.name : undefined;
  return new MillraceError(
    "CHECK_INVALID",
    `runPipeline was given ${name === undefined ? kindOf(given) : `the class ${name}`}`,
    {
      hint: `Give it a pipeline: pipeline("name").readStream.format(${name ?? "…"}).writeStream.format(…).`,
    },
  );
}

async function runBatch(
  open: OpenPipeline,
  ports: Ports,
  planned: Extract<PlanResult, { kind: "batch" }>,
  tap: Tap,
  maxAttempts: number,
): Promise<CommittedBatch> {
  const { run, todo } = planned;
  let failure: MillraceError | undefined;
  for (const partition of todo) {
    failure ??= await runTask(open, ports, { run, partition }, maxAttempts);
  }
  const ended = await finalize(open, ports, {
    run,
    ...(failure === undefined ? {} : { failure: failure.toRecord() }),
  });
  const { batch } = ended;
  const error = failure ?? ended.failure ?? ended.unacknowledged;
  if (error !== undefined) throw error;
  if (batch.state !== "committed")
    throw new Error(batch.error?.message ?? `batch ${batch.batchId} was aborted`);
  const tasks = await ports.ledger.tasks(run);
  return {
    batchId: batch.batchId,
    start: batch.start,
    end: batch.end,
    attempt: batch.attempt,
    partitions: batch.tasks,
    rows: tasks.flatMap(({ partition, attemptNumber }) => tap.rows({ ...run, partition, attemptNumber })),
    messages: tasks.map(({ message }) => message),
  };
}

async function runTask(
  open: OpenPipeline,
  ports: Ports,
  task: Pick<Parameters<typeof write>[2], "run" | "partition">,
  maxAttempts: number,
): Promise<MillraceError | undefined> {
  for (let attemptNumber = 0; ; attemptNumber++) {
    try {
      await write(open, ports, { ...task, attemptNumber }, { signal: new AbortController().signal });
      return undefined;
    } catch (error) {
      const failure = error as MillraceError;
      if (!failure.retryable || attemptNumber + 1 >= maxAttempts) return failure;
    }
  }
}

type TaskPlace = {
  readonly batchId: number;
  readonly attempt: number;
  readonly partition: number;
  readonly attemptNumber: number;
};

/** Sees the rows on their way into the sink. */
class Tap {
  readonly #rows = new Map<string, NamedRow[]>();

  rows({ batchId, attempt, partition, attemptNumber }: TaskPlace): readonly NamedRow[] {
    return this.#rows.get([batchId, attempt, partition, attemptNumber].join()) ?? [];
  }

  /** The pipeline with a sink whose writers are looked at. */
  around(pipeline: Pipeline): Pipeline {
    const dataSource = this.#tapped(pipeline.sink.dataSource);
    const made = pipeline.constructor as new (definition: object) => Pipeline;
    return new made({ ...pipeline, sink: { ...pipeline.sink, dataSource } });
  }

  #tapped(dataSource: DataSourceClass<never>): DataSourceClass<never> {
    const tap = (writer: object) => this.#tappedWriter(writer as Writer<unknown>);
    return new Proxy(dataSource, {
      construct: (target, args) => {
        const sink = Reflect.construct(target, args) as object;
        return boundProxy(sink, (key, method) =>
          key === "streamWriter" || key === "writer"
            ? (...given: unknown[]) => tap(method(...given) as object)
            : method,
        );
      },
    });
  }

  #tappedWriter(writer: Writer<unknown>): Writer<unknown> {
    return boundProxy(writer, (key, method) =>
      key !== "write"
        ? method
        : (rows: unknown, task: unknown) =>
            method(
              takesRows(writer)
                ? this.#seen(rows as AsyncIterable<NamedRow>, task as TaskContext)
                : this.#seenBatches(rows as AsyncIterable<RecordBatch>, task as TaskContext),
              task,
            ),
    );
  }

  async *#seen(rows: AsyncIterable<NamedRow>, task: TaskContext): AsyncGenerator<NamedRow> {
    const list = this.#list(task);
    for await (const row of rows) {
      list.push(row);
      yield row;
    }
  }

  async *#seenBatches(batches: AsyncIterable<RecordBatch>, task: TaskContext): AsyncGenerator<RecordBatch> {
    const list = this.#list(task);
    for await (const batch of batches) {
      list.push(...rowsOf(batch));
      yield batch;
    }
  }

  #list({ batchId, attempt, partitionId, attemptNumber }: TaskContext): NamedRow[] {
    const list: NamedRow[] = [];
    this.#rows.set([batchId, attempt, partitionId, attemptNumber].join(), list);
    return list;
  }
}

/** `target` with some methods replaced. Each method is called on `target` itself, for its private fields. */
function boundProxy<T extends object>(
  target: T,
  replaced: (key: string | symbol, method: (...args: unknown[]) => unknown) => unknown,
): T {
  return new Proxy(target, {
    get: (_, key) => {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      return replaced(key, (...args) => (value as (...args: unknown[]) => unknown).apply(target, args));
    },
  });
}
