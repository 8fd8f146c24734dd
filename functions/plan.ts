import { MetricUnit } from "@aws-lambda-powertools/metrics";
import { SFNClient } from "@aws-sdk/client-sfn";
import { METRIC } from "../shared/aws/names.ts";
import { requestLimits } from "../shared/aws/request-limits.ts";
import {
  type Done,
  type ExecutionInput,
  type PlanEvent,
  type Planned,
  type Route,
  type StageEvent,
  WHY_DONE,
  type Work,
  type Written,
} from "../shared/aws/state.ts";
import { MillraceError } from "../shared/contract/errors.ts";
import type { JsonValue } from "../shared/contract/json.ts";
import { optional } from "../shared/contract/optional.ts";
import type { TriggerKind } from "../shared/contract/trigger.ts";
import { todoKey, writeTodo } from "../shared/engine/partitions-file.ts";
import {
  type PlannedBatch,
  type PlanRequest,
  type PlanResult,
  type Prepared,
  plan,
} from "../shared/engine/plan.ts";
import { type PlannedStage, planStage } from "../shared/engine/plan-stage.ts";
import type { Ports } from "../shared/engine/ports/runtime.ts";
import { next, type RunOutcome } from "../shared/engine/run/next.ts";
import { askPolicy, limitOf, policyOf, type RunPolicy } from "../shared/engine/run/policy.ts";
import { checkBeforePlanning, identityOf } from "../shared/engine/sessions/open-sessions.ts";
import { hasEnded } from "../shared/platform/aws/executions.ts";
import { digestOfBundle } from "./bundle-digest.ts";
import { logger, metrics, prefixOf, settings } from "./environment.ts";
import { eventsAfterExchange, runsInline } from "./history.ts";
import { lambdaHandler, type Opened } from "./lambda-handler.ts";
import { triggerOfExecution } from "./trigger.ts";

/**
 * Maximum number of tasks in a batch, with and without a Distributed Map. It is lower without one,
 * because the state then contains the numbers of all tasks.
 */
const MAX_TASKS = 100_000;
const MAX_INLINE_TASKS = 10_000;
/** Step Functions limits the state to 256 KiB, of which the target is one part. */
const MAX_TARGET_CHARACTERS = 16 * 1024;

const stepFunctions = new SFNClient({ requestHandler: requestLimits() });
/** The digest of the code that plans, which the batch records. */
const code = digestOfBundle(import.meta.url);

/**
 * Acquires the pipeline's lease, and records the next batch or resumes the open one. After tasks
 * have exchanged their rows, plans the next stage of the batch.
 */
export const handler = lambdaHandler(
  "plan",
  async (event: PlanEvent | StageEvent, opened: Opened): Promise<Planned> =>
    "exchanged" in event ? await nextStage(event.exchanged, opened) : await nextBatch(event, opened),
);

async function nextBatch(event: PlanEvent, opened: Opened): Promise<Planned> {
  const asked = knownInput(event.input);
  const trigger = triggerOfExecution(asked.trigger, settings.trigger, opened.sessions.pipeline);
  // The trigger `processingTime` is not passed on, because later steps read it from the pipeline.
  const input = { ...asked, trigger: trigger === "processingTime" ? undefined : trigger };
  const execution = new Execution(event, opened, trigger);
  const planned = await execution.plan(input.target);
  if (planned === undefined) return done(WHY_DONE.refused);
  const isPausedByBatch = planned.kind === "paused" && planned.paused.batchId !== undefined;
  metrics.addMetric(METRIC.pipelinePaused, MetricUnit.Count, isPausedByBatch ? 1 : 0);
  if (planned.kind === "batch") return await execution.work(planned, input);
  const { ledger, runtime } = opened.ports;
  await ledger.release(planned.fence, planned.kind === "idle" ? { idleAt: runtime.now() } : {});
  if (planned.kind === "idle") metrics.addMetric(METRIC.progress, MetricUnit.Count, 1);
  return done(WHY_DONE[planned.kind]);
}

/** If a task did not exchange its rows, there is no next stage: Finalize ends the attempt. */
async function nextStage(work: Written, { sessions, ports }: Opened): Promise<Work> {
  const { failed = 0, killed = null, run } = work;
  logger.appendKeys({ batchId: run.batchId, attempt: run.attempt });
  const events = eventsAfterExchange(work.input.events ?? 0, work.todo.length);
  const after = { ...work, input: { ...work.input, events } };
  if (failed > 0 || killed !== null) return { ...after, next: "Finalize", todo: [], items: null };
  const planned = await planStage(sessions, ports, run);
  const route = await routeOf(ports, planned, events);
  const { batch, todo } = planned;
  logger.info("exchanged", { partitions: batch.tasks, todo: todo.length, next: route.next });
  return { ...after, ...route, run: planned.run };
}

/** The plan step of one execution of the state machine. */
class Execution {
  readonly #event: PlanEvent;
  readonly #opened: Opened;
  readonly #trigger: TriggerKind;
  /** The policy until `#prepare` has asked the source for the final one. */
  #policy: RunPolicy;

  constructor(event: PlanEvent, opened: Opened, trigger: TriggerKind) {
    this.#event = event;
    this.#opened = opened;
    this.#trigger = trigger;
    this.#policy = policyOf(trigger, { isBounded: false });
  }

  /**
   * Plans a batch. `target` is the end that the reader fixed earlier in the run. Returns
   * `undefined` if another run holds the lease.
   */
  async plan(target: JsonValue | undefined): Promise<PlanResult | undefined> {
    const { id } = this.#event.execution;
    const { sessions, ports } = this.#opened;
    try {
      const request: PlanRequest = {
        owner: { id, description: `execution ${id}` },
        leaseMilliseconds: settings.leaseMilliseconds,
        maxTasks: Number.isFinite(settings.distributeAbove) ? MAX_TASKS : MAX_INLINE_TASKS,
        prepare: () => this.#prepare(target),
        retriesQuarantine: this.#event.input?.retryQuarantine === true,
        hasEnded: (owner) => hasEnded(stepFunctions, owner),
        code,
      };
      return await plan(sessions, ports, request);
    } catch (error) {
      if (!MillraceError.is(error) || error.code !== "LEASE_HELD") throw error;
      logger.info(error.message);
      return undefined;
    }
  }

  async #prepare(target: JsonValue | undefined): Promise<Prepared> {
    const { sessions } = this.#opened;
    await checkBeforePlanning(sessions);
    this.#policy = await askPolicy(sessions.source, this.#trigger, { target });
    return { limit: limitOf(this.#policy), identity: await identityOf(sessions) };
  }

  /** Returns what the state machine does for a batch and after it. */
  async work(planned: PlannedBatch, input: ExecutionInput): Promise<Work> {
    const { ports, sessions } = this.#opened;
    const { run, batch } = planned;
    const goesOn = this.#policy.maxBatches === undefined;
    // If no batch follows this one, no target is needed, and no reader has to be created.
    const planner = goesOn ? await sessions.source.planner() : undefined;
    const target = await planner?.availableNowTarget(MAX_TARGET_CHARACTERS);
    const route = await routeOf(ports, planned, input.events ?? 0);
    log(planned, route.next);
    metrics.addMetric(METRIC.batchAge, MetricUnit.Milliseconds, ports.runtime.now() - batch.firstPlannedAt);
    return {
      ...route,
      run,
      committed: this.#plansAfter("committed") ? "Plan" : "Done",
      aborted: this.#plansAfter(batch.state === "aborting" ? "abortedBefore" : "aborted") ? "Plan" : "Failed",
      input: { ...input, ...optional("target", target) },
      execution: this.#event.execution,
    };
  }

  #plansAfter(outcome: RunOutcome): boolean {
    return next(this.#policy, outcome, { batches: 1, idle: 0 }) === "plan";
  }
}

function log({ batch, todo, resumed, latest, warning, loss }: PlannedBatch, step: Route["next"]): void {
  logger.info("planned", {
    batchId: batch.batchId,
    attempt: batch.attempt,
    partitions: batch.tasks,
    todo: todo.length,
    resumed,
    next: step,
    ...(latest === undefined ? {} : { end: batch.end, latest }),
  });
  if (warning !== undefined) logger.warn("the source may be mistaken", { problem: warning.toRecord() });
  if (loss !== undefined) logger.warn("files are gone, their rows come again", { problem: loss.toRecord() });
}

/**
 * Picks the known fields of an execution's input, so that other fields are not carried from state
 * to state.
 */
function knownInput(input: PlanEvent["input"]): ExecutionInput {
  const { trigger, reason, retryQuarantine, backfill, target, events } = input ?? {};
  return { trigger, reason, retryQuarantine, backfill, target, events };
}

/**
 * Decides how the tasks run: not at all, inline in this execution, whose history has so many
 * events, or distributed over child executions.
 */
async function routeOf(ports: Ports, { run, batch, todo }: PlannedStage, events: number): Promise<Route> {
  const isExchange = run.stage !== undefined;
  if (todo.length === 0) return { next: isExchange ? "PlanStage" : "Finalize", todo, items: null };
  if (runsInline(todo.length, settings.distributeAbove, events))
    return { next: isExchange ? "ExchangeInline" : "WriteInline", todo, items: null };
  // The Map gets numbers only: its items may have 256 KiB together with the run.
  const key = todoKey(batch.batchId, run.epoch, ports.runtime.newId());
  await writeTodo(ports.store, key, todo);
  const items = { bucket: settings.bucket, key: `${prefixOf(run.pipeline)}/${key}` };
  return { next: isExchange ? "ExchangeDistributed" : "WriteDistributed", todo: [], items };
}

function done(why: Done["why"]): Done {
  logger.info(why);
  return { next: "Done", why };
}
