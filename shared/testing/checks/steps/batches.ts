import type { Trap } from "../trap.ts";
import { areTried, differenceOf, madeBy, type StepsSubject, type TriedSteps } from "./subject.ts";

/** Makes the rows of record batches that are cut in other places. */
export const BATCHES: Trap<StepsSubject, TriedSteps> = {
  code: "STEP_DEPENDS_ON_BATCHES",
  applies: areTried,
  async run({ steps, batch, findings, made }) {
    await findings.check("run the steps on single rows", async () => {
      const single = Array.from({ length: batch.numRows }, (_, row) => batch.slice(row, row + 1));
      const difference = differenceOf(made, await madeBy(steps, single));
      if (difference === undefined) return;
      findings.add({
        code: "STEP_DEPENDS_ON_BATCHES",
        message: `the steps made other rows when the record batches were cut in other places: ${difference}`,
        hint: "Make each row of one row: where a source's rows are cut into record batches may differ when a task runs again.",
      });
    });
    return true;
  },
};
