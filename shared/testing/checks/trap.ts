import type { ErrorCode } from "../../contract/error-codes.ts";

/** A check for a known mistake. `Ready` is the state of the subject that it requires. */
export interface Trap<Subject, Ready extends Subject = Subject> {
  /** The code of the main problem that it looks for. */
  readonly code: ErrorCode;
  /** Returns true if the subject is in the required state. */
  applies(subject: Subject): subject is Ready;
  /**
   * Runs the check and adds problems to the subject's findings. Returns false if the remaining
   * checks cannot run or would be misleading.
   */
  run(subject: Ready): Promise<boolean>;
}

/**
 * Runs the checks in order until one returns false. A check is skipped if it does not apply to the
 * subject's state.
 */
export async function runTraps<Subject>(traps: readonly Trap<Subject>[], subject: Subject): Promise<void> {
  for (const trap of traps) if (trap.applies(subject) && !(await trap.run(subject))) return;
}

/** The `applies` of a check that requires no state. */
export function always<Subject>(subject: Subject): subject is Subject {
  return subject !== undefined;
}
