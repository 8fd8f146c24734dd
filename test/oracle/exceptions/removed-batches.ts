import type { JsonValue } from "../../../shared/contract/json.ts";
import { type Args, type Call, type Checkpoint, type Run, sameJson } from "../trace.ts";
import { isCall, type Rewrite, rangeOf } from "./rewrite.ts";

/** Exceptions for batches that Spark runs and Millrace does not run. */

/**
 * Returns true for a `latestOffset` whose end is before its start. Each offset has only one number,
 * and these numbers are compared.
 */
function goesBack(call: Call): boolean {
  const { start, end } = rangeOf(call) ?? {};
  const [from, to] = [start, end].map((offset) => Object.entries((offset ?? {}) as Args));
  const [[name, first] = [], ...more] = from ?? [];
  const [[otherName, last] = [], ...others] = to ?? [];
  const isOneNumber = name === otherName && more.length === 0 && others.length === 0;
  return isOneNumber && typeof first === "number" && typeof last === "number" && last < first;
}

export const forwardOnly: Rewrite = {
  id: "no-offset-backwards",
  reason:
    "Spark follows an offset that goes backwards, and reads rows again. Millrace refuses an end that is before its start, where their one number or time, or `compareOffsets`, tells (docs/spark-differences.md): nothing is planned, and the run fails, as does each after it.",
  rewrite(runs) {
    const at = runs.findIndex(({ driver }) => driver.some(goesBack));
    const [refused, ...later] = at < 0 ? [] : runs.slice(at);
    const asked = refused?.driver.find(goesBack);
    if (refused === undefined || asked === undefined) return false;
    refused.driver.length = refused.driver.indexOf(asked) + 1;
    const last = lastCommitted(runs.slice(0, at + 1));
    refused.tasks = refused.tasks.filter(({ batch }) => batch <= last);
    for (const run of later) {
      run.driver = [asked];
      run.tasks = [];
    }
    for (const run of [refused, ...later]) {
      run.ended = { failed: true, faults: [], refusal: "OFFSET_WENT_BACK" };
      run.checkpoint &&= checkpointUntil(run.checkpoint, last);
    }
    return true;
  },
};

/** Returns the id of the last committed batch, or -1 if no batch is committed. */
function lastCommitted(runs: readonly Run[]): number {
  const commits = runs.flatMap(({ driver }) => driver.filter((call) => isCall(call, "writer.commit:return")));
  return Math.max(-1, ...commits.map(({ args }) => Number(args["batchId"])));
}

function checkpointUntil({ offsets, commits }: Checkpoint, last: number): Checkpoint {
  return {
    offsets: Object.fromEntries(Object.entries(offsets).filter(([id]) => Number(id) <= last)),
    commits: commits.filter((id) => Number(id) <= last),
  };
}

/** Removes a batch from the recording and lowers the ids after it by one. */
function removeBatch(runs: readonly Run[], at: number, batchId: number, end: JsonValue): void {
  let isAcknowledged = false;
  for (const run of runs.slice(at)) {
    run.driver = run.driver.flatMap((call, i, calls) => {
      const isWriters = (other: Call | undefined) =>
        isCall(other, "writer.commit", "writer.commit:return") && other?.args["batchId"] === batchId;
      if (isWriters(call) || (isCall(call, "writer.__init__") && isWriters(calls[i + 1]))) return [];
      if (isCall(call, "reader.commit") && !isAcknowledged && sameJson(call.args["end"], end)) {
        isAcknowledged = true;
        return [];
      }
      const later = call.args["batchId"] ?? null;
      if (typeof later !== "number" || later <= batchId) return [call];
      return [{ ...call, args: { ...call.args, batchId: later - 1 } }];
    });
    run.tasks = run.tasks
      .filter(({ batch }) => batch !== batchId)
      .map((task) => (task.batch > batchId ? { ...task, batch: task.batch - 1 } : task));
    if (run.checkpoint === undefined) continue;
    const earlier = (id: string) => (Number(id) > batchId ? String(Number(id) - 1) : id);
    const isOther = (id: string) => Number(id) !== batchId;
    const offsets = Object.entries(run.checkpoint.offsets).filter(([id]) => isOther(id));
    run.checkpoint = {
      offsets: Object.fromEntries(offsets.map(([id, offset]) => [earlier(id), offset])),
      commits: run.checkpoint.commits.filter(isOther).map(earlier),
    };
  }
}

/** Returns the id of the first batch that is committed after the driver's call at `index`. */
function batchAfter(run: Run, index: number): number | undefined {
  const commit = run.driver.slice(index).find((call) => isCall(call, "writer.commit"));
  return commit === undefined ? undefined : Number(commit.args["batchId"]);
}

export const emptyFirstBatch: Rewrite = {
  id: "no-empty-first-batch",
  reason:
    "docs/spark-differences.md: a batch with end == start, which Spark runs once at the very start, never runs. It writes nothing and costs money.",
  rewrite(runs) {
    const at = runs.findIndex(({ driver }) => driver.some((call) => isCall(call, "reader.partitions")));
    const run = runs[at];
    const index = run?.driver.findIndex((call) => isCall(call, "reader.partitions")) ?? -1;
    const { start, end } = run?.driver[index]?.args ?? {};
    if (run === undefined || end === undefined || !sameJson(start, end) || batchAfter(run, index) !== 0)
      return false;
    const isAskedAgain = isCall(run.driver[index - 1], "reader.initialOffset");
    run.driver.splice(isAskedAgain ? index - 1 : index, isAskedAgain ? 2 : 1);
    removeBatch(runs, at, 0, end);
    return true;
  },
};

export const keyOrder: Rewrite = {
  id: "key-order",
  reason:
    "docs/spark-differences.md: offsets are compared as canonical JSON, so that the same object with its keys in another order is nothing new. Spark compares text.",
  rewrite(runs) {
    let used = false;
    for (const [at, run] of runs.entries()) {
      const sameTwice = (call: Call) =>
        isCall(call, "reader.partitions") &&
        sameJson(call.args["start"], call.args["end"]) &&
        JSON.stringify(call.args["start"]) !== JSON.stringify(call.args["end"]);
      for (;;) {
        const index = run.driver.findIndex(sameTwice);
        const batchId = batchAfter(run, index);
        if (index < 0 || batchId === undefined) break;
        const [removed] = run.driver.splice(index, 1);
        const acknowledged = run.driver.slice(index).find((call) => isCall(call, "reader.commit"));
        removeBatch(runs, at, batchId, null);
        // If both acknowledgements have the same end, the second one belongs to the removed batch.
        if (acknowledged !== undefined && sameJson(acknowledged.args["end"], removed?.args["end"]))
          run.driver.splice(run.driver.indexOf(acknowledged), 1);
        used = true;
      }
    }
    return used;
  },
};
