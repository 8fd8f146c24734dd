/**
 * The faults that can happen at a call. `stop`: the whole run ends at the call, like a killed
 * process. `die`: the step of the call ends, and the run retries the step. `straggle`: the run
 * gives the step up and retries it, and the old step continues later. `overtaken`: like `straggle`,
 * but the old step continues as soon as the new step has ended. `sleep`: the whole run stops and
 * continues after other runs have worked. `twice`: the call is made twice.
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
   * The call at which the fault happens, by its index among the calls of its run or by its name.
   * `"sink.commit"` is the first call with this name in the run, and `"sink.commit #2"` is the
   * second.
   */
  readonly at: number | string;
  readonly kind: FaultKind;
}

/**
 * Returns the name of a call in the form of `Fault.at`. `time` is 1 for the first call with this
 * name.
 */
export function callName(name: string, time: number): string {
  return time === 1 ? name : `${name} #${time}`;
}
