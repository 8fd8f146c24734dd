/**
 * States of a batch attempt. The decision is recorded first, then the sink is called, then the
 * offset moves.
 */
export type BatchState = "planned" | "committing" | "committed" | "aborting" | "aborted";

/**
 * The states that can follow each state within an attempt. The next attempt of an aborted batch
 * starts as `planned` again.
 */
export const TRANSITIONS: Readonly<Record<BatchState, readonly BatchState[]>> = {
  planned: ["committing", "aborting"],
  committing: ["committed", "aborting"],
  aborting: ["aborted"],
  aborted: [],
  committed: [],
};

/** Returns the states from which `to` can be reached. */
export function statesBefore(to: BatchState): readonly BatchState[] {
  return (Object.keys(TRANSITIONS) as BatchState[]).filter((from) => TRANSITIONS[from].includes(to));
}
