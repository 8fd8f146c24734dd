import { encodeSchema } from "../shared/arrow/ipc-file.ts";
import { parseDuration } from "../shared/contract/duration.ts";
import { MillraceError } from "../shared/contract/errors.ts";
import { type Pipeline, type StallPolicy, type Trigger, triggerKind } from "../shared/contract/pipeline.ts";
import { type FinalizeResult, finalize } from "../shared/engine/finalize.ts";
import { type PlannedBatch, type PlanResult, plan } from "../shared/engine/plan.ts";
import type { Batch, Fence } from "../shared/engine/ports/ledger.ts";
import type { RunEvent } from "../shared/engine/ports/run-events.ts";
import type { Ports } from "../shared/engine/ports/runtime.ts";
import { type RunSteps, runBatches } from "../shared/engine/run/loop.ts";
import { limitOf, policyOf, type RunPolicy } from "../shared/engine/run/policy.ts";
import { checkSinkOptions, openSessions, type Sessions } from "../shared/engine/sessions/open-sessions.ts";
import { stallPolicyOf } from "../shared/engine/write/watch.ts";
import type { Home } from "./home.ts";
import { hasEnded, OwnerLock } from "./owner-lock.ts";
import { runTasks } from "./run-tasks.ts";
import { TaskPool } from "./task-pool.ts";

/** A run is known to have ended by its lock, so its lease need never be waited for; it is only a bound for a home whose locks are lost. */
const LEASE_MILLISECONDS = 24 * 3_600_000;

/** How long a method of the source may take to answer once the run is interrupted. */
const GRACE_MILLISECONDS = 5000;

export interface RunOptions {
  readonly pipeline: Pipeline;
  /** The file that exports the pipeline: worker threads load it too. */
  readonly entry: string;
  readonly home: Home;
  readonly trigger: Trigger;
  readonly maxConcurrency: number;
  /** Attempts of one task at most. */
  readonly maxAttempts: number;
  /** When a partition counts as stalled, over what the pipeline says. */
  readonly stall?: Partial<StallPolicy>;
  /** Interrupts the run: tasks stop and drop what they staged, finished ones stay for the next run. A commit goes on to its end. */
  readonly signal: AbortSignal;
  onEvent(event: RunEvent): void;
}

/**
 * Runs a pipeline here, on the ledger and the store of `home`, until its trigger is served. Errors: `LEASE_HELD`, `FENCED`, and whatever
 * made a batch fail; the batch is then aborted and will be replayed by the next run.
 */
export async function run(options: RunOptions): Promise<void> {
  const { pipeline, home, trigger, signal, onEvent } = options;
  const ledger = await home.openLedger({ create: true });
  const ports = home.ports(pipeline.name, ledger);
  const lock = new OwnerLock(home.ownersFolder, ports.runtime.newId());
  // A promise of the user's that never settles must not end the process as if the run were over.
  const alive = setInterval(() => undefined, 60_000);
  let steps: LocalSteps | undefined;
  try {
    const watch = new PlanningWatch(options, ports);
    const sessions = await openSessions(pipeline, ports, { onCall: (method) => watch.note(method) });
    const schema = await checkSinkOptions(sessions);
    await home.rememberEntry(pipeline.name, options.entry);
    const setup = {
      entry: options.entry,
      home: home.root,
      pipeline: pipeline.name,
      schema: encodeSchema(schema),
      stall: options.stall ?? {},
    };
    const pool = new TaskPool(options.maxConcurrency, setup);
    steps = new LocalSteps({ options, sessions, ports, lock, pool, watch });
    const kind = Object.keys(trigger).join();
    onEvent({ type: "started", pipeline: pipeline.name, home: home.root, trigger: kind });
    await runBatches(steps, { pipeline: pipeline.name, ports, signal, onEvent });
  } finally {
    await steps?.end();
    lock.release();
    ledger.close();
    clearInterval(alive);
  }
}

interface StepParts {
  readonly options: RunOptions;
  readonly sessions: Sessions;
  readonly ports: Ports;
  readonly lock: OwnerLock;
  readonly pool: TaskPool;
  readonly watch: PlanningWatch;
}

/** The steps of a run in this process; its tasks run in worker threads. */
class LocalSteps implements RunSteps {
  readonly #parts: StepParts;
  #fence: Fence | undefined;

  constructor(parts: StepParts) {
    this.#parts = parts;
  }

  async prepare(): Promise<RunPolicy | undefined> {
    const { options, sessions, watch } = this.#parts;
    const { trigger } = options;
    const isBounded =
      "availableNow" in trigger ? await watch.unlessStuck(this.#fixAvailableNow(sessions)) : false;
    const interval = "processingTime" in trigger ? parseDuration(trigger.processingTime) : undefined;
    return isBounded === undefined ? undefined : policyOf(triggerKind(trigger), { isBounded, interval });
  }

  async #fixAvailableNow({ source }: Sessions): Promise<boolean> {
    return await (await source.planner()).prepareForTriggerAvailableNow();
  }

  async plan(policy: RunPolicy): Promise<PlanResult | undefined> {
    const { options, sessions, ports, lock, watch } = this.#parts;
    const planned = await watch.unlessStuck(
      plan(sessions, ports, {
        owner: lock.owner,
        leaseMilliseconds: LEASE_MILLISECONDS,
        limit: limitOf(policy),
        hasEnded: (owner) => hasEnded(options.home.ownersFolder, owner),
      }),
    );
    if (planned !== undefined) this.#fence = planned.fence;
    return planned;
  }

  async write({ run, batch, todo }: PlannedBatch): Promise<MillraceError | "interrupted" | undefined> {
    const { options, ports, pool } = this.#parts;
    const failure = await runTasks(pool, ports, { ...options, run, todo, partitions: batch.tasks });
    if (failure !== undefined || !options.signal.aborted) return failure;
    return (await this.#isReady(batch)) ? undefined : "interrupted";
  }

  /** True if a batch that was interrupted has all it needs, so that only its end is missing. */
  async #isReady(batch: Batch): Promise<boolean> {
    const { ledger } = this.#parts.ports;
    return batch.state !== "planned" || (await ledger.tasks(batch)).length === batch.tasks;
  }

  async finalize({ run }: PlannedBatch, failure: MillraceError | undefined): Promise<FinalizeResult> {
    const { sessions, ports } = this.#parts;
    return await finalize(sessions, ports, { run, failure: failure?.toRecord() });
  }

  /** Returns what the run holds; its own outcome is told already, so nothing here can fail it. */
  async end(): Promise<void> {
    const { pool, sessions, ports } = this.#parts;
    await pool.destroy();
    await sessions.source.stop();
    if (this.#fence !== undefined) await ports.ledger.release(this.#fence).catch(() => undefined);
  }
}

/** Keeps a source that does not answer from holding up the run without a word. */
class PlanningWatch {
  readonly #options: RunOptions;
  readonly #ports: Ports;
  #waitsFor: string | undefined;

  constructor(options: RunOptions, ports: Ports) {
    this.#options = options;
    this.#ports = ports;
  }

  /** Which method is being called. */
  note(method: string | undefined): void {
    this.#waitsFor = method;
  }

  /** The result of planning; `undefined` if the run is interrupted and a method of the source does not answer in time. */
  async unlessStuck<T>(planning: Promise<T>): Promise<T | undefined> {
    const { signal } = this.#options;
    const ended = new AbortController();
    const { sleep } = this.#ports.runtime;
    this.#warnIfStalled(ended.signal);
    const interrupted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true, signal: ended.signal });
    });
    const stuck = interrupted
      .then(() => sleep(GRACE_MILLISECONDS, ended.signal))
      .then(
        () => undefined,
        () => undefined,
      );
    try {
      return await Promise.race([planning, stuck]);
    } finally {
      ended.abort();
      // Left behind, and of no effect: the process ends.
      planning.catch(() => undefined);
    }
  }

  #warnIfStalled(ended: AbortSignal): void {
    const { pipeline, stall, onEvent } = this.#options;
    const { after } = stallPolicyOf(pipeline, stall);
    const warn = () => {
      const error = new MillraceError(
        "PLANNING_STALLED",
        `${this.#waitsFor ?? "planning"} has not answered for ${after}`,
        {
          where: { pipeline: pipeline.name },
          hint: "Look whether the source answers, and give what its reader waits for a time limit. Raise stallAfter where it is only slow.",
        },
      );
      onEvent({ type: "warning", error: error.toRecord() });
    };
    this.#ports.runtime.sleep(parseDuration(after), ended).then(warn, () => undefined);
  }
}
