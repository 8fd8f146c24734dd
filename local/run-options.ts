import type { Pipeline } from "../shared/contract/pipeline.ts";
import type { StallPolicy } from "../shared/contract/pipeline-definition.ts";
import type { Trigger } from "../shared/contract/trigger.ts";
import type { RunEvent } from "../shared/engine/ports/run-events.ts";
import type { Home } from "./home.ts";
import type { SpeculationPolicy } from "./speculation.ts";

/** Options of a local run. */
export interface RunOptions {
  readonly pipeline: Pipeline;
  /** The file that exports the pipeline. Worker threads load it too. */
  readonly entry: string;
  readonly home: Home;
  readonly trigger: Trigger;
  readonly maxConcurrency: number;
  /** Maximum number of attempts for one task. */
  readonly maxAttempts: number;
  /** When a partition counts as stalled. Overrides the pipeline's own settings. */
  readonly stall?: Partial<StallPolicy>;
  /**
   * When a slow task gets a second attempt beside the first, of which the first to finish counts.
   * `{}` uses the defaults of Spark. Absent if no task gets one.
   */
  readonly speculation?: Partial<SpeculationPolicy>;
  /** True for a run that sends the quarantined rows again, in one batch. */
  readonly retriesQuarantine?: boolean;
  /**
   * Interrupts the run. Running tasks stop and drop what they staged; finished tasks are kept for
   * the next run. A commit that has started is completed.
   */
  readonly signal: AbortSignal;
  /**
   * Aborts when the run must fail at once, because the user's code failed outside of any call. The
   * reason is the error. The batch stays open, as after a kill.
   */
  readonly crash?: AbortSignal;
  onEvent(event: RunEvent): void;
}
