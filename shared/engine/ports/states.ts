/**
 * States of a batch attempt. A decision comes first, then the sink is called, then the offset
 * moves.
 */
export type BatchState = "planned" | "committing" | "committed" | "aborting" | "aborted";

/**
 * What may follow each state within an attempt. The next attempt of an aborted batch begins as
 * `planned` again.
 */
export const TRANSITIONS: Readonly<Record<BatchState, readonly BatchState[]>> = {
  planned: ["committing", "aborting"],
  committing: ["committed", "aborting"],
  aborting: ["aborted"],
  aborted: [],
  committed: [],
};

/** The states from which `to` may be reached. */
export function statesBefore(to: BatchState): readonly BatchState[] {
  return (Object.keys(TRANSITIONS) as BatchState[]).filter((from) => TRANSITIONS[from].includes(to));
}
