import { canonicalJson, type JsonValue } from "../../shared/contract/json.ts";
import type { Batch, Fence, Head } from "../../shared/engine/ports/ledger.ts";
import type { Call } from "./calls.ts";
import type { Records } from "./memory-ledger.ts";

/*
 * What a step of the ledger may change, written down a second time: the search must not believe the
 * transitions that it tests.
 */

/** The states that can follow each state of the same attempt. */
const FOLLOWS: Readonly<Record<Batch["state"], readonly Batch["state"][]>> = {
  planned: ["committing", "aborting"],
  committing: ["committed", "aborting"],
  aborting: ["aborted"],
  aborted: [],
  committed: [],
};

/** Calls of a run that change nothing when the run has lost the pipeline. */
const FENCED =
  /^(?:release|initialize|plan|replan|dropTasks|decide|recordError|recordIdle|finish|acknowledge|identify)$/;

/** Returns the rule that a call of the ledger broke, or `undefined`. */
export function ledgerStepProblem(before: Records, after: Records, call: Call): string | undefined {
  if (before === after) return undefined;
  if (FENCED.test(call.method)) {
    const fence = call.args[0] as Fence;
    const head = before.heads[fence.pipeline];
    if (head?.epoch !== fence.epoch || head.incarnation !== fence.incarnation)
      return "a run that lost the pipeline changed the ledger";
  }
  return tasksProblem(before, after, call) ?? headsProblem(before, after) ?? batchesProblem(before, after);
}

function tasksProblem(before: Records, after: Records, { method, args }: Call): string | undefined {
  const changed = Object.keys(before.tasks).filter((key) => after.tasks[key] !== before.tasks[key]);
  const isGone = changed.every((key) => after.tasks[key] === undefined);
  if (changed.length === 0) return undefined;
  if (method !== "dropTasks" || !isGone) return "a recorded task was changed";
  // Tasks whose files are lost run again, but only while nothing was decided from their messages.
  const { pipeline, batchId, attempt } = args[1] as Batch;
  const isUndecided = Object.values(before.batches).some(
    (batch) =>
      batch.pipeline === pipeline &&
      batch.batchId === batchId &&
      batch.attempt === attempt &&
      batch.state === "planned",
  );
  return isUndecided ? undefined : "a task of a decided attempt was dropped";
}

function headsProblem(before: Records, after: Records): string | undefined {
  for (const [pipeline, head] of Object.entries(before.heads)) {
    const now = after.heads[pipeline];
    const problem = now === undefined ? "the ledger lost a pipeline" : headProblem(head, now, after);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function headProblem(head: Head, now: Head, after: Records): string | undefined {
  if (now.incarnation !== head.incarnation) return "the pipeline got another incarnation";
  if (now.epoch < head.epoch) return "the epoch went back";
  if (now.nextBatchId < head.nextBatchId) return "the next batch id went back";
  if (same(now.offset, head.offset)) return undefined;
  if (position(now.offset) < position(head.offset)) return "the offset went back";
  if (head.offset === undefined) return undefined;
  const isEnd = Object.values(after.batches).some(
    ({ state, end, batchId }) =>
      state === "committed" && same(end, now.offset) && batchId === now.lastCommittedBatchId,
  );
  return isEnd ? undefined : "the offset moved without a commit";
}

function batchesProblem(before: Records, after: Records): string | undefined {
  for (const [key, batch] of Object.entries(before.batches)) {
    const now = after.batches[key];
    const problem = now === undefined ? "the ledger lost a batch" : batchProblem(batch, now);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function batchProblem(batch: Batch, now: Batch): string | undefined {
  if (!same(batch.start, now.start) || !same(batch.end, now.end)) return "the offsets of a batch changed";
  if (now.attempt < batch.attempt) return "the attempt of a batch went back";
  if (now.attempt > batch.attempt + 1) return "an attempt of a batch was left out";
  if (now.attempt > batch.attempt) {
    const mayFollow = batch.state === "aborted" || batch.state === "planned";
    return mayFollow && now.state === "planned"
      ? undefined
      : `an attempt followed one that was ${batch.state}`;
  }
  if (now.partitionsKey !== batch.partitionsKey) return "the plan of an attempt changed";
  if (now.state === batch.state || FOLLOWS[batch.state].includes(now.state)) return undefined;
  return `an attempt that was ${batch.state} became ${now.state}`;
}

function position(offset: Head["offset"]): number {
  return Number(offset?.["n"] ?? -1);
}

function same(a: unknown, b: unknown): boolean {
  if (a === undefined || b === undefined) return a === b;
  return canonicalJson(a as JsonValue) === canonicalJson(b as JsonValue);
}
