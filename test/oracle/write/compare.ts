import type { JsonValue } from "../../../shared/contract/json.ts";
import type { Exception } from "../exceptions/rewrite.ts";
import type { Call } from "../trace.ts";
import { sameCall, sameJson } from "../trace.ts";
import { epochOf, isAbort, isCommit, isCutShort, isOnCommit, messageOf, messagesOf } from "./calls.ts";
import { checkPlacement } from "./check-placement.ts";
import { compareTasks } from "./compare-tasks.ts";
import { Difference, differ, shown } from "./difference.ts";
import type { Files, Run, Step } from "./trace.ts";

/** Allowed differences that depend on the clock, or on Spark's planner. */
export const WRITE_TOLERANCES = {
  cutShort: {
    id: "tasks-cut-short",
    reason:
      "The recordings say so themselves: where a task fails for good, whether others begin and how far they come is up to the clock. Spark lets them run on beside the abort, Millrace tells them to stop and waits for them. `abort` must have the messages of exactly those that finished.",
  },
  interrupted: {
    id: "attempt-interrupted",
    reason:
      "An attempt that is told to stop notices it in Spark at an interrupt, here at a signal: how many rows it writes until then, and how often it is interrupted, is up to the clock. It must end with abort and close, or finish.",
  },
  sparkPlacement: {
    id: "placed-by-spark",
    reason:
      "How many tasks there are, and which rows each gets, comes from Spark's hash and adaptive execution (placement `spark`). Compared are the rows of all tasks together.",
  },
} as const satisfies Record<string, Exception>;

export interface Comparison {
  /** Number of recorded calls that the engine made too. */
  readonly calls: number;
  /** Ids of the tolerances that were needed. */
  readonly used: ReadonlySet<string>;
  /** The first difference; absent if there is none. */
  readonly difference?: string;
}

/** Compares the steps that are expected with those of the engine. */
export function compareSteps(expected: readonly Step[], actual: readonly Step[]): Comparison {
  const comparer = new Comparer();
  try {
    for (const [i, step] of expected.entries()) comparer.compare(step, actual[i] as Step, `step ${i + 1}`);
    return { calls: comparer.calls, used: comparer.used };
  } catch (error) {
    if (!(error instanceof Difference)) throw error;
    return { calls: comparer.calls, used: comparer.used, difference: error.message };
  }
}

class Comparer {
  calls = 0;
  readonly used = new Set<string>();
  /** Tables whose rows Spark has placed, so that their files mean nothing. */
  readonly #placedBySpark = new Set<string>();

  compare(spark: Step, millrace: Step, where: string): void {
    if (spark.kind === "rows" && millrace.kind === "rows")
      this.#compareRows(`${where} (rows of ${spark.table})`, spark.table, spark.files, millrace.files);
    if (spark.kind === "run" && millrace.kind === "run")
      this.#compareRun(`${where} (${spark.op.kind})`, spark, millrace);
  }

  #compareRun(where: string, spark: Run, millrace: Run): void {
    const { op } = spark;
    const isBySpark = "placement" in op && op.placement === "spark";
    const isPlaced = isBySpark || op.kind === "delete" || op.kind === "update";
    if (isPlaced && "table" in op) this.#placedBySpark.add(op.table);
    if (isBySpark) this.used.add(WRITE_TOLERANCES.sparkPlacement.id);
    this.#compareDriver(where, spark, millrace, isBySpark);
    checkPlacement(where, millrace);
    const { calls, used } = compareTasks(where, spark, millrace, isBySpark);
    this.calls += calls;
    for (const id of used) this.used.add(id);
    compareEnd(where, spark, millrace);
    if (spark.metrics !== undefined && !sameJson(spark.metrics, millrace.metrics ?? {}))
      differ(
        `${where}, metrics shown`,
        JSON.stringify(spark.metrics),
        JSON.stringify(millrace.metrics ?? {}),
      );
  }

  #compareDriver(where: string, spark: Run, millrace: Run, isBySpark: boolean): void {
    const isCut = isCutShort(spark, lastEpoch(spark)) && isCutShort(millrace, lastEpoch(millrace));
    const cut = isCut ? partitionsCut(spark, millrace) : new Set<number>();
    const [theirs, ours] = [spark, millrace].map((run) => {
      const calls = run.driver.filter((call) => !isToldOf(cut, call, run));
      // How many messages there are depends on the number of tasks.
      return isBySpark ? calls.filter((call) => !isOnCommit(call)).map(withoutPlacement) : calls;
    }) as [Call[], Call[]];
    for (let i = 0; i < Math.max(theirs.length, ours.length); i++) {
      const [their, our] = [theirs[i], ours[i]];
      const isSame =
        their !== undefined &&
        our !== undefined &&
        (sameCall(their, our) || (isCut && this.#sameAbort(their, our, spark, millrace)));
      if (!isSame) differ(`${where}, call ${i + 1} of the driver`, shown(their), shown(our));
      this.calls++;
    }
    if (isCut || isBySpark) compareTold(where, millrace);
  }

  /** True if the messages differ only because the clock decides which tasks finish. */
  #sameAbort(their: Call, our: Call, spark: Run, millrace: Run): boolean {
    if (!isAbort(their) || !isAbort(our)) return false;
    const [others, messages] = [messagesOf(their), messagesOf(our)];
    const isElse = sameJson({ ...their.args, messages: null }, { ...our.args, messages: null });
    if (others.length !== messages.length || !isElse) return false;
    const isExplained = messages.every((message, partition) => {
      const known = others[partition] ?? null;
      const finished = finishedIn(millrace, epochOf(our), partition);
      const isTrue = sameJson(message, finished);
      return isTrue && (message === null || known === null || sameJson(message, known));
    });
    if (isExplained && spark.end?.failed === true) this.used.add(WRITE_TOLERANCES.cutShort.id);
    return isExplained;
  }

  #compareRows(where: string, table: string, spark: Files | null, millrace: Files | null): void {
    const isBag = this.#placedBySpark.has(table);
    const [theirs, ours] = isBag ? [bagOf(spark), bagOf(millrace)] : [spark, millrace];
    if (!sameJson(theirs as JsonValue, ours as JsonValue))
      differ(where, JSON.stringify(spark), JSON.stringify(millrace));
  }
}

function lastEpoch({ driver }: Run): number {
  return Math.max(0, ...driver.filter(isAbort).map(epochOf));
}

/** The partitions of which the clock decides whether they finish. */
function partitionsCut(...runs: readonly Run[]): ReadonlySet<number> {
  const missing = runs.flatMap(({ driver }) => {
    const abort = driver.findLast(isAbort);
    const messages = abort === undefined ? [] : messagesOf(abort);
    return messages.flatMap((message, partition) => (message === null ? [partition] : []));
  });
  return new Set(missing);
}

/** True if the write is told of one of these partitions, and does not refuse it. */
function isToldOf(partitions: ReadonlySet<number>, call: Call, { driver }: Run): boolean {
  if (!isOnCommit(call)) return false;
  const { partition } = call.args["message"] as { readonly partition: number };
  const isRefused = driver[driver.indexOf(call) + 1]?.call === "!! raise in BatchWrite.onDataWriterCommit";
  return partitions.has(partition) && !isRefused;
}

/**
 * The write must be told of exactly the messages that `commit` or `abort` gets, up to one that it
 * refuses.
 */
function compareTold(where: string, { driver }: Run): void {
  const told = driver.filter(isOnCommit).map(({ args }) => args["message"] ?? null);
  const ended = driver.findLast((call) => isAbort(call) || isCommit(call)) ?? { call: "", args: {} };
  const given = messagesOf(ended).filter((message) => message !== null);
  const isWhole = driver.some(({ call }) => call.startsWith("!! raise in BatchWrite.onDataWriterCommit"));
  const expected = isWhole ? given.slice(0, told.length) : given;
  const isStream = driver.some(({ call }) => call.startsWith("StreamingWrite."));
  if (!isStream && !sameJson(told, expected))
    differ(`${where}, onDataWriterCommit`, JSON.stringify(expected), JSON.stringify(told));
}

function finishedIn({ attempts }: Run, epoch: number, partition: number): JsonValue {
  const ofTask = attempts.filter((attempt) => attempt.epoch === epoch && attempt.partition === partition);
  return ofTask.map(messageOf).findLast((message) => message !== null) ?? null;
}

/** Leaves the number of rows of all tasks. */
function withoutPlacement(call: Call): Call {
  const { numPartitions: _, messages, ...args } = call.args;
  if (messages === undefined) return { call: call.call, args };
  const rows = (messages as readonly ({ readonly rows: number } | null)[]).map(
    (message) => message?.rows ?? 0,
  );
  return { call: call.call, args: { ...args, rows: rows.reduce((sum, count) => sum + count, 0) } };
}

function compareEnd(where: string, spark: Run, millrace: Run): void {
  const [theirs, ours] = [spark.end, millrace.end];
  if (theirs?.failed !== ours?.failed)
    differ(`${where}, end`, theirs?.failed ? theirs.text : "ok", ours?.failed ? ours.text : "ok");
  // What else went wrong is told beside the cause.
  const [fault] = theirs?.faults ?? [];
  const isTold = fault === undefined ? ours?.faults.length === 0 : ours?.faults.includes(fault);
  if (isTold !== true)
    differ(`${where}, the fault in the error`, theirs?.text ?? "none", ours?.text ?? "none");
}

function bagOf(files: Files | null): readonly string[] | null {
  if (files === null) return null;
  return Object.values(files)
    .flat()
    .map((row) => JSON.stringify(row))
    .sort();
}
