import type { RecordBatch } from "apache-arrow";
import { rowsOf } from "../arrow/rows.ts";
import { MillraceError } from "../contract/errors.ts";
import { type JsonValue, kindOf } from "../contract/json.ts";
import type { Offset } from "../contract/offset.ts";
import { Pipeline } from "../contract/pipeline.ts";
import { retry } from "../contract/retry.ts";
import type { NamedRow } from "../contract/stream-reader.ts";
import { intervalOf, triggerKind, triggerOf } from "../contract/trigger.ts";
import { type QuarantinedRow, readQuarantine } from "../engine/bad-rows/quarantine.ts";
import { type FinalizeResult, finalize } from "../engine/finalize.ts";
import { type PlannedBatch, type PlanResult, plan } from "../engine/plan.ts";
import { type PlannedStage, planStage } from "../engine/plan-stage.ts";
import type { Batch, BatchRun } from "../engine/ports/ledger.ts";
import type { Ports } from "../engine/ports/runtime.ts";
import { type RunSteps, runBatches } from "../engine/run/loop.ts";
import { askPolicy, limitOf, type RunPolicy } from "../engine/run/policy.ts";
import { checkBeforePlanning, openSessions, type Sessions } from "../engine/sessions/open-sessions.ts";
import { write } from "../engine/write/task.ts";
import { SqliteLedger } from "../platform/embedded/sqlite-ledger.ts";
import { Surroundings, type SurroundingsOptions } from "./surroundings.ts";

/** Options of `runPipeline`. */
export interface RunPipelineOptions extends SurroundingsOptions {
  /**
   * Maximum number of batches; the run ends earlier if there is no new data. With the trigger
   * `processingTime`, the clock moves by the interval between batches. Default: what the pipeline's
   * trigger says.
   */
  readonly batches?: number;
  /** An earlier run, whose ledger and store are used. Default: a new pipeline. */
  readonly after?: PipelineRun;
  /** Maximum number of attempts for one task. Default 1. */
  readonly maxAttempts?: number;
  /**
   * True for one batch that sends the quarantined rows of earlier runs again, like `millrace
   * quarantine --retry`.
   */
  readonly retryQuarantine?: boolean;
}

/** A batch that was committed. */
export interface CommittedBatch {
  /** Id of the batch, counted from 0. */
  readonly batchId: number;
  /** Start offset (inclusive). */
  readonly start: Offset;
  /** End offset (exclusive). */
  readonly end: Offset;
  /** The batch's attempt, counted from 1. */
  readonly attempt: number;
  /** Number of partitions. */
  readonly partitions: number;
  /**
   * The rows that the sink received, keyed by field name with JSON values, in the order of the
   * partitions.
   */
  readonly rows: readonly NamedRow[];
  /** The commit messages that the sink's `commit` received. */
  readonly messages: readonly JsonValue[];
}

/** The result of a run in memory. */
export interface PipelineRun {
  /** The batches that this run committed. */
  readonly batches: readonly CommittedBatch[];
  /** The rows of the committed batches. */
  readonly rows: readonly NamedRow[];
  /** The quarantined rows that were not sent again. */
  readonly quarantine: readonly QuarantinedRow[];
  /** The start of the next batch; missing if the pipeline has no offset yet. */
  readonly offset?: Offset;
  /** The pipeline's store, to which a sink may have written. */
  readonly store: Ports["store"];
  /** State for a later run with `after`. */
  readonly state: RunState;
}

/** The ledger and surroundings that consecutive runs share. */
export interface RunState {
  /** The ledger in memory. It exists only in this process. */
  readonly ledger: Ports["ledger"];
  /** The simulated clock, ids and store. */
  readonly surroundings: object;
}

const LEASE_MILLISECONDS = 3_600_000;
const MAX_BATCHES = 10_000;
/** Tasks are retried immediately, so that a test does not wait. */
const AT_ONCE = { firstDelay: 0, longestDelay: 0 };
/** A run with an interval ends after this many consecutive intervals without new data. */
const MAX_IDLE = 3;

/**
 * Runs a pipeline in this process with ledger and store in memory. It uses the same steps as on
 * AWS, and runs tasks one after the other. If a task or commit throws, the batch is aborted and the
 * error is rethrown; a later run with `after` replays the batch.
 */
export async function runPipeline<SinkOptions extends object>(
  pipeline: Pipeline<SinkOptions>,
  options: RunPipelineOptions = {},
): Promise<PipelineRun> {
  if (!Pipeline.is(pipeline)) throw notAPipeline(pipeline);
  const surroundings =
    (options.after?.state.surroundings as Surroundings | undefined) ?? new Surroundings(options);
  const ledger = options.after?.state.ledger ?? new SqliteLedger(":memory:");
  const ports: Ports = {
    ledger,
    store: surroundings.store,
    openStore: (location) => surroundings.openStore(location),
    runtime: surroundings.runtime,
  };
  const recorder = new RowRecorder();
  const sessions = await openSessions(pipeline as unknown as Pipeline, ports);
  const steps = new KitSteps({
    pipeline: pipeline as unknown as Pipeline,
    sessions,
    ports,
    recorder,
    options,
  });
  try {
    await checkBeforePlanning(sessions);
    const { signal } = new AbortController();
    await runBatches(steps, { pipeline: pipeline.name, ports, signal, onEvent: () => undefined });
  } finally {
    await sessions.source.stop();
  }
  const { batches } = steps;
  const head = await ledger.head(pipeline.name);
  return {
    batches,
    rows: batches.flatMap((batch) => batch.rows),
    quarantine: await Array.fromAsync(readQuarantine(ledger, surroundings.store, pipeline.name)),
    ...(head?.offset === undefined ? {} : { offset: head.offset }),
    store: surroundings.store,
    state: { ledger, surroundings },
  };
}

function notAPipeline(given: unknown): MillraceError {
  const name = typeof given === "function" ? given.name : undefined;
  return new MillraceError(
    "CHECK_INVALID",
    `runPipeline was given ${name === undefined ? kindOf(given) : `the class ${name}`}`,
    {
      hint: `Give it a pipeline: pipeline("name").readStream.format(${name ?? "…"}).writeStream.format(…).`,
    },
  );
}

interface StepParts {
  readonly pipeline: Pipeline;
  readonly sessions: Sessions;
  readonly ports: Ports;
  readonly recorder: RowRecorder;
  readonly options: RunPipelineOptions;
}

/** The steps of a run in this process. */
class KitSteps implements RunSteps {
  readonly batches: CommittedBatch[] = [];
  readonly #parts: StepParts;

  constructor(parts: StepParts) {
    this.#parts = parts;
  }

  async prepare(): Promise<RunPolicy> {
    const { pipeline, sessions, options } = this.#parts;
    const trigger = triggerOf(pipeline, undefined);
    const interval = intervalOf(trigger);
    const policy = await askPolicy(sessions.source, triggerKind(trigger), { interval });
    const bounds = {
      ...(interval === undefined ? {} : { interval }),
      maxIdle: MAX_IDLE,
      // A test is told of the first failure.
      outlivesFailures: false,
    };
    if (options.retryQuarantine === true)
      return { readsAll: false, maxBatches: 1, maxIdle: 0, outlivesFailures: false };
    if (options.batches !== undefined && pipeline.saveMode === undefined)
      return { readsAll: false, maxBatches: options.batches, ...bounds };
    return { maxBatches: interval === undefined ? MAX_BATCHES : 1, ...policy, ...bounds };
  }

  async plan(policy: RunPolicy): Promise<PlanResult> {
    const { sessions, ports } = this.#parts;
    return await plan(sessions, ports, {
      owner: { id: "runPipeline", description: "runPipeline" },
      leaseMilliseconds: LEASE_MILLISECONDS,
      limit: limitOf(policy),
      hasEnded: async () => true,
      retriesQuarantine: this.#parts.options.retryQuarantine === true,
    });
  }

  async write({ run, todo }: PlannedBatch): Promise<MillraceError | undefined> {
    for (const partition of todo) {
      const failure = await this.#writePartition(run, partition);
      if (failure !== undefined) return failure;
    }
    return undefined;
  }

  async planStage({ run }: PlannedBatch): Promise<PlannedStage> {
    const { sessions, ports } = this.#parts;
    return await planStage(sessions, ports, run);
  }

  async #writePartition(run: BatchRun, partition: number): Promise<MillraceError | undefined> {
    const { sessions, ports, options, recorder } = this.#parts;
    const { signal } = new AbortController();
    const policy = { ...AT_ONCE, attempts: options.maxAttempts ?? 1 };
    try {
      await retry(ports.runtime, policy, (attempt) => {
        const task = { run, partition, attemptNumber: attempt - 1 };
        const onBatch = recorder.begin({ ...run, ...task });
        return write(sessions, ports, task, { signal, onBatch });
      });
      return undefined;
    } catch (error) {
      return error as MillraceError;
    }
  }

  async finalize({ run }: PlannedBatch, failure: MillraceError | undefined): Promise<FinalizeResult> {
    const { sessions, ports } = this.#parts;
    const ended = await finalize(sessions, ports, { run, failure: failure?.toRecord() });
    if (ended.batch.state === "committed" && ended.unacknowledged === undefined)
      this.batches.push(await this.#committed(run, ended.batch));
    return ended;
  }

  async #committed({ stage: _stage, ...run }: BatchRun, batch: Batch): Promise<CommittedBatch> {
    const { ports, recorder } = this.#parts;
    const tasks = await ports.ledger.tasks(run);
    return {
      batchId: batch.batchId,
      start: batch.start,
      end: batch.end,
      attempt: batch.attempt,
      partitions: batch.tasks,
      rows: tasks.flatMap(({ partition, attemptNumber }) =>
        recorder.rows({ ...run, partition, attemptNumber }),
      ),
      messages: tasks.map(({ message }) => message),
    };
  }
}

type TaskPlace = {
  readonly batchId: number;
  readonly attempt: number;
  readonly partition: number;
  readonly attemptNumber: number;
};

/** Records the rows that each task passes to the sink. */
class RowRecorder {
  readonly #rows = new Map<string, NamedRow[]>();

  rows(place: TaskPlace): readonly NamedRow[] {
    return this.#rows.get(keyOf(place)) ?? [];
  }

  /** Starts the list of a task. Returns what takes the record batches that its sink receives. */
  begin(place: TaskPlace): (batch: RecordBatch) => void {
    const list: NamedRow[] = [];
    this.#rows.set(keyOf(place), list);
    return (batch) => list.push(...rowsOf(batch));
  }
}

function keyOf({ batchId, attempt, partition, attemptNumber }: TaskPlace): string {
  return [batchId, attempt, partition, attemptNumber].join();
}
