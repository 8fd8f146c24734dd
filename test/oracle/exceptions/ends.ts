import type { JsonValue } from "../../../shared/contract/json.ts";
import { type Call, sameJson, simpleEnd } from "../trace.ts";
import { changeEach, isCall, isFaultAt, type Rewrite } from "./rewrite.ts";

/** Exceptions about the calls at the end of a batch. */

export const acknowledgeAfterCommit: Rewrite = {
  id: "acknowledge-after-commit",
  reason:
    "docs/spark-differences.md: reader `commit(end)` is called right after the batch committed, again by the next run until it succeeds. Spark calls it while the next batch is planned, and once.",
  rewrite(runs) {
    const early: JsonValue[] = [];
    let failed: Call | undefined;
    return changeEach(runs, (run) => {
      const acknowledged = acknowledge(run.driver, early);
      const at = run.driver.findIndex((call) => !isCall(call, "reader.prepareForTriggerAvailableNow"));
      if (failed !== undefined && at >= 0) {
        acknowledged.driver.splice(at, 0, failed);
        failed = undefined;
      }
      failed = acknowledged.failed ?? failed;
      const isUsed = run.driver.some((call) => isCall(call, "writer.commit:return"));
      run.driver = acknowledged.driver;
      return isUsed;
    });
  },
};

/**
 * Moves the acknowledgement of each batch to the place right after its commit. Spark acknowledges a
 * batch later, sometimes in another run. `early` holds the ends of moved acknowledgements whose
 * original call is not yet removed. If an acknowledgement fails and ends the run, it is returned as
 * `failed`.
 */
function acknowledge(
  calls: readonly Call[],
  early: JsonValue[],
): { readonly driver: Call[]; readonly failed?: Call } {
  const name = calls.some((call) => isCall(call, "simple.read")) ? "simple.commit" : "reader.commit";
  const driver: Call[] = [];
  let end: JsonValue = null;
  for (const [i, call] of calls.entries()) {
    const planned = plannedEnd(call);
    if (planned !== undefined) end = planned;
    if (isCall(call, "reader.commit", "simple.commit") && takeOut(early, call.args["end"])) continue;
    driver.push(call);
    if (!isCall(call, "writer.commit:return")) continue;
    const acknowledgement = { call: name, args: { end } };
    driver.push(acknowledgement);
    const failure = failureAfter(calls.slice(i + 1));
    if (failure !== undefined) return { driver: [...driver, failure], failed: acknowledgement };
    early.push(end);
  }
  return { driver };
}

/**
 * Returns the end of the batch that a call plans. A simple reader has no `partitions`, so its end
 * comes from `read`.
 */
function plannedEnd(call: Call): JsonValue | undefined {
  return isCall(call, "reader.partitions") ? (call.args["end"] ?? null) : simpleEnd(call);
}

/** Removes one value that is equal to `value`. Returns true if there was one. */
function takeOut(values: JsonValue[], value: JsonValue | undefined): boolean {
  const index = values.findIndex((known) => sameJson(known, value));
  if (index >= 0) values.splice(index, 1);
  return index >= 0;
}

/**
 * Returns the fault of an acknowledgement that ends Millrace's run, or `undefined`. Such a fault
 * ends the run only if the rest of Spark's run plans and does nothing else.
 */
function failureAfter(rest: readonly Call[]): Call | undefined {
  const failure = rest.find((call) => isFaultAt(call, "reader.commit"));
  const isOnlyPlanned = rest.every(
    (call) => call === failure || isCall(call, "reader.latestOffset", "reader.commit", "reader.stop"),
  );
  return isOnlyPlanned ? failure : undefined;
}

export const abortAgain: Rewrite = {
  id: "abort-again",
  reason:
    "docs/protocol.md, rule 4: a decision is followed to its end, so an `abort` that failed or was killed is called again by the next run, before the batch is replayed. Spark forgets it.",
  rewrite(runs) {
    return changeEach(runs, ({ driver }, i) => {
      const failed = driver.findIndex((call) => isFaultAt(call, "abort"));
      const next = runs[i + 1];
      if (failed < 2 || next === undefined) return false;
      const at = isCall(next.driver[0], "reader.prepareForTriggerAvailableNow") ? 1 : 0;
      next.driver.splice(at, 0, ...driver.slice(failed - 2, failed).map((call) => ({ ...call })));
      return true;
    });
  },
};
