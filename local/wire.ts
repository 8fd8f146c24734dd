import type { MessagePort } from "node:worker_threads";
import { causeOf, type ErrorParts, MillraceError, partsOf } from "../shared/contract/errors.ts";
import type { StallPolicy } from "../shared/contract/pipeline-definition.ts";
import type { StalledTask } from "../shared/engine/ports/run-events.ts";
import type { TaskProgress, TaskResult, WriteRequest } from "../shared/engine/write/task-request.ts";
import type { CodeSnapshot } from "./code.ts";

/** The data with which every worker thread starts. */
export interface WorkerSetup {
  readonly entry: string;
  readonly home: string;
  readonly pipeline: string;
  /** The schema that the main thread determined, so that all tasks use the same one. */
  readonly schema: string;
  /** Settings that override the pipeline's own stall policy. */
  readonly stall: Partial<StallPolicy>;
  /** The pipeline's code, as the main thread has loaded it. */
  readonly code: CodeSnapshot;
  /** The folder for code that a thread loads later. */
  readonly codeFolder: string;
}

export interface TaskCall {
  readonly request: WriteRequest;
  /** Sends `stop` to the task and its progress back. */
  readonly port: MessagePort;
}

export type TaskAnswer = { readonly result: TaskResult } | { readonly error: ErrorOnWire };
export type ToTask = "stop";
export type FromTask =
  | { readonly progress: TaskProgress }
  | { readonly stalled: StalledTask }
  /** Why the thread is about to end. */
  | { readonly uncaught: ErrorOnWire };

/** The data of a `MillraceError`. Messages between threads are cloned, which loses the class. */
export interface ErrorOnWire extends ErrorParts {
  /** The stack of the first cause, which shows where the user's code failed. */
  readonly cause: string | undefined;
}

export function toWire(error: MillraceError): ErrorOnWire {
  return { ...partsOf(error), cause: causeOf(error), also: error.toRecord().also };
}

export function fromWire(wire: ErrorOnWire): MillraceError {
  return MillraceError.from(wire);
}
