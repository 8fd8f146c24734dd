import type { Ledger } from "./ports/ledger.ts";
import type { Task, TaskKey } from "./ports/tasks.ts";

/** An attempt of a batch, and its plan. Batches of older versions have no plan id. */
export type PlannedAttempt = Omit<TaskKey, "partition"> & { readonly planId?: string };

/**
 * Returns the recorded tasks of an attempt. A record of another plan does not count: if the ledger
 * is put back to an older copy while a run is at work, that run may still record its tasks, and the
 * next run plans a batch of the same id and attempt whose partitions are cut in another way.
 */
export async function tasksOfPlan(ledger: Ledger, attempt: PlannedAttempt): Promise<readonly Task[]> {
  return (await ledger.tasks(attempt)).filter((task) => isOfPlan(task, attempt));
}

/** True if the task is of this plan, as far as is known. Older versions recorded no plan. */
export function isOfPlan(task: Task, { planId }: Pick<PlannedAttempt, "planId">): boolean {
  return task.planId === undefined || planId === undefined || task.planId === planId;
}
