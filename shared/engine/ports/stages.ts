import type { Batch, BatchRun } from "./ledger.ts";

/**
 * True if the tasks of the attempt still have to exchange rows, so that none of them has written.
 */
export function isBeforeWrite({ exchanges }: Pick<Batch, "exchanges">): boolean {
  return exchanges !== undefined && exchanges.done < exchanges.count;
}

/**
 * Returns the stage that runs, if tasks exchange rows. None does in an attempt that is decided: it
 * is aborted, or an earlier attempt has landed.
 */
export function stageOf(batch: Pick<Batch, "exchanges" | "state">): Pick<BatchRun, "stage"> {
  const { exchanges, state } = batch;
  return state === "planned" && isBeforeWrite(batch) ? { stage: exchanges?.done ?? 0 } : {};
}

/** Returns the key of the tasks of the stage that runs; of those that write, if none does. */
export function stageTasksOf(batch: Batch): Batch & Pick<BatchRun, "stage"> {
  return { ...batch, ...stageOf(batch) };
}
