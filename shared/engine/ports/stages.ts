import type { Batch, BatchRun } from "./ledger.ts";

/** Returns the stage that runs, if the tasks of the batch still exchange rows. */
export function stageOf({ exchanges }: Pick<Batch, "exchanges">): Pick<BatchRun, "stage"> {
  return exchanges === undefined || exchanges.done === exchanges.count ? {} : { stage: exchanges.done };
}
