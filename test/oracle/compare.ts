import type { JsonValue } from "../../shared/contract/json.ts";
import type { Exception } from "./exceptions/rewrite.ts";
import { asText } from "./replay.ts";
import {
  type Args,
  type Call,
  type Ended,
  type Run,
  sameCall,
  sameJson,
  showCall,
  type TaskCalls,
} from "./trace.ts";

/**
 * Allowed differences that depend on the clock or on processes. Only a comparison of both traces
 * shows them.
 */
export const TOLERANCES = {
  madeWhereNeeded: {
    id: "made-where-needed",
    reason:
      "Processes (docs/spark-differences.md): where and how often sources, readers and writers are made differs. Compared are what they are made with, and that each commit and each abort has a writer of its own. Millrace makes a sink before it plans anything, so that one that cannot use its options says so.",
  },
  missingOnly: {
    id: "resume-missing-only",
    reason:
      "docs/spark-differences.md: after a crash only partitions without a winner run again; in Spark the whole batch. A finished task may run again only where the kill came between its last call and its record.",
  },
  cutShort: {
    id: "cut-short",
    reason:
      "Beside a task that fails for good or kills the process, how far the others came is up to the clock. Spark lets them run on beside the abort, Millrace tells them to stop (docs/spark-differences.md). `abort` must then have a message of exactly those that finished.",
  },
  twoProcesses: {
    id: "two-processes",
    reason:
      "Processes (docs/spark-differences.md): Spark reads and writes in two processes. Where one of them fails, how far the other came is up to the clock.",
  },
} as const satisfies Record<string, Exception>;

/** The result of comparing Spark's calls with the engine's calls. */
export interface Comparison {
  /** Number of calls in the recording that the engine made too. */
  readonly calls: number;
  /** Ids of the tolerances that were needed. */
  readonly used: ReadonlySet<string>;
  /** The first difference; absent if there is no difference. */
  readonly difference?: string;
}

/**
 * Compares Spark's calls with the engine's calls. `expected` already has the exceptions applied.
 */
export function compare(expected: readonly Run[], actual: readonly Run[]): Comparison {
  const comparer = new Comparer();
  try {
    comparer.compareRuns(expected, actual);
    return { calls: comparer.calls, used: comparer.used };
  } catch (error) {
    if (!(error instanceof Difference)) throw error;
    return { calls: comparer.calls, used: comparer.used, difference: error.message };
  }
}

class Difference extends Error {}

function differ(where: string, spark: string, millrace: string): never {
  throw new Difference(`${where}\n  Spark:    ${spark}\n  Millrace: ${millrace}`);
}

const shown = (call: Call | undefined): string => (call === undefined ? "nothing" : showCall(call));
const shownFirst = (task: TaskCalls): string => shown(task.writer[0] ?? task.reader[0]);
const isFault = (call: Call | undefined): boolean => call?.call.startsWith("!!") ?? false;
const hasFault = (task: TaskCalls): boolean => task.reader.some(isFault) || task.writer.some(isFault);
const exitOf = (task: TaskCalls): Call | undefined =>
  task.writer.find(({ call }) => call === "writer.write:exit");
const nameOf = ({ batch, partition, attempt }: TaskCalls): string =>
  `batch ${batch}, partition ${partition}, attempt ${attempt}`;
const keyOf = ({ batch, partition }: Pick<TaskCalls, "batch" | "partition">): string =>
  `${batch}.${partition}`;
const isSameTask = (a: TaskCalls, b: TaskCalls): boolean =>
  a.partition === b.partition && a.attempt === b.attempt;

type Side = "reader" | "writer";

class Comparer {
  calls = 0;
  readonly used = new Set<string>();
  /** Tasks that the engine finished in a killed run. The engine need not run them again. */
  #finished = new Map<string, TaskCalls>();
  /**
   * True after a kill in a task. The kill may come after a task finished and before it was
   * recorded, and the engine then runs that task again.
   */
  #mayRepeatTask = false;

  compareRuns(expected: readonly Run[], actual: readonly Run[]): void {
    if (expected.length !== actual.length) differ("runs", `${expected.length}`, `${actual.length}`);
    const recordedMade = expected.flatMap(({ made }) => made);
    for (const [i, run] of expected.entries()) {
      const other = actual[i] as Run;
      const where = `run ${i + 1} (${run.start.label})`;
      this.#compareDriver(where, run, other);
      this.#compareTasks(where, run, other, expected[i - 1]);
      this.#compareMade(where, run, other, recordedMade);
      this.#compareEnd(where, run, other);
      this.#remember(other);
    }
  }

  #compareDriver(where: string, run: Run, other: Run): void {
    for (let i = 0; i < Math.max(run.driver.length, other.driver.length); i++) {
      const [spark, millrace] = [run.driver[i], other.driver[i]];
      const isSame =
        spark !== undefined &&
        millrace !== undefined &&
        (sameCall(spark, millrace) || this.#sameAbort(spark, millrace, run, other));
      if (!isSame) differ(`${where}, call ${i + 1} of the driver`, shown(spark), shown(millrace));
      this.calls++;
    }
  }

  /**
   * Returns true if the messages of two aborts differ only because a task finished in one of the
   * runs and not in the other. The clock decides this.
   */
  #sameAbort(spark: Call, millrace: Call, run: Run, other: Run): boolean {
    if (spark.call !== "writer.abort" || millrace.call !== "writer.abort") return false;
    const { messages: _, ...rest } = spark.args;
    if (!sameJson({ ...rest, messages: null }, { ...millrace.args, messages: null })) return false;
    const batch = Number(spark.args["batchId"]);
    if (run.driver.some((call) => isCommitOf(call, batch))) return false;
    const [theirs, ours] = [messagesOf(spark), messagesOf(millrace)];
    if (theirs.length !== ours.length) return false;
    const isExplained = ours.every((message, partition) => {
      const known = theirs[partition] ?? null;
      if (message !== null && known !== null) return sameJson(message, known);
      const hasFailed = run.tasks.some(
        (task) => task.batch === batch && task.partition === partition && hasFault(task),
      );
      // A task with a fault never has a message.
      if (hasFailed && known === null) return message === null;
      const finished = this.#finishedIn(other, batch, partition);
      return sameJson(message, finished === undefined ? null : messageOf(finished));
    });
    if (isExplained) this.used.add(TOLERANCES.cutShort.id);
    return isExplained;
  }

  #finishedIn(run: Run, batch: number, partition: number): TaskCalls | undefined {
    const here = run.tasks.find(
      (task) => task.batch === batch && task.partition === partition && exitOf(task) !== undefined,
    );
    return here ?? this.#finished.get(keyOf({ batch, partition }));
  }

  #compareTasks(where: string, run: Run, other: Run, previous: Run | undefined): void {
    const calls = previous?.tasks.flatMap(({ reader, writer }) => [...reader, ...writer]) ?? [];
    this.#mayRepeatTask = calls.some(isKill);
    for (const batch of new Set([...run.tasks, ...other.tasks].map((task) => task.batch))) {
      const ofBatch = ({ tasks }: Run) => tasks.filter((task) => task.batch === batch);
      this.#compareBatch(where, batch, ofBatch(run), ofBatch(other), this.#looseness(run, other, batch));
    }
  }

  #compareBatch(
    where: string,
    batch: number,
    theirs: readonly TaskCalls[],
    ours: readonly TaskCalls[],
    isLoose: (partition: number) => boolean,
  ): void {
    let isFailureSame = false;
    for (const task of theirs) {
      const mine = ours.find((other) => isSameTask(task, other));
      const place = `${where}, ${nameOf(task)}`;
      if (mine === undefined) this.#excuseMissing(place, task, isLoose(task.partition));
      else if (this.#compareTask(place, task, mine, isLoose(task.partition)) && hasFault(task))
        isFailureSame = true;
    }
    for (const task of ours) {
      if (theirs.some((other) => isSameTask(task, other))) continue;
      if (isLoose(task.partition) && !hasFault(task)) this.used.add(TOLERANCES.cutShort.id);
      else differ(`${where}, ${nameOf(task)}`, "no such task", shownFirst(task));
    }
    const failures = theirs.filter(hasFault).length;
    if (failures > 0 && !isFailureSame) {
      differ(
        `${where}, batch ${batch}`,
        `${failures} tasks failed as the faults say`,
        "none of them as there",
      );
    }
  }

  /** Accepts a task that the engine did not run if a tolerance allows it. Otherwise reports it. */
  #excuseMissing(place: string, task: TaskCalls, isLoose: boolean): void {
    if (this.#finished.has(keyOf(task))) this.used.add(TOLERANCES.missingOnly.id);
    else if (isLoose) this.used.add(TOLERANCES.cutShort.id);
    else differ(place, shownFirst(task), "no such task");
  }

  /**
   * Returns a function that tells whether the failure of another task, or a kill, may have cut the
   * task of a partition short.
   */
  #looseness(run: Run, other: Run, batch: number): (partition: number) => boolean {
    if (run.driver.some((call) => isCommitOf(call, batch))) return () => false;
    const abortOf = ({ driver }: Run) =>
      driver.findLast(({ call, args }) => call === "writer.abort" && args["batchId"] === batch);
    const [theirs, ours] = [abortOf(run), abortOf(other)];
    if (theirs === undefined || ours === undefined) return () => run.ended === undefined;
    return (partition) =>
      (messagesOf(theirs)[partition] ?? null) === null || (messagesOf(ours)[partition] ?? null) === null;
  }

  /** Returns true if Spark and Millrace made the same calls for this task. */
  #compareTask(place: string, task: TaskCalls, mine: TaskCalls, isLoose: boolean): boolean {
    if (this.#finished.has(keyOf(task))) {
      if (!this.#mayRepeatTask)
        differ(place, "(in Millrace it had finished before the kill)", "ran it again");
      this.#mayRepeatTask = false;
    }
    const isReaderWhole = this.#compareSide("reader", place, task, mine, isLoose);
    const isWriterWhole = this.#compareSide("writer", place, task, mine, isLoose);
    return isReaderWhole && isWriterWhole;
  }

  /**
   * Returns true if Spark and Millrace made the same calls on one side of a task, or if a failure
   * of the task's other side cut these calls short.
   */
  #compareSide(side: Side, place: string, task: TaskCalls, mine: TaskCalls, isLoose: boolean): boolean {
    const [theirs, ours] = [task[side], mine[side]];
    if (sameCalls(theirs, ours)) {
      this.calls += theirs.length;
      return true;
    }
    const hasOtherFailed = task[side === "reader" ? "writer" : "reader"].some(isFault);
    const shared = countShared(withoutStop(theirs), withoutStop(ours));
    if (shared === undefined || !(isLoose || hasOtherFailed)) {
      const at = theirs.findIndex((call, i) => !sameCalls([call], ours.slice(i, i + 1)));
      const first = at < 0 ? theirs.length : at;
      return differ(`${place}, call ${first + 1} of the ${side}`, shown(theirs[first]), shown(ours[first]));
    }
    this.calls += shared;
    this.used.add((hasOtherFailed ? TOLERANCES.twoProcesses : TOLERANCES.cutShort).id);
    return hasOtherFailed;
  }

  #compareMade(where: string, run: Run, other: Run, recordedMade: readonly Call[]): void {
    const isWriter = ({ call }: Call) => call === "writer.__init__";
    // Spark creates no writer for an action that it refuses, and exactly one for each other action
    // of a batch.
    const writers = run.isBatch && run.made.some(isWriter) ? [] : recordedMade.filter(isWriter);
    const sink = {
      call: "DataSource.__init__",
      args: run.isBatch
        ? { options: {}, get_CaseTest: null, get_casetest: null }
        : { cls: "Src", options: asText(withoutFault(run.start.wopts)) },
    };
    const allowed = [...run.made, ...writers, sink];
    for (const made of run.made) {
      const isThere = other.made.some((mine) => sameCall(made, mine));
      if (!isThere) differ(`${where}, constructions`, shown(made), "not made, or made with something else");
      this.calls++;
    }
    for (const mine of other.made) {
      const isUnknown = isWriter(mine) && !recordedMade.some(isWriter);
      if (!isUnknown && !allowed.some((made) => sameCall(made, mine)))
        differ(`${where}, constructions`, "never made", shown(mine));
    }
    if (other.made.length > 0) this.used.add(TOLERANCES.madeWhereNeeded.id);
  }

  #compareEnd(where: string, run: Run, other: Run): void {
    if (!sameEnd(run.ended, other.ended))
      differ(`${where}, its end`, showEnd(run.ended), showEnd(other.ended));
    if (run.checkpoint === undefined) return;
    const [theirs, ours] = [checkpointOf(run), checkpointOf(other)];
    if (!sameJson(theirs, ours))
      differ(`${where}, what is recorded of batches`, JSON.stringify(theirs), JSON.stringify(ours));
  }

  #remember({ isBatch, tasks, driver }: Run): void {
    if (isBatch) return;
    for (const task of tasks) if (exitOf(task) !== undefined) this.#finished.set(keyOf(task), task);
    // An aborted batch is tried again, so its finished tasks must run again too.
    const aborted = new Set(
      driver.filter(({ call }) => call === "writer.abort").map(({ args }) => Number(args["batchId"])),
    );
    for (const [key, { batch }] of [...this.#finished]) if (aborted.has(batch)) this.#finished.delete(key);
  }
}

function isCommitOf({ call, args }: Call, batch: number): boolean {
  return call === "writer.commit" && args["batchId"] === batch;
}

function isKill({ call }: Call): boolean {
  return call.startsWith("!! kill");
}

function messagesOf({ args }: Call): readonly JsonValue[] {
  return args["messages"] as readonly JsonValue[];
}

/** Returns the message of a finished task, from the calls that the task logged. */
function messageOf(task: TaskCalls): JsonValue {
  const { rows = null, lo = null, hi = null } = exitOf(task)?.args ?? {};
  return { partition: task.partition, attempt: task.attempt, rows, lo, hi };
}

/**
 * Returns the length of the shorter list if the longer list begins with it, otherwise `undefined`.
 */
function countShared(a: readonly Call[], b: readonly Call[]): number | undefined {
  const length = Math.min(a.length, b.length);
  return sameCalls(a.slice(0, length), b.slice(0, length)) ? length : undefined;
}

function sameCalls(a: readonly Call[], b: readonly Call[]): boolean {
  return a.length === b.length && a.every((call, i) => sameCall(call, b[i] as Call));
}

/** Returns the calls without the final `stop`. A reader that is cut short gets this call too. */
function withoutStop(calls: readonly Call[]): readonly Call[] {
  return calls.at(-1)?.call === "reader.stop" ? calls.slice(0, -1) : calls;
}

function withoutFault(options: Args): Args {
  return Object.fromEntries(Object.entries(options).filter(([name]) => name !== "fault"));
}

/**
 * Returns true if two runs ended in the same way. If two faults happen at once, Spark's error names
 * both, and it is enough that Millrace's error names one of them.
 */
function sameEnd(spark: Ended | undefined, millrace: Ended | undefined): boolean {
  if (spark === undefined || millrace === undefined) return spark === millrace;
  if (spark.failed !== millrace.failed) return false;
  if (spark.refusal !== undefined && spark.refusal !== millrace.refusal) return false;
  if (spark.value !== undefined && !sameJson(spark.value, millrace.value)) return false;
  return spark.faults.length === 0 || spark.faults.some((point) => millrace.faults.includes(point));
}

function showEnd(ended: Ended | undefined): string {
  if (ended === undefined) return "killed";
  if (ended.failed) return `failed ${[...ended.faults, ended.refusal ?? ""].filter(Boolean).join(", ")}`;
  return ended.value === undefined ? "ended well" : `gave ${JSON.stringify(ended.value)}`;
}

function checkpointOf({ checkpoint }: Run): JsonValue {
  return { offsets: checkpoint?.offsets ?? {}, commits: [...(checkpoint?.commits ?? [])].sort() };
}
