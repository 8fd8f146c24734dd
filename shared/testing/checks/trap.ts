import type { ErrorCode } from "../../contract/error-codes.ts";

/** One thing that a check tries. `Ready` is what has to be known of the subject before. */
export interface Trap<Subject, Ready extends Subject = Subject> {
  /** The problem that it looks for first. */
  readonly code: ErrorCode;
  /** True if it can be tried, with what is known by now. */
  applies(subject: Subject): subject is Ready;
  /** Tells the subject's findings. False if what follows cannot be tried, or would only confuse. */
  run(subject: Ready): Promise<boolean>;
}

/** Tries them in order. */
export async function runTraps<Subject>(traps: readonly Trap<Subject>[], subject: Subject): Promise<void> {
  for (const trap of traps) if (trap.applies(subject) && !(await trap.run(subject))) return;
}

/** For a trap that needs nothing to be known. */
export function always<Subject>(subject: Subject): subject is Subject {
  return subject !== undefined;
}
