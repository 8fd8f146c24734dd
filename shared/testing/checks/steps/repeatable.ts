import { setTimeout } from "node:timers/promises";
import { always, type Trap } from "../trap.ts";
import { differenceOf, madeBy, type StepsSubject, textsOf } from "./subject.ts";

/** Long enough for a step that follows the clock to see another millisecond. */
const PAUSE_MILLISECONDS = 15;

/** Makes the same rows twice. */
export const REPEATABLE: Trap<StepsSubject> = {
  code: "STEP_NOT_REPEATABLE",
  applies: always,
  async run(subject) {
    const { steps, batch, findings } = subject;
    const before = textsOf(batch);
    const isMade = await findings.check("run the steps", async () => {
      subject.made = await madeBy(steps, [batch]);
    });
    if (!isMade) return false;
    const changed = differenceOf(before, textsOf(batch));
    if (changed !== undefined) {
      findings.add({
        code: "STEP_CHANGES_INPUT",
        message: `the steps changed the record batch that they were given: ${changed}`,
        hint: "Build new columns: the batch may be read again, or belong to the source.",
      });
      return false;
    }
    await setTimeout(PAUSE_MILLISECONDS);
    await findings.check("run the steps a second time", async () => {
      const difference = differenceOf(subject.made ?? [], await madeBy(steps, [batch]));
      if (difference === undefined) return;
      findings.add({
        code: "STEP_NOT_REPEATABLE",
        message: `the steps made other rows of the same rows the second time: ${difference}`,
        hint: "A task that fails runs again, and must write the same rows: no clock, no chance, no counter that outlives a row. Let the source say the time.",
      });
    });
    return true;
  },
};
