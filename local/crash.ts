import type { RunSteps } from "../shared/engine/run/loop.ts";
import { unlessCrashed } from "../shared/engine/run/process-guard.ts";

/** Returns the same steps, which reject when `crash` aborts. */
export function stepsUnlessCrashed(crash: AbortSignal, steps: RunSteps): RunSteps {
  return {
    prepare: () => unlessCrashed(crash, steps.prepare()),
    plan: (policy) => unlessCrashed(crash, steps.plan(policy)),
    write: (planned) => unlessCrashed(crash, steps.write(planned)),
    planStage: (planned) => unlessCrashed(crash, steps.planStage(planned)),
    finalize: (planned, failure) => unlessCrashed(crash, steps.finalize(planned, failure)),
    recover: () => unlessCrashed(crash, steps.recover?.() ?? Promise.resolve()),
  };
}
