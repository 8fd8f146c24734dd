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
