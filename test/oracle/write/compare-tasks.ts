import type { Call } from "../trace.ts";
import { sameCall, sameJson } from "../trace.ts";
import { epochOf, isAbort, isCutShort, isRaise, isWrite, messageOf, messagesOf } from "./calls.ts";
import { differ, shown } from "./difference.ts";
import type { Attempt, Run } from "./trace.ts";

interface Result {
  readonly calls: number;
  readonly used: ReadonlySet<string>;
}

/** Compares the calls of the tasks of a statement. */
export function compareTasks(where: string, spark: Run, millrace: Run, isBySpark: boolean): Result {
  const comparer = new TaskComparer(where, spark, millrace);
  if (isBySpark) comparer.compareTogether();
  else comparer.compareEach();
  return comparer;
}

const nameOf = ({ epoch, partition, attempt }: Attempt): string =>
  `epoch ${epoch}, partition ${partition}, attempt ${attempt}`;

class TaskComparer implements Result {
  calls = 0;
  readonly used = new Set<string>();
  readonly #where: string;
  readonly #spark: Run;
  readonly #millrace: Run;

  constructor(where: string, spark: Run, millrace: Run) {
    this.#where = where;
    this.#spark = spark;
    this.#millrace = millrace;
  }

  compareEach(): void {
    for (const theirs of this.#spark.attempts) {
      const ours = find(this.#millrace, theirs);
      const place = `${this.#where}, ${nameOf(theirs)}`;
      if (ours === undefined) this.#excuse(place, theirs, "no such attempt");
      else this.#compareAttempt(place, theirs, ours);
    }
    for (const ours of this.#millrace.attempts) {
      if (find(this.#spark, ours) !== undefined) continue;
      const place = `${this.#where}, ${nameOf(ours)}`;
      if (!this.#isLoose(ours)) differ(place, "no such attempt", shown(ours.calls.at(-1)));
      this.used.add("tasks-cut-short");
      checkCut(place, ours.calls);
    }
    this.#checkFailure();
  }

  #excuse(place: string, theirs: Attempt, problem: string): void {
    if (!this.#isLoose(theirs)) differ(place, shown(theirs.calls[0]), problem);
    this.used.add("tasks-cut-short");
  }

  #compareAttempt(place: string, theirs: Attempt, ours: Attempt): void {
    const [known, made] = [steady(theirs.calls), steady(ours.calls)];
    const at = firstDifference(known, made);
    if (at === undefined) {
      this.calls += theirs.calls.length;
      return;
    }
    this.calls += at;
    // An attempt that failed by itself was not cut short.
    const isFailure = known.some(isRaise) && made.some(isRaise);
    const isTold = wasTold(theirs) || wasTold(ours);
    const isExcused = !isFailure && (isTold || this.#isLoose(theirs)) && isCutOf(known, made);
    if (!isExcused) differ(`${place}, call ${at + 1}`, shown(known[at]), shown(made[at]));
    this.used.add(isTold ? "attempt-interrupted" : "tasks-cut-short");
  }

  /** True if the failure of another task may have cut this one short. */
  #isLoose({ epoch, partition }: Attempt): boolean {
    if (!isCutShort(this.#spark, epoch) || !isCutShort(this.#millrace, epoch)) return false;
    const abortOf = ({ driver }: Run) => driver.findLast((call) => isAbort(call) && epochOf(call) === epoch);
    return [this.#spark, this.#millrace].some((run) => {
      const abort = abortOf(run);
      return abort === undefined || (messagesOf(abort)[partition] ?? null) === null;
    });
  }

  /** If tasks failed for good, the engine must have one that failed as often as Spark's. */
  #checkFailure(): void {
    const failures = ({ attempts }: Run) => {
      const counts = new Map<string, number>();
      for (const { epoch, partition, calls } of attempts)
        if (calls.some(isRaise))
          counts.set(`${epoch}.${partition}`, (counts.get(`${epoch}.${partition}`) ?? 0) + 1);
      return Math.max(0, ...counts.values());
    };
    const [theirs, ours] = [failures(this.#spark), failures(this.#millrace)];
    if (theirs !== ours) differ(`${this.#where}, failures of one task`, String(theirs), String(ours));
  }

  /** Compares the rows of all tasks that finished. */
  compareTogether(): void {
    const rowsOf = ({ attempts }: Run) =>
      attempts
        .filter((attempt) => messageOf(attempt) !== null)
        .flatMap(({ epoch, calls }) =>
          calls.filter(isWrite).map(({ call, args: { n: _, ...args } }) => {
            return `${epoch} ${call} ${JSON.stringify(args)}`;
          }),
        )
        .sort();
    const [theirs, ours] = [rowsOf(this.#spark), rowsOf(this.#millrace)];
    if (!sameJson(theirs, ours))
      differ(`${this.#where}, rows of all tasks`, theirs.join("; "), ours.join("; "));
    this.calls += theirs.length;
    // Each attempt makes its calls in an order that Spark has, too.
    const shapes = new Set(this.#spark.attempts.map(shapeOf));
    for (const ours of this.#millrace.attempts)
      if (!shapes.has(shapeOf(ours)))
        differ(`${this.#where}, ${nameOf(ours)}`, [...shapes].join(" or "), shapeOf(ours));
  }
}

/** The names of the calls, without those for single rows. */
function shapeOf({ calls }: Attempt): string {
  return calls
    .filter((call) => !isWrite(call) && call.call !== "DataWriter.currentMetricsValues")
    .map(({ call }) => call)
    .join(", ");
}

function find({ attempts }: Run, { epoch, partition, attempt }: Attempt): Attempt | undefined {
  return attempts.find(
    (other) => other.epoch === epoch && other.partition === partition && other.attempt === attempt,
  );
}

/** True if the attempt was told to stop, by an interrupt or a signal. */
function wasTold({ calls }: Attempt): boolean {
  return calls.some(({ call }) => call.startsWith("!! interrupted in "));
}

/** Without interrupts, whose number means nothing. */
function steady(calls: readonly Call[]): readonly Call[] {
  return calls.filter(({ call }) => !call.startsWith("!! interrupted in "));
}

function firstDifference(known: readonly Call[], made: readonly Call[]): number | undefined {
  const at = known.findIndex((call, i) => made[i] === undefined || !sameCall(call, made[i] as Call));
  if (at >= 0) return at;
  return made.length > known.length ? known.length : undefined;
}

/** True if one of the attempts did the same as the other, up to where it was ended. */
function isCutOf(known: readonly Call[], made: readonly Call[]): boolean {
  if (!isWellFormed(known) || !isWellFormed(made)) return false;
  const [shorter, longer] = [progressOf(known), progressOf(made)].sort((a, b) => a.length - b.length);
  return shorter?.every((call, i) => sameCall(call, longer?.[i] as Call)) === true;
}

/** What an attempt did before it was aborted and closed. */
function progressOf(calls: readonly Call[]): readonly Call[] {
  const aborted = calls.findIndex(({ call }) => call === "DataWriter.abort");
  const hasEnded = sameJson(
    calls.slice(aborted).map(({ call }) => call),
    END,
  );
  return aborted >= 0 && hasEnded ? calls.slice(0, aborted) : calls;
}

const END = ["DataWriter.abort", "DataWriter.close"];
/** The calls of a writer, without those for rows, if nothing in them threw. */
const FORMS: ReadonlySet<string> = new Set([
  "",
  "abort,close",
  "commit,abort,close",
  "commit,commit:return,abort,close",
  "commit,commit:return,close",
  "writeAll,abort,close",
  "writeAll,commit,abort,close",
  "writeAll,commit,commit:return,abort,close",
  "writeAll,commit,commit:return,close",
]);

function isWellFormed(calls: readonly Call[]): boolean {
  const names = calls.flatMap(
    ({ call }) => /^DataWriter\.(?!write(?!All)|currentM)(.+)$/.exec(call)?.[1] ?? [],
  );
  return FORMS.has(names.join());
}

/** An attempt that only the engine made must be one that finished or was stopped. */
function checkCut(place: string, calls: readonly Call[]): void {
  if (calls.some(isRaise)) return;
  if (!isWellFormed(calls)) differ(place, "no such attempt", shown(calls.at(-1)));
}
