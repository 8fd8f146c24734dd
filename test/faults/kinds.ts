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

/**
 * The faults of a call of the ledger or the store that fails now and takes effect later, before the
 * n-th call after it, of any run. Its error says that the call may be tried again, or not.
 */
export const LATE = ["late", "late for good"] as const;
export type LateKind = (typeof LATE)[number];

/**
 * The fault of a step that finds a file gone: one that a task staged for a batch whose commit was
 * not tried yet, or the batch's partitions or a message.
 */
export const FILE_LOST = "file lost";
export type FaultKind = (typeof FAULTS)[number] | LateKind | typeof FILE_LOST;

/** A fault at a call. */
export interface Fault {
  /**
   * The call at which the fault happens, by its index among the calls of its run or by its name.
   * `"sink.commit"` is the first call with this name in the run, and `"sink.commit #2"` is the
   * second.
   */
  readonly at: number | string;
  readonly kind: FaultKind;
  /** For a late call: it takes effect before the `after`-th call from then on. Default: 1. */
  readonly after?: number;
  /** For a lost file: its number among those that can be lost. Default: 0. */
  readonly file?: number;
}

export function isLate(kind: FaultKind): kind is LateKind {
  return kind === "late" || kind === "late for good";
}

/** True if this kind of fault can happen at a call with this name. */
export function canHappen(kind: FaultKind, name: string): boolean {
  if (kind === FILE_LOST) return name === "step plan" || name === "step finalize";
  return !isLate(kind) || canBeLate(name);
}

/** True if a call with this name can be late: only the ledger and the store have late calls. */
export function canBeLate(name: string): boolean {
  return name.startsWith("ledger.") || name.startsWith("store.");
}

/**
 * Returns the name of a call in the form of `Fault.at`. `time` is 1 for the first call with this
 * name.
 */
export function callName(name: string, time: number): string {
  return time === 1 ? name : `${name} #${time}`;
}

/** The calls after which nothing can be undone. */
export const FINAL_CALLS: ReadonlySet<string> = new Set(["sink.commit", "source.commit"]);
