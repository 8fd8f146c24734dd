import { type ErrorLocation, MillraceError } from "../contract/errors.ts";
import { optional } from "../contract/optional.ts";
import type { PlanHeader } from "./partitions-format.ts";
import type { Batch, BatchRun } from "./ports/ledger.ts";
import { stageOf } from "./ports/stages.ts";
import type { PlannedStages } from "./sessions/sink-write.ts";

/** Returns what the tasks of the batch's current stage get. */
export function runOfStage({ stage: _before, ...run }: BatchRun, batch: Batch): BatchRun {
  const { partitionsKey, write } = batch;
  return { ...run, ...stageOf(batch), partitionsKey, ...optional("write", write) };
}

/**
 * Checks that no exchange leads to more tasks than a batch may have, before it is recorded. Throws
 * `TOO_MANY_PARTITIONS`.
 */
export function checkExchanges({ exchanges }: PlannedStages, maxTasks: number, where: ErrorLocation): void {
  const most = Math.max(0, ...exchanges.map(({ spec }) => spec.buckets));
  if (most <= maxTasks) return;
  throw new MillraceError(
    "TOO_MANY_PARTITIONS",
    `an exchange would have ${most} tasks; a batch can have ${maxTasks} here`,
    { where, hint: "Ask for fewer partitions: requiredNumPartitions() of the write, or repartition()." },
  );
}

/** Returns what the plan of the first stage says about the stages. */
export function plannedStages(
  { exchanges, ordering, isTransformed }: PlannedStages,
  inputPartitions: number,
  plannedAt: number,
): Pick<PlanHeader, "exchange" | "ordering"> {
  const specs = exchanges.map(({ spec }) => spec);
  if (specs.length > 0)
    return { exchange: { stage: 0, inputPartitions, plannedAt, specs, isTransformed, ordering } };
  return ordering.length === 0 ? {} : { ordering };
}

/** Returns what the ledger records about the exchanges of an attempt. */
export function exchangesOf(
  { exchanges }: PlannedStages,
  inputKey: string,
  inputPartitions: number,
): Pick<Batch, "exchanges"> {
  if (exchanges.length === 0) return {};
  const inputTasks = Math.max(1, inputPartitions);
  return { exchanges: { count: exchanges.length, done: 0, inputKey, inputTasks } };
}
