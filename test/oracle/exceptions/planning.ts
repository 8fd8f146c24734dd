import type { JsonValue } from "../../../shared/contract/json.ts";
import { type Args, type Call, type Checkpoint, type Run, sameJson } from "../trace.ts";
import { changeEach, isCall, isFaultAt, type Rewrite, rangeOf, removeCalls, sameRange } from "./rewrite.ts";

/**
 * Exceptions about the planning calls of the source: their arguments, their number and their order.
 */

export const oneSignature: Rewrite = {
  id: "one-signature",
  reason:
    'Spark asks a reader whose `latestOffset` has no parameters, as of 4.0, before `initialOffset`, and begins a restart with `partitions(start, start)` to tell it where to go on (docs/spark-differences.md). In JavaScript a method without parameters is one that does not need them: an end that was asked before the start could lie before a start that is "now", and `start` is always handed over.',
  rewrite(runs) {
    let used = false;
    const isOld = (call: Call | undefined) =>
      isCall(call, "reader.latestOffset") && call?.args["no_args"] === true;
    for (const run of runs) {
      const { driver } = run;
      const isEmpty = (call: Call | undefined) =>
        isCall(call, "reader.partitions") && sameJson(call?.args["start"], call?.args["end"]);
      if (isEmpty(driver[0]) && isOld(driver[1])) {
        driver.shift();
        used = true;
      }
      const [end, start] = driver;
      if (start === undefined || end === undefined || !isOld(end) || !isCall(start, "reader.initialOffset"))
        continue;
      driver.splice(0, 2, start, end);
      used = true;
    }
    return used;
  },
};

/** Returns true if one of these calls asks for the partitions of this range. */
function hasPlanned(calls: readonly Call[], range: Args): boolean {
  return calls.some((call) => isCall(call, "reader.partitions") && sameRange(call.args, range));
}

/** Returns the driver's calls in all runs before the run at `index`. */
function callsBefore(runs: readonly Run[], index: number): readonly Call[] {
  return runs.slice(0, index).flatMap(({ driver }) => driver);
}

export const initialOffsetOnce: Rewrite = {
  id: "initial-offset-once",
  reason:
    'Spark asks `initialOffset` again when it runs batch 0, also when it replays it. Millrace asks once and records the start with the batch (docs/protocol.md, rule 2): a source whose start is "now" would answer differently.',
  rewrite(runs) {
    return changeEach(runs, (run, i) => {
      const earlier = callsBefore(runs, i);
      return removeCalls(run, (call, index, calls) => {
        const before = calls.slice(0, index);
        const hasEnd = before.some((other) => rangeOf(other) !== undefined || isCall(other, "simple.read"));
        if (isCall(call, "simple.initialOffset")) return hasEnd;
        if (!isCall(call, "reader.initialOffset")) return false;
        const next = calls[index + 1];
        if (isFaultAt(next, "partitions")) return hasEnd;
        const isKnown = hasEnd || hasPlanned([...earlier, ...before], next?.args ?? {});
        return isCall(next, "reader.partitions") && isKnown;
      });
    });
  },
};

export const planInOneStep: Rewrite = {
  id: "plan-in-one-step",
  reason:
    "Offsets are recorded together with the partitions (docs/protocol.md, rule 2), Spark's before them: where `partitions` fails nothing is planned, and the next run asks `latestOffset` again.",
  rewrite(runs) {
    let open: Call | undefined;
    return changeEach(runs, (run) => {
      const asked = askAgain(run.driver, open);
      const hasAsked = asked.driver.length > run.driver.length;
      run.driver = asked.driver;
      open = asked.open;
      const hasForgotten = open !== undefined && forgetOpen(run.checkpoint, rangeOf(open)?.["end"]);
      return hasAsked || hasForgotten;
    });
  },
};

/**
 * Repeats `latestOffset` in a run that plans a range that an earlier run did not plan completely.
 * `open` is the `latestOffset` whose partitions are still missing at the end.
 */
function askAgain(
  calls: readonly Call[],
  leftOpen: Call | undefined,
): { readonly driver: Call[]; readonly open: Call | undefined } {
  const driver: Call[] = [];
  let open = leftOpen;
  for (const call of calls) {
    if (rangeOf(call) !== undefined) open = call;
    const outcome = open && planOf(open, call);
    if (open !== undefined && outcome !== undefined && !driver.includes(open)) driver.push(open);
    driver.push(call);
    if (outcome === "planned") open = undefined;
  }
  return { driver, open };
}

/**
 * Tells whether a call plans the range of a `latestOffset` or fails to plan it. Returns `undefined`
 * for a call about something else.
 */
function planOf(latestOffset: Call, call: Call): "planned" | "failed" | undefined {
  const range = rangeOf(latestOffset) ?? {};
  if (isCall(call, "reader.partitions") && sameRange(call.args, range)) return "planned";
  // A fault has only the number of the start offset.
  const start = (range["start"] as Args | null)?.["n"];
  return isFaultAt(call, "partitions") && sameJson(start, call.args["start"]) ? "failed" : undefined;
}

/**
 * Removes the uncommitted batch with this end from a checkpoint. Returns true if the checkpoint had
 * such a batch.
 */
function forgetOpen(
  { offsets, commits }: Checkpoint = { offsets: {}, commits: [] },
  end: JsonValue | undefined,
): boolean {
  const open = Object.keys(offsets).filter((id) => !commits.includes(id) && sameJson(offsets[id], end));
  for (const id of open) delete offsets[id];
  return open.length > 0;
}

export const recordedPartitions: Rewrite = {
  id: "recorded-partitions",
  reason:
    "docs/spark-differences.md: `partitions(start, end)` is not asked again on replay; a source that answers differently would change what the batch means.",
  rewrite(runs) {
    // The runs are changed from the last to the first, because a later run needs the calls of the
    // earlier ones.
    return changeEach([...runs.entries()].reverse(), ([i, run]) => {
      const earlier = callsBefore(runs, i);
      return removeCalls(run, (call, index, calls) => {
        const isReplayed = isCall(call, "reader.partitions") && hasPlanned(earlier, call.args);
        const before = calls.slice(0, index);
        return isReplayed && !before.some((other) => sameRange(rangeOf(other) ?? {}, call.args));
      });
    });
  },
};
