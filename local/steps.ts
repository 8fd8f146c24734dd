import type { MillraceError } from "../shared/contract/errors.ts";
import { optional } from "../shared/contract/optional.ts";
import { intervalOf, triggerKind } from "../shared/contract/trigger.ts";
import type { CallWatching } from "../shared/engine/call-watch.ts";
import { type FinalizeResult, finalize } from "../shared/engine/finalize.ts";
import { type PlannedBatch, type PlanResult, plan } from "../shared/engine/plan.ts";
import { type PlannedStage, planStage } from "../shared/engine/plan-stage.ts";
import { tasksOfPlan } from "../shared/engine/plan-tasks.ts";
import type { Batch, Fence, PipelineIdentity } from "../shared/engine/ports/ledger.ts";
import type { Ports } from "../shared/engine/ports/runtime.ts";
import { stageOf } from "../shared/engine/ports/stages.ts";
import type { RunSteps } from "../shared/engine/run/loop.ts";
import { askPolicy, limitOf, type RunPolicy } from "../shared/engine/run/policy.ts";
import { identityOf, type Sessions } from "../shared/engine/sessions/open-sessions.ts";
import { stallPolicyOf } from "../shared/engine/write/watch.ts";
import { hasEnded, type OwnerLock } from "./owner-lock.ts";
import type { PlanningWatch } from "./planning-watch.ts";
import type { RunCode } from "./run-code.ts";
import type { RunOptions } from "./run-options.ts";
import { runTasks } from "./run-tasks.ts";
import type { TaskRunner } from "./task-pool.ts";
import { TaskSlots } from "./task-slots.ts";

/**
 * The lease can be long because a dead run is recognized by its free lock. It matters only if the
 * lock files are lost.
 */
const LEASE_MILLISECONDS = 24 * 3_600_000;

interface StepParts {
  readonly options: RunOptions;
  readonly sessions: Sessions;
  readonly ports: Ports;
  readonly lock: OwnerLock;
  readonly pool: TaskRunner;
  readonly watch: PlanningWatch;
  readonly code: RunCode;
}

/** The steps of a run in this process. Tasks run in worker threads. */
export class LocalSteps implements RunSteps {
  readonly #parts: StepParts;
  readonly #slots: TaskSlots;
  readonly #toldFields = new Set<string>();
  #fence: Fence | undefined;

  constructor(parts: StepParts) {
    this.#parts = parts;
    this.#slots = new TaskSlots(parts.options.maxConcurrency);
  }

  async prepare(): Promise<RunPolicy | undefined> {
    const { options, sessions, watch } = this.#parts;
    const { trigger } = options;
    const interval = intervalOf(trigger);
    return await watch.abandonIfStuck(askPolicy(sessions.source, triggerKind(trigger), { interval }));
  }

  async plan(policy: RunPolicy): Promise<PlanResult | undefined> {
    const { options, sessions, ports, lock, watch, code } = this.#parts;
    this.#warn(code.changeWarning());
    const planned = await watch.abandonIfStuck(
      plan(sessions, ports, {
        owner: lock.owner,
        leaseMilliseconds: LEASE_MILLISECONDS,
        prepare: async () => ({ limit: limitOf(policy), identity: await this.#identity() }),
        hasEnded: (owner) => hasEnded(options.home.ownersFolder, owner),
        retriesQuarantine: options.retriesQuarantine === true,
        ...optional("code", code.digest),
      }),
    );
    if (planned !== undefined) this.#fence = planned.fence;
    // A run with an interval keeps its lease, so no release tells that it has looked.
    if (planned?.kind === "idle") await ports.ledger.recordIdle(planned.fence, ports.runtime.now());
    return planned;
  }

  async #identity(): Promise<PipelineIdentity> {
    const { options, sessions } = this.#parts;
    return { ...(await identityOf(sessions)), entry: options.entry, home: options.home.root };
  }

  #warn(error: MillraceError | undefined): void {
    if (error !== undefined) this.#parts.options.onEvent({ type: "warning", error: error.toRecord() });
  }

  async write({ run, batch, todo }: PlannedBatch): Promise<MillraceError | "interrupted" | undefined> {
    const { options, ports, pool } = this.#parts;
    const request = {
      ...options,
      slots: this.#slots,
      toldFields: this.#toldFields,
      run,
      todo,
      partitions: batch.tasks,
    };
    const failure = await runTasks(pool, ports, request);
    if (failure !== undefined || !options.signal.aborted) return failure;
    return (await this.#isReady(batch)) ? undefined : "interrupted";
  }

  /**
   * Returns true if all tasks of an interrupted batch are recorded, so that it can be finalized.
   */
  async #isReady(batch: Batch): Promise<boolean> {
    const { ledger } = this.#parts.ports;
    if (stageOf(batch).stage !== undefined) return false;
    return batch.state !== "planned" || (await tasksOfPlan(ledger, batch)).length === batch.tasks;
  }

  async planStage({ run }: PlannedBatch): Promise<PlannedStage> {
    const { sessions, ports } = this.#parts;
    return await planStage(sessions, ports, run);
  }

  async finalize({ run }: PlannedBatch, failure: MillraceError | undefined): Promise<FinalizeResult> {
    const { sessions, ports, options } = this.#parts;
    const { pipeline, stall, onEvent } = options;
    const watching: CallWatching = {
      after: stallPolicyOf(pipeline, stall).after,
      onStalled: (warning) => onEvent({ type: "warning", error: warning.toRecord() }),
    };
    return await finalize(sessions, ports, { run, failure: failure?.toRecord(), watching });
  }

  async recover(): Promise<void> {
    const { sessions, ports } = this.#parts;
    // The next plan makes a new reader.
    await sessions.source.stop();
    if (this.#fence !== undefined) await ports.ledger.release(this.#fence).catch(() => undefined);
  }

  /**
   * Releases the run's resources. Errors are ignored because the run's result is already reported.
   * Attempts that another one has overtaken get their time to stop.
   */
  async end(): Promise<void> {
    const { pool, sessions, ports } = this.#parts;
    await this.#slots.untilLeftEnd();
    await pool.destroy();
    await sessions.source.stop();
    if (this.#fence !== undefined) await ports.ledger.release(this.#fence).catch(() => undefined);
  }
}
