import { MetricUnit } from "@aws-lambda-powertools/metrics";
import { SFNClient } from "@aws-sdk/client-sfn";
import { METRIC } from "../shared/aws/names.ts";
import {
  type Done,
  type ExecutionInput,
  type PlanEvent,
  type Planned,
  type Route,
  WHY_DONE,
} from "../shared/aws/state.ts";
import { MillraceError } from "../shared/contract/errors.ts";
import { todoKey, writeTodo } from "../shared/engine/partitions-file.ts";
import { limitOf, type PlanResult, plan } from "../shared/engine/plan.ts";
import type { Ports } from "../shared/engine/ports/runtime.ts";
import { hasEnded } from "../shared/platform/aws/executions.ts";
import { logger, metrics, settings } from "./environment.ts";
import { type Opened, step } from "./step.ts";
import { triggerOf } from "./trigger.ts";

/** The results of so many tasks fit into the state, and their numbers into that of an Express workflow. */
const MAX_TASKS = 100_000;
const MAX_INLINE_TASKS = 10_000;

const stepFunctions = new SFNClient({});

/** Takes the pipeline and records the next batch, or picks up the one that is open. */
export const handler = step("plan", async (event: PlanEvent, opened: Opened): Promise<Planned> => {
  const { open, ports } = opened;
  const asked = readInput(event.input);
  const trigger = triggerOf(asked.trigger, settings.trigger, opened.pipeline);
  // An interval is the pipeline's own, so that whatever plans next in this run finds it again.
  const input = { ...asked, trigger: trigger === "processingTime" ? undefined : trigger };
  let isBounded = false as boolean;
  let planned: PlanResult;
  try {
    planned = await plan(open, ports, {
      owner: { id: event.execution.id, description: `execution ${event.execution.id}` },
      leaseMilliseconds: settings.leaseMilliseconds,
      maxTasks: Number.isFinite(settings.distributeAbove) ? MAX_TASKS : MAX_INLINE_TASKS,
      prepare: async () => {
        // A sink that cannot use its options is told before anything is planned.
        await open.newWriter(await open.schema());
        if (trigger === "availableNow") isBounded = await open.prepareForTriggerAvailableNow(input.target);
        return limitOf(trigger, isBounded);
      },
      hasEnded: (owner) => hasEnded(stepFunctions, owner),
    });
  } catch (error) {
    if (!MillraceError.is(error) || error.code !== "LEASE_HELD") throw error;
    logger.info(error.message);
    return done(WHY_DONE.refused);
  }
  if (planned.kind !== "batch") {
    await ports.ledger.release(planned.fence);
    if (planned.kind === "idle") metrics.addMetric(METRIC.progress, MetricUnit.Count, 1);
    return done(WHY_DONE[planned.kind]);
  }
  const target = isBounded ? await open.availableNowTarget() : undefined;
  const work = await workOf(ports, planned);
  const { batch } = planned;
  logger.info("planned", {
    batchId: batch.batchId,
    attempt: batch.attempt,
    partitions: batch.tasks,
    todo: planned.todo.length,
    resumed: planned.resumed,
    next: work.next,
    ...(planned.latest === undefined ? {} : { end: batch.end, latest: planned.latest }),
  });
  if (planned.warning !== undefined)
    logger.warn("the source may be mistaken", { problem: planned.warning.toRecord() });
  metrics.addMetric(METRIC.batchAge, MetricUnit.Milliseconds, ports.runtime.now() - batch.firstPlannedAt);
  return {
    ...work,
    run: planned.run,
    committed: isBounded ? "Plan" : "Done",
    // An earlier run decided to abort and got no further: the batch is free to be replayed at once.
    aborted: batch.state === "aborting" ? "Plan" : "Failed",
    input: { ...input, ...(target === undefined ? {} : { target }) },
    execution: event.execution,
  };
});

/** What is known of the input of an execution: whatever else somebody gave must not be carried from state to state. */
function readInput(input: PlanEvent["input"]): ExecutionInput {
  const { trigger, reason, target, events } = input ?? {};
  return { trigger, reason, target, events };
}

/** How the tasks are run: none, here, or distributed over executions of their own. */
async function workOf(ports: Ports, planned: Extract<PlanResult, { kind: "batch" }>): Promise<Route> {
  const { run, batch, todo } = planned;
  if (todo.length === 0) return { next: "Finalize", todo, items: null };
  if (todo.length <= settings.distributeAbove) return { next: "WriteInline", todo, items: null };
  let key = batch.partitionsKey;
  if (todo.length < batch.tasks) {
    key = todoKey(batch.batchId, run.epoch, ports.runtime.newId());
    await writeTodo(ports.store, key, todo);
  }
  const items = { bucket: settings.bucket, key: `${settings.prefix}/${key}` };
  return { next: "WriteDistributed", todo: [], items };
}

function done(why: Done["why"]): Done {
  logger.info(why);
  return { next: "Done", why };
}
