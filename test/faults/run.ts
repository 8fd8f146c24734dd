import { AsyncLocalStorage } from "node:async_hooks";
import type { BatchContext } from "../../shared/contract/context.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { finalize } from "../../shared/engine/finalize.ts";
import { type PlannedBatch, type PlanResult, plan } from "../../shared/engine/plan.ts";
import { planStage } from "../../shared/engine/plan-stage.ts";
import type { Ports } from "../../shared/engine/ports/runtime.ts";
import { type RunSteps, runBatches } from "../../shared/engine/run/loop.ts";
import { limitOf, type RunPolicy } from "../../shared/engine/run/policy.ts";
import { openSessions, type Sessions } from "../../shared/engine/sessions/open-sessions.ts";
import { write } from "../../shared/engine/write/task.ts";
import type { WriteRequest } from "../../shared/engine/write/task-request.ts";
import { FaultyStore, faultyLedger } from "./faulty-ports.ts";
import { callName, canHappen, type Fault, FINAL_CALLS } from "./kinds.ts";
import { numbersPipeline } from "./numbers.ts";
import {
  injected,
  never,
  noticeFence,
  type Outcome,
  type RunOptions,
  type Sleeper,
  Step,
} from "./run-parts.ts";
import { isBatchPipeline } from "./setup.ts";
import type { Surroundings } from "./surroundings.ts";
import { TaskCommits } from "./task-commits.ts";

const LEASE_MILLISECONDS = 60_000;
const STEP_ATTEMPTS = 3;
/** After so many denials, a task cannot come to its end. */
const MOST_DENIALS = 6;
/** How long an attempt of a task may take, like the timeout of a function. */
const TASK_MILLISECONDS = 20_000;
const MAX_BATCHES = 20;

let runs = 0;

/**
 * The step that makes the current call. Two steps can make calls at the same time: a straggling
 * step, and the step that replaced it.
 */
const current = new AsyncLocalStorage<Step>();

/**
 * One run, made like a run of the state machine. Each step is like a process for itself, and steps
 * pass JSON to each other. Each call of a port or of the contract can have a fault.
 */
export class Run {
  /** Names of the calls so far, in order. Each call can have a fault. */
  readonly calls: string[] = [];
  /** The faults that have happened in the run. Each fault names its call. */
  readonly met: Fault[] = [];
  /** Why the run failed. */
  failure: unknown;
  readonly #world: Surroundings;
  readonly #options: RunOptions;
  readonly #name = `run ${++runs}`;
  readonly #steps: Step[] = [];
  readonly #sleepers: Sleeper[] = [];
  readonly #overtaken: Sleeper[] = [];
  readonly #taskCommits = new TaskCommits();
  #outcome: Outcome | undefined;
  #hasFault = false;
  #changed = Promise.withResolvers<void>();

  constructor(world: Surroundings, options: RunOptions = {}) {
    this.#world = world;
    this.#options = options;
  }

  /** Runs until the run ends, is stopped, or falls asleep. */
  async start(): Promise<Outcome> {
    void this.#execute().then((outcome) => this.#end(outcome));
    await this.#until(() => this.#outcome !== undefined);
    return this.#outcome ?? "stopped";
  }

  /** Continues the sleeping run and its straggling steps, one after the other, until they end. */
  async wake(): Promise<void> {
    const resting = () => this.#sleepers.length + this.#overtaken.length;
    const isOver = () => this.#outcome !== undefined && this.#steps.every((step) => step.isOver);
    while (this.#outcome !== "stopped" && !(resting() === 0 && isOver())) {
      const sleeper = this.#sleepers.shift() ?? this.#overtaken.shift();
      if (sleeper === undefined) await this.#until(() => resting() > 0 || isOver());
      else {
        const before = resting();
        if (this.#outcome === "asleep") this.#outcome = undefined;
        sleeper.wake();
        // A step that was told to stop may have two calls that sleep: its read and its abort.
        await this.#until(() => sleeper.step.isOver || resting() > before || this.#rests(sleeper.step));
      }
    }
  }

  /** True if a call of the step sleeps. */
  #rests(step: Step): boolean {
    return [...this.#sleepers, ...this.#overtaken].some((each) => each.step === step);
  }

  /** Waits until the condition is true. A stopped run waits for ever. */
  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo() && this.#outcome !== "stopped") await this.#changed.promise;
  }

  #change(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers<void>();
    resolve();
  }

  #end(outcome: Outcome): void {
    if (this.#outcome !== "stopped") this.#outcome = outcome;
    this.#change();
  }

  /** Opens the pipeline and the ports, for work that is not part of a step. */
  async open(): Promise<{ readonly sessions: Sessions; readonly ports: Ports }> {
    const ports = this.#ports();
    return { ports, sessions: await openSessions(numbersPipeline(this, this.#world), ports) };
  }

  /** True if no fault has happened, and no other run or second attempt works at the same time. */
  get isAlone(): boolean {
    const { late, setup } = this.#world;
    return !this.#hasFault && !late.wasUsed && this.#options.turn === undefined && !setup.speculates;
  }

  sawDamaged(): void {
    this.#world.sawDamaged();
  }

  saw(messages: unknown, { batchId, attempt, planId }: BatchContext): void {
    this.#world.sawCommit(`${batchId}/${attempt}/${planId}`, JSON.stringify(messages));
  }

  async #execute(): Promise<Outcome> {
    const { pipeline, ledger } = this.#world;
    const { signal } = new AbortController();
    const ports = { ledger, runtime: this.#world.runtime() };
    try {
      const done = await runBatches(this.#asSteps(), { pipeline, ports, signal, onEvent: () => undefined });
      if (done.batches < MAX_BATCHES) return "idle";
      this.#world.broken("a run does not come to its end");
      return "failed";
    } catch (error) {
      this.failure = error;
      return "failed";
    }
  }

  /** Returns the steps of the run. A failed step is retried as in Step Functions. */
  #asSteps(): RunSteps {
    const maxBatches = isBatchPipeline(this.#world.setup) ? 1 : MAX_BATCHES;
    return {
      prepare: async () => ({ readsAll: true, maxBatches }),
      plan: (policy) => this.#step("plan", () => this.#plan(policy)),
      write: async (planned) => {
        for (const partition of planned.todo) await this.#task(planned, partition);
        return undefined;
      },
      planStage: ({ run }) =>
        this.#step("planStage", () =>
          this.open().then(({ sessions, ports }) => planStage(sessions, ports, run)),
        ),
      finalize: (planned) => this.#step("finalize", () => this.#finalize(planned)),
    };
  }

  async #step<T>(name: string, body: (attempt: number) => Promise<T>): Promise<T> {
    try {
      return await this.#attempts(name, body);
    } finally {
      for (let late = this.#overtaken.shift(); late !== undefined; late = this.#overtaken.shift()) {
        const { step, wake } = late;
        wake();
        await this.#until(() => step.isOver || this.#rests(step));
      }
    }
  }

  /** Runs a step with the retries of Step Functions. */
  async #attempts<T>(name: string, body: (attempt: number) => Promise<T>): Promise<T> {
    let denials = 0;
    for (let attempt = 0; ; attempt++) {
      const step = new Step();
      this.#steps.push(step);
      try {
        const result = current.run(step, () => this.point(`step ${name}`, () => body(attempt)));
        const over = () => {
          step.isOver = true;
          this.#change();
        };
        result.then(over, over);
        return await Promise.race([result, step.givenUp]);
      } catch (error) {
        const isFinal = MillraceError.is(error) && !error.retryable;
        if (MillraceError.is(error) && error.code === "COMMIT_DENIED") this.#judgeDenial(++denials);
        if (isFinal || attempt + 1 - denials >= STEP_ATTEMPTS) throw error;
      }
    }
  }

  async #plan(policy: RunPolicy): Promise<PlanResult> {
    const { sessions, ports } = await this.open();
    const planned = await plan(sessions, ports, {
      owner: { id: this.#name, description: this.#name },
      leaseMilliseconds: LEASE_MILLISECONDS,
      limit: limitOf(policy),
      hasEnded: async () => this.#options.takesOver ?? false,
    });
    if (planned.kind !== "batch") await ports.ledger.release(planned.fence);
    else if (planned.warning?.code === "PARTITIONS_MISSING") this.#world.sawPlanMissing();
    // Warnings are for people. They do not pass from step to step.
    return JSON.parse(JSON.stringify({ ...planned, warning: undefined, loss: undefined })) as PlanResult;
  }

  /** Runs a task, and a second attempt beside it if the case says so. The first to end counts. */
  async #task({ run }: PlannedBatch, partition: number): Promise<void> {
    const stopping = new AbortController();
    let attemptNumber = 0;
    const attempt = () =>
      this.#step("write", () =>
        this.#write({ run, partition, attemptNumber: attemptNumber++ }, stopping.signal),
      );
    const attempts = this.#world.setup.speculates ? [attempt(), attempt()] : [attempt()];
    await Promise.any(attempts).catch(() => undefined);
    stopping.abort();
  }

  async #write(request: WriteRequest, signal: AbortSignal): Promise<void> {
    const { sessions, ports } = await this.open();
    const step = current.getStore();
    if (step !== undefined) {
      step.epoch = request.run.epoch;
      step.deadline = this.#world.now + TASK_MILLISECONDS;
    }
    const commitDeadline = ports.runtime.now() + TASK_MILLISECONDS;
    await write(sessions, ports, request, { signal, commitDeadline });
  }

  #judgeDenial(denials: number): void {
    const { setup } = this.#world;
    const isFailed = ({ at, kind }: Fault) => kind === "fail" && String(at).startsWith("writer.");
    if (setup.speculates !== true && this.met.length > 0 && this.met.every(isFailed))
      this.#world.broken("an attempt was denied for one that had failed");
    if (denials < MOST_DENIALS) return;
    this.#world.broken("an attempt is denied for ever");
    throw new Error("the step was given up");
  }

  /** Judges that an attempt begins to commit. Attempts with different clocks may do so at once. */
  beganCommit(task: string): void {
    const step = current.getStore();
    const { setup, now } = this.#world;
    if (step === undefined || setup.sink !== "coordinated" || setup.clockSkew !== undefined) return;
    const isOver = () => step.isOver || this.#isStopped();
    const { epoch, deadline } = step;
    if (this.#taskCommits.begin(step, { task, epoch, deadline, isOver }, now))
      this.#world.broken("two attempts of a task commit at once");
  }

  endedCommit(): void {
    const step = current.getStore();
    if (step !== undefined) this.#taskCommits.end(step);
  }

  async #finalize(planned: PlannedBatch): ReturnType<typeof finalize> {
    const { sessions, ports } = await this.open();
    return await finalize(sessions, ports, { run: planned.run });
  }

  #isStopped(): boolean {
    return this.#outcome === "stopped";
  }

  #faultAt(index: number, name: string): Fault | undefined {
    const { faults = [] } = this.#options;
    if (faults.length === 0) return undefined;
    const at = callName(name, this.calls.slice(0, index + 1).filter((call) => call === name).length);
    const fault = faults.findLast((each) => each.at === index || each.at === at);
    if (fault === undefined || !canHappen(fault.kind, name)) return undefined;
    this.met.push({ ...fault, at });
    return fault;
  }

  /**
   * Makes one call. `effect` is the part of the call that takes place in another process or
   * service.
   */
  async point<T>(name: string, effect: () => Promise<T>): Promise<T> {
    // A stopped run makes no further call, like a process that has ended.
    if (this.#isStopped()) return await never();
    const index = this.calls.push(name) - 1;
    await this.#options.turn?.();
    if (this.#isStopped()) return await never();
    this.#world.now++;
    await this.#world.pass(name);
    const step = current.getStore();
    if (step?.isFenced && FINAL_CALLS.has(name)) this.#world.broken("a run that was fenced went on");
    const call = async () => {
      const fault = this.#faultAt(index, name);
      if (fault === undefined) return await noticeFence(step, effect);
      this.#hasFault = true;
      return await this.#suffer(fault, () => noticeFence(step, effect));
    };
    return await (name === "sink.commit" ? this.#world.commits.during(this, call) : call());
  }

  async #suffer<T>({ kind, after = 1, file = 0 }: Fault, effect: () => Promise<T>): Promise<T> {
    switch (kind) {
      case "stop before":
        return await this.stop();
      case "stop after":
        await effect().catch(() => undefined);
        return await this.stop();
      case "die before":
        return await this.#die();
      case "die after":
        await effect().catch(() => undefined);
        return await this.#die();
      case "fail":
      case "fail for good":
        throw injected(`the call failed${kind === "fail" ? "" : " for good"}`, kind === "fail");
      case "lost answer":
      case "lost for good":
        await effect();
        throw injected("the answer was lost", kind === "lost answer");
      case "late":
      case "late for good":
        this.#world.late.defer(after, this.#world.commits.late(this, effect));
        throw injected("the call failed, and takes effect later", kind === "late");
      case "file lost":
        await this.#world.loseFile(file);
        return await effect();
      case "twice": {
        const first = await effect();
        await effect().catch(() => undefined);
        return first;
      }
      case "straggle before":
      case "overtaken before":
        await this.#straggle(kind === "overtaken before" ? this.#overtaken : this.#sleepers);
        return await effect();
      case "straggle after":
      case "overtaken after": {
        const result = await effect();
        await this.#straggle(kind === "overtaken after" ? this.#overtaken : this.#sleepers);
        return result;
      }
      case "sleep before":
        await this.#sleep();
        return await effect();
      case "sleep after": {
        const result = await effect();
        await this.#sleep();
        return result;
      }
    }
  }

  /** Ends the run at once. A caller that waits for an answer waits for ever. */
  async stop(): Promise<never> {
    this.#world.commits.endOf(this);
    this.#options.kill?.();
    this.#end("stopped");
    return await never();
  }

  async #die<T>(): Promise<T> {
    const step = current.getStore();
    if (step !== undefined) step.isOver = true;
    step?.giveUp();
    this.#change();
    return await never();
  }

  async #straggle(sleepers: Sleeper[]): Promise<void> {
    current.getStore()?.giveUp();
    await this.#rest(sleepers);
  }

  async #sleep(): Promise<void> {
    // A straggling step that sleeps does not delay the other steps.
    const isMain = this.#outcome === undefined && current.getStore()?.isGivenUp !== true;
    if (isMain) this.#outcome = "asleep";
    await this.#rest();
  }

  async #rest(sleepers = this.#sleepers): Promise<void> {
    const step = current.getStore() ?? new Step();
    const woken = new Promise<void>((resolve) => sleepers.push({ step, wake: resolve }));
    this.#change();
    await woken;
  }

  #ports(): Ports {
    const world = this.#world;
    return {
      ledger: faultyLedger(world.ledger, this, world),
      store: new FaultyStore(world.store, this),
      openStore: () => {
        throw new Error("there is no other store");
      },
      // Every second step runs on a machine whose clock differs.
      runtime: world.runtime(this.#steps.length % 2 === 0 ? world.setup.clockSkew : 0),
    };
  }
}
