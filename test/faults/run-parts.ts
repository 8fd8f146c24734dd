import { MillraceError } from "../../shared/contract/errors.ts";
import type { Fault } from "./kinds.ts";

export interface RunOptions {
  readonly faults?: readonly Fault[];
  /** If true, the run ignores the leases of all other runs, as if they had ended. */
  readonly takesOver?: boolean;
  /** Called before each call. An interleaved run waits here for its turn. */
  turn?(): Promise<void>;
  /** Kills the process of the run if it has one for itself, so that `stop` is a real kill. */
  kill?(): void;
}

/** How a run ended. */
export type Outcome = "idle" | "failed" | "stopped" | "asleep";

/** One attempt of a step, like a process for itself. */
export class Step {
  readonly givenUp: Promise<never>;
  /** Lets the run continue without this step. */
  giveUp: () => void = () => undefined;
  /** True if the step makes no further call. */
  isOver = false;
  isGivenUp = false;
  /** True if the ledger has told the step that its epoch is over. */
  isFenced = false;
  /** Epoch of the batch for which a task runs. */
  epoch: number | undefined;
  /** When the right of a task's attempt to commit ends, in the time of the world. */
  deadline = 0;

  constructor() {
    this.givenUp = new Promise((_, reject) => {
      this.giveUp = () => {
        this.isGivenUp = true;
        reject(new Error("the step was given up"));
      };
    });
    this.givenUp.catch(() => undefined);
  }
}

export interface Sleeper {
  readonly step: Step;
  wake(): void;
}

/** Makes a call of a step, and notes if the ledger refuses it because the epoch is over. */
export async function noticeFence<T>(step: Step | undefined, effect: () => Promise<T>): Promise<T> {
  try {
    return await effect();
  } catch (error) {
    if (step !== undefined && MillraceError.is(error) && error.code === "FENCED") step.isFenced = true;
    throw error;
  }
}

/** The error of a call that a fault meets. */
export function injected(message: string, retryable: boolean): MillraceError {
  return MillraceError.from({ code: "INJECTED", message, retryable });
}

/** Returns a promise that is never settled. */
export const never = <T>(): Promise<T> => new Promise<T>(() => undefined);
