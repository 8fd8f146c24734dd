import { AsyncLocalStorage } from "node:async_hooks";
import type { Args, Call } from "../trace.ts";

/** Who calls the table: the driver of a statement, or one attempt of a task. */
export interface Caller {
  readonly calls: Call[];
  /** Number of the attempt, if a task calls. */
  readonly attempt?: number;
  /** Aborts when the task must stop. */
  readonly signal?: AbortSignal;
}

const callers = new AsyncLocalStorage<Caller>();

/** Runs the body so that all its calls, also late ones, are logged for the caller. */
export function callingAs<T>(caller: Caller, body: () => Promise<T>): Promise<T> {
  return callers.run(caller, body);
}

export function callerNow(): Caller {
  const caller = callers.getStore();
  if (caller === undefined) throw new Error("a table was called outside of a statement");
  return caller;
}

export function log(call: string, args: Args = {}): void {
  callerNow().calls.push({ call, args });
}
