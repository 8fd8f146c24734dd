import type { Pipeline, StallPolicy, Trigger } from "../shared/contract/pipeline.ts";
import type { RunEvent } from "../shared/engine/ports/run-events.ts";
import type { Home } from "./home.ts";

/** What a run here is to do. */
export interface RunOptions {
  readonly pipeline: Pipeline;
  /** The file that exports the pipeline: worker threads load it too. */
  readonly entry: string;
  readonly home: Home;
  readonly trigger: Trigger;
  readonly maxConcurrency: number;
  /** Attempts of one task at most. */
  readonly maxAttempts: number;
  /** When a partition counts as stalled, over what the pipeline says. */
  readonly stall?: Partial<StallPolicy>;
  /** Interrupts the run: tasks stop and drop what they staged, finished ones stay for the next run. A commit goes on to its end. */
  readonly signal: AbortSignal;
  onEvent(event: RunEvent): void;
}
