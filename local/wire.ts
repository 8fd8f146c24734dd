import type { MessagePort } from "node:worker_threads";
import { causeOf, type ErrorParts, MillraceError, partsOf } from "../shared/contract/errors.ts";
import type { StallPolicy } from "../shared/contract/pipeline.ts";
import type { StalledTask } from "../shared/engine/ports/run-events.ts";
import type { TaskProgress, TaskResult, WriteRequest } from "../shared/engine/write/task.ts";

/** What every worker thread is started with. */
export interface WorkerSetup {
  readonly entry: string;
  readonly home: string;
  readonly pipeline: string;
  /** The schema as the main thread resolved it, so that all tasks have the same one. */
  readonly schema: string;
  /** Over what the pipeline says. */
  readonly stall: Partial<StallPolicy>;
}

export interface TaskCall {
  readonly request: WriteRequest;
  /** Takes `stop` to the task, and its progress back. */
  readonly port: MessagePort;
}

export type TaskAnswer = { readonly result: TaskResult } | { readonly error: ErrorOnWire };
export type ToTask = "stop";
export type FromTask = { readonly progress: TaskProgress } | { readonly stalled: StalledTask };

/** A MillraceError as a structured clone; the class would be lost between threads. */
export interface ErrorOnWire extends ErrorParts {
  /** Stack of the first cause, which is where the user's code failed. */
  readonly cause: string | undefined;
}

export function toWire(error: MillraceError): ErrorOnWire {
  return { ...partsOf(error), cause: causeOf(error) };
}

export function fromWire(wire: ErrorOnWire): MillraceError {
  return MillraceError.from(wire);
}
