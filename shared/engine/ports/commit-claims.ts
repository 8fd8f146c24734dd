import { ABSENT, atMost, type Change, equal } from "./compare-and-set.ts";
import type { CommitAuthorization, CommitClaim, Task } from "./tasks.ts";

/**
 * What the ledger has under the key of a task: its record, or the claim of the attempt that may
 * commit. It never has both, because a record removes the claim.
 */
export interface TaskSlot {
  readonly task?: Task;
  readonly claim?: CommitClaim;
}

/** The fields of a slot that a step can compare. */
export interface TaskSlotFields extends TaskSlot {
  readonly "claim.writerId": string;
  readonly "claim.epoch": number;
  readonly "claim.expiresAt": number;
}

/** A compare-and-set of a slot. */
export type TaskSlotChange = Change<TaskSlot, TaskSlotFields>;

/**
 * Lets an attempt commit, unless the task is recorded or another attempt of this run or a later one
 * may commit. An attempt that asks again is authorized again, because the answer to its first call
 * may have been lost.
 */
export function authorized(claim: CommitClaim, now: number): TaskSlotChange {
  return {
    where: [
      { task: ABSENT, claim: ABSENT },
      { task: ABSENT, "claim.expiresAt": atMost(now) },
      { task: ABSENT, "claim.epoch": atMost(claim.epoch - 1) },
      { task: ABSENT, "claim.writerId": equal(claim.writerId) },
    ],
    set: { claim },
  };
}

/** The answer to an attempt that may not commit, or that may if the slot is its own now. */
export function authorizationOf(isGranted: boolean, { task, claim }: TaskSlot): CommitAuthorization {
  if (isGranted) return { granted: true };
  if (task !== undefined) return { granted: false, task };
  // Without a record, only a claim can refuse another one.
  return { granted: false, holder: claim as CommitClaim };
}

/** Records a task, unless one is recorded. Whichever attempt may commit, the first record stays. */
export function taskRecorded(task: Task): TaskSlotChange {
  return { where: [{ task: ABSENT }], set: { task, claim: undefined } };
}

/** Removes the claim of an attempt that will not record its task. Another one may commit then. */
export function claimReleased(writerId: string): TaskSlotChange {
  return { where: [{ task: ABSENT, "claim.writerId": equal(writerId) }], set: { claim: undefined } };
}
