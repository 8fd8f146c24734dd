/**
 * The faults that may happen at a call. `stop`: the whole run ends there, and no code of it runs
 * again. `die`: the step of the call ends, and the run retries it. `straggle`: the run abandons the
 * step and retries it, and the step continues later. `overtaken`: it continues as soon as the step
 * that replaced it has ended. `sleep`: the whole run stands still and continues after others have
 * worked. `twice`: the call is delivered twice.
 */
export const FAULTS = [
  "stop before",
  "stop after",
  "die before",
  "die after",
  "fail",
  "fail for good",
  "lost answer",
  "lost for good",
  "twice",
  "straggle before",
  "straggle after",
  "overtaken before",
  "overtaken after",
  "sleep before",
  "sleep after",
] as const;
export type FaultKind = (typeof FAULTS)[number];

/** A fault at a call. */
export interface Fault {
  /**
   * The index of the call among the calls of its run, or its name. `"sink.commit"` is the first
   * call with that name in the run, and `"sink.commit #2"` the second.
   */
  readonly at: number | string;
  readonly kind: FaultKind;
}

/** Returns the name of the n-th call with this name in a run, in the form of `Fault.at`. */
export function callName(name: string, time: number): string {
  return time === 1 ? name : `${name} #${time}`;
}
