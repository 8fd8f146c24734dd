import type { Args, Call } from "../trace.ts";
import type { GivenOp, Op, OpRow, SessionOp } from "./op.ts";

/** The task attempt that made a call. */
export interface TaskId {
  readonly partitionId: number;
  readonly attemptNumber: number;
  readonly taskId: number;
}

/** One line of a trace. Without `task` the driver made the call. */
export interface Entry extends Call {
  readonly task?: TaskId;
}

export interface Recording {
  readonly scenario: string;
  readonly notes?: readonly string[];
  readonly trace: readonly Entry[];
}

/** The calls of one attempt of a task. */
export interface Attempt {
  /** The batch of a stream; 0 in a batch. */
  readonly epoch: number;
  readonly partition: number;
  readonly attempt: number;
  calls: Call[];
}

/** How a statement ended. `faults` are the points of the faults that its error names. */
export type End = { readonly failed: boolean; readonly faults: readonly string[]; readonly text: string };

/** A statement, and the calls that it caused. */
export interface Run {
  readonly kind: "run";
  readonly op: Op;
  /** Calls of the driver, in order. */
  driver: Call[];
  /** In the order in which they began. */
  attempts: Attempt[];
  end: End | undefined;
  /** The metrics that people saw, by description. */
  metrics?: Readonly<Record<string, string>>;
}

/** Rows of a table: of each task that added some, by the number of its file. */
export type Files = Readonly<Record<string, readonly OpRow[]>>;

/** One step of a scenario. */
export type Step =
  | { readonly kind: "session"; readonly op: SessionOp }
  | { readonly kind: "given"; readonly op: GivenOp; readonly files: Files }
  | Run
  | { readonly kind: "rows"; readonly table: string; readonly files: Files | null };

/** True if the statements of the recording are data, as in the recordings of `connector.write`. */
export function isWriteTrace(trace: readonly Entry[]): boolean {
  return trace.some(({ call, args }) => call === DRIVER.session && args["op"] !== undefined);
}

const DRIVER = {
  session: "== driver: session",
  given: "== driver: given",
  run: "== driver: run",
  ok: "== driver: ok",
  error: "== driver: error",
  rows: "== driver: rows",
  metrics: "== driver: metrics shown",
} as const;
/** Entries that need no step: each statement says itself what checkpoint it has. */
const IGNORED: ReadonlySet<string> = new Set(["== driver: waited", "== driver: new checkpoint"]);

/** Cuts a trace into its steps. Throws if it has an entry of the driver that is not known. */
export function stepsOf(trace: readonly Entry[]): Step[] {
  const reader = new TraceReader();
  for (const entry of trace) reader.add(entry);
  return reader.steps;
}

class TraceReader {
  readonly steps: Step[] = [];
  /** The run in which a task began. A task may outlive its run. */
  readonly #runOfTask = new Map<number, Run>();

  add({ call, args, task }: Entry): void {
    if (IGNORED.has(call)) return;
    if (call.startsWith("==")) this.#addDriverEntry(call, args);
    else if (task === undefined) this.#lastRun(call).driver.push({ call, args });
    else this.#addTaskCall({ call, args }, task);
  }

  #addDriverEntry(call: string, args: Args): void {
    const op = args["op"] as unknown as Op;
    if (call === DRIVER.session) this.steps.push({ kind: "session", op: op as SessionOp });
    else if (call === DRIVER.given)
      this.steps.push({ kind: "given", op: op as GivenOp, files: args["files"] as unknown as Files });
    else if (call === DRIVER.run)
      this.steps.push({ kind: "run", op, driver: [], attempts: [], end: undefined });
    else if (call === DRIVER.ok) this.#lastRun(call).end = { failed: false, faults: [], text: "" };
    else if (call === DRIVER.error) this.#lastRun(call).end = endOf(args);
    else if (call === DRIVER.metrics) this.#lastRun(call).metrics = args as Record<string, string>;
    else if (call === DRIVER.rows)
      this.steps.push({ kind: "rows", table: String(args["table"]), files: args["files"] as Files | null });
    else throw new Error(`the driver's "${call}" is not known`);
  }

  #addTaskCall(call: Call, { taskId, partitionId, attemptNumber }: TaskId): void {
    const run = this.#runOfTask.get(taskId) ?? this.#lastRun(call.call);
    this.#runOfTask.set(taskId, run);
    const { epochId } = call.args;
    const isNew = isCreateWriter(call);
    const last = run.attempts.findLast(
      ({ partition, attempt }) => partition === partitionId && attempt === attemptNumber,
    );
    if (last !== undefined && !isNew) {
      last.calls.push(call);
      return;
    }
    const epoch = typeof epochId === "number" ? epochId : 0;
    run.attempts.push({ epoch, partition: partitionId, attempt: attemptNumber, calls: [call] });
  }

  /** What a stream still does when it is stopped is its own. */
  #lastRun(call: string): Run {
    const isOwn = (step: Step) => step.kind === "run" && (call.startsWith("==") || step.op.kind !== "stop");
    const run = this.steps.findLast(isOwn);
    if (run === undefined) throw new Error(`"${call}" stands before the first statement`);
    return run as Run;
  }
}

interface Thrown {
  readonly class: string;
  readonly message: string;
}

/**
 * The innermost cause decides which fault an error is of; in a stream Spark's text may be all that
 * is left of it.
 */
function endOf(args: Args): End {
  const chain = args["chain"] as unknown as readonly Thrown[];
  const text = chain.map(({ message }) => message).join("\n");
  return { failed: true, faults: faultsIn(chain.at(-1)?.message ?? ""), text };
}

/** Returns the points of the faults that a text names. */
export function faultsIn(text: string): readonly string[] {
  return [...new Set([...text.matchAll(/fault in ([\w.]+(?::\w+)?)/g)].map(([, point]) => point as string))];
}

/** True if the call makes the writer of an attempt. */
export function isCreateWriter({ call }: Call): boolean {
  return call === "DataWriterFactory.createWriter" || call === "StreamingDataWriterFactory.createWriter";
}
