/**
 * An execution of a Standard workflow may have at most 25,000 history events. The rest is reserved
 * for retries, and for the tasks of one more inline Map.
 */
export const MAX_EVENTS = 15_000;

/** Events of one inline task without retries. */
const EVENTS_PER_TASK = 8;
/** Events of the other states of a batch, and of those that an exchange adds. */
const EVENTS_PER_BATCH = 40;
const EVENTS_PER_EXCHANGE = 20;

/** Returns the number of events after the last Map of a batch. */
export function eventsAfterBatch(before: number, inlineTasks: number): number {
  return before + EVENTS_PER_BATCH + EVENTS_PER_TASK * inlineTasks;
}

/** Returns the number of events after a Map whose tasks exchanged rows. */
export function eventsAfterExchange(before: number, inlineTasks: number): number {
  return before + EVENTS_PER_EXCHANGE + EVENTS_PER_TASK * inlineTasks;
}

/**
 * True if so many tasks run in an inline Map: they are few, and the history has room for them. An
 * Express workflow has no distributed Map, and no limit of its history.
 */
export function runsInline(tasks: number, distributeAbove: number, events: number): boolean {
  return tasks <= distributeAbove && (events <= MAX_EVENTS || distributeAbove === Number.POSITIVE_INFINITY);
}
