import { describe, expect, it } from "vitest";
import { eventsAfterBatch, eventsAfterExchange, MAX_EVENTS, runsInline } from "../../functions/history.ts";

/** Step Functions ends a Standard execution whose history is longer. */
const QUOTA = 25_000;
/** The greatest `distributeAbove` of the construct. */
const MOST_INLINE = 1000;

/** Returns how many of the tasks add to the history. */
const inline = (tasks: number, events: number) => (runsInline(tasks, MOST_INLINE, events) ? tasks : 0);

describe("the history of an execution", () => {
  it.each([0, 1, 2, 5])(
    "The history of an execution stays below its quota if batches have %s exchanges of as many tasks as run inline",
    (exchanges) => {
      let events = 0;
      let batches = 0;
      while (events <= MAX_EVENTS) {
        for (let i = 0; i < exchanges; i++) events = eventsAfterExchange(events, inline(MOST_INLINE, events));
        events = eventsAfterBatch(events, inline(MOST_INLINE, events));
        batches++;
      }
      // The rest is for retries.
      expect(events).toBeLessThan(QUOTA - 1500);
      expect(batches).toBeGreaterThanOrEqual(1);
    },
  );

  it("Tasks after an exchange run in child executions if the history has no room for them", () => {
    expect(runsInline(1000, 1000, MAX_EVENTS)).toBe(true);
    expect(runsInline(1001, 1000, 0)).toBe(false);
    expect(runsInline(1000, 1000, MAX_EVENTS + 1)).toBe(false);
  });

  it("All tasks of an Express workflow run in it, which keeps no history", () => {
    expect(runsInline(10_000, Number.POSITIVE_INFINITY, 1_000_000)).toBe(true);
  });
});
