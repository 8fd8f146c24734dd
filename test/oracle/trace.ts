import { readFileSync } from "node:fs";
import { canonicalJson, type JsonValue } from "../../shared/contract/json.ts";
import { parseFilter } from "./python-repr.ts";

/** Arguments of a call by name, as the oracle writes them. */
export type Args = { readonly [name: string]: JsonValue };

/** One call of the contract, or a fault that was put in (`!! raise in commit`). */
export interface Call {
  readonly call: string;
  readonly args: Args;
}

/** The task in which a call was made, in the oracle's names. */
export interface TaskId {
  readonly partitionId: number;
  readonly attemptNumber: number;
  readonly batchIdProp: string | null;
}

/** One line of a trace. */
export interface Entry extends Call {
  readonly proc?: string;
  readonly task?: TaskId | null;
  /** `>=2`: made at least so often, one after the other; how often exactly was up to the clock. */
  readonly repeats?: string;
}

/** What the driver program started a query with: enough to start it again. */
export interface Start {
  readonly label: string;
  readonly trigger: JsonValue;
  readonly ropts: Args;
  readonly wopts: Args;
}

/**
 * The calls of one attempt of a task. Spark reads and writes in two processes, so the calls of the
 * two sides have no order between them.
 */
export interface TaskCalls {
  readonly batch: number;
  readonly partition: number;
  readonly attempt: number;
  readonly reader: Call[];
  readonly writer: Call[];
}

/**
 * What the ledger (Spark: the checkpoint) holds: the end of each batch that was begun, and which of
 * them are committed.
 */
export interface Checkpoint {
  readonly offsets: Record<string, JsonValue>;
  readonly commits: string[];
}

/** How a run ended: `undefined` if it was killed. */
export interface Ended {
  readonly failed: boolean;
  /** The points whose faults its error names. */
  readonly faults: readonly string[];
  /** Code of Millrace's error, if the engine refuses what Spark refused. */
  readonly refusal?: string;
  /**
   * What an action of a batch returned: the number of rows it collected, `null` if it wrote them.
   */
  readonly value?: JsonValue;
  /** All that is recorded of the exception of such an action. */
  readonly exception?: string;
}

/**
 * One run of a query, or one action of a batch, from its start to its end or its death, with the
 * processes mapped away.
 */
export interface Run {
  start: Start;
  /** An action of a batch: a job of its own, with nothing to resume. */
  isBatch: boolean;
  /** Class of the source. */
  source: string;
  /**
   * The calls of planning, commit and abort, in their order. A writer's construction is among them
   * if it is made for a commit or an abort.
   */
  driver: Call[];
  tasks: TaskCalls[];
  /** All other constructions, each once: how often they are made is a matter of processes. */
  made: Call[];
  ended: Ended | undefined;
  checkpoint: Checkpoint | undefined;
}

/** A recorded scenario. */
export interface Recording {
  readonly scenario: string;
  readonly trace: readonly Entry[];
}

/** The recording in a file; `undefined` if the file is no trace. */
export function readRecording(path: string): Recording | undefined {
  const { scenario, trace } = JSON.parse(readFileSync(path, "utf8")) as Partial<Recording>;
  return scenario === undefined || trace === undefined ? undefined : { scenario, trace };
}

const START = "== driver: start query";
const ENDED = "== driver: query ended";
const CHECKPOINT = "== checkpoint";
/** Of an action of a batch; it begins with any other entry of the driver. */
const RETURNED = "== driver: returned";
const EXCEPTION = "== driver: exception";
const MADE = new Set([
  "DataSource.__init__",
  "DataSource.schema",
  "DataSource.streamReader",
  "DataSource.streamReader -> NOT_IMPLEMENTED (as the base class)",
  "DataSource.simpleStreamReader",
  "reader.__init__",
  "writer.__init__",
]);
const ENDS = new Set(["writer.commit", "writer.abort"]);

/**
 * True for the trace of a driver program that reads and writes batches, one action after the other,
 * and starts no query.
 */
export function isBatchTrace(trace: readonly Entry[]): boolean {
  return (
    trace.some(({ call }) => isBatchEnd(call)) &&
    !trace.some(({ call }) => [START, ENDED, CHECKPOINT].some((known) => call.startsWith(known)))
  );
}

function isBatchEnd(call: string): boolean {
  return call === RETURNED || call === EXCEPTION;
}

/**
 * Entries of the driver program that mean something else than the start and the end of a stream.
 */
export function unknownDriverEntries(trace: readonly Entry[]): readonly string[] {
  return trace
    .map(({ call }) => call)
    .filter(
      (call) => call.startsWith("==") && ![START, ENDED, CHECKPOINT].some((known) => call.startsWith(known)),
    );
}

/** Splits a trace into its runs: a query's, or the actions of batches. */
export function runsOf(trace: readonly Entry[], isBatch: boolean = isBatchTrace(trace)): Run[] {
  const begins = isBatch
    ? ({ call }: Entry) => call.startsWith("==") && !isBatchEnd(call)
    : ({ call }: Entry) => call.startsWith(START);
  const runs: { run: Run; driver: Entry[] }[] = [];
  const begun: Begun = new Map();
  for (const entry of trace.flatMap(isBatch ? normalisedBatch : normalised)) {
    if (begins(entry)) {
      runs.push({ run: emptyRun(entry, isBatch), driver: [] });
      continue;
    }
    const last = runs.at(-1);
    if (last === undefined) throw new Error(`the trace begins with "${entry.call}", not with a start`);
    addEntry(last.run, last.driver, begun, entry);
  }
  return runs.map(({ run, driver }) => {
    placeDriverCalls(run, driver);
    return run;
  });
}

function emptyRun({ call, args }: Entry, isBatch: boolean): Run {
  const { trigger = isBatch ? { once: true } : null, ropts = {}, wopts = {} } = args;
  const label = call.startsWith(START) ? call.slice(START.length) : call.replace("== driver: ", "");
  return {
    isBatch,
    start: {
      label: label.replace(/^[ (]+|[ )]+$/g, "") || "start",
      trigger,
      ropts: ropts as Args,
      wopts: wopts as Args,
    },
    source: "",
    driver: [],
    tasks: [],
    made: [],
    ended: undefined,
    checkpoint: undefined,
  };
}

/**
 * The run in which one side of a task was begun, by process: Spark's tasks may outlive an abort,
 * and even the run.
 */
type Begun = Map<string, Run>;

function addEntry(run: Run, driver: Entry[], begun: Begun, entry: Entry): void {
  const { call, args, task } = entry;
  const ended = endIn(entry);
  if (ended !== undefined) run.ended = ended;
  else if (call.startsWith(CHECKPOINT)) run.checkpoint = checkpointOf(args);
  else if (task !== undefined && task !== null) addTaskCall(run, begun, entry, task);
  else {
    if (call === "DataSource.__init__" && run.source === "") run.source = String(args["cls"]);
    driver.push(entry);
  }
}

function addTaskCall(run: Run, begun: Begun, { call, args, proc }: Entry, task: TaskId): void {
  const side = /^(reader\.|!! .* read$)/.test(call) ? "reader" : "writer";
  const key = JSON.stringify([task, side, proc]);
  if (call.endsWith(":enter") && !call.startsWith("!!")) begun.set(key, run);
  taskOf(begun.get(key) ?? run, task)[side].push({ call, args });
}

/**
 * Tells a construction for a commit or an abort, which the contract speaks of, from those that are
 * a matter of processes.
 */
function placeDriverCalls(run: Run, entries: readonly Entry[]): void {
  const calls = entries.filter(({ call }) => !MADE.has(call) || call === "writer.__init__");
  const before = (entry: Entry) => calls[calls.indexOf(entry) + 1];
  for (const entry of expandRepeats(entries)) {
    const { call, args, proc } = entry;
    const next = before(entry);
    const isForEnd =
      call === "writer.__init__" && next !== undefined && ENDS.has(next.call) && next.proc === proc;
    if (!MADE.has(call) || isForEnd) run.driver.push({ call, args });
    else if (!run.made.some((made) => sameCall(made, { call, args }))) run.made.push({ call, args });
  }
}

/** Neighbours with the same `repeats` are one round, which is repeated as a whole. */
function expandRepeats(entries: readonly Entry[]): Entry[] {
  const expanded: Entry[] = [];
  for (let i = 0; i < entries.length; ) {
    const { repeats } = entries[i] as Entry;
    let end = i + 1;
    if (repeats !== undefined) while (entries[end]?.repeats === repeats) end++;
    const times = repeats === undefined ? 1 : Number(repeats.replace(">=", ""));
    for (let time = 0; time < times; time++) expanded.push(...entries.slice(i, end));
    i = end;
  }
  return expanded;
}

/**
 * What no comparison may depend on: the name that Python has for the class of an iterator, and the
 * first of two entries that some versions of the recorder wrote for one call.
 */
function normalised(entry: Entry): Entry[] {
  if (entry.call === "reader.latestOffset:enter") return [];
  if (entry.call !== "writer.write:enter") return [entry];
  const { iterator: _, ...args } = entry.args;
  return [{ ...entry, args }];
}

/**
 * Of a batch: Python's name for the class of its options, and its way of writing filters. Its only
 * batch has no id in Spark.
 */
function normalisedBatch(entry: Entry): Entry[] {
  return normalised(entry).map((normal) => {
    const { call, args } = normal;
    if (call === "DataSource.__init__") {
      const { type: _, ...others } = args;
      return { ...normal, args: others };
    }
    if (/^writer\.(commit|commit:return|abort)$/.test(call))
      return { ...normal, args: { ...args, batchId: 0 } };
    const lists = Object.entries(args).filter(([name]) => name === "filters" || name === "filters_seen");
    const parsedLists = lists.map(
      ([name, filters]) => [name, (filters as JsonValue[]).map(filterOf)] as const,
    );
    return { ...normal, args: { ...args, ...Object.fromEntries(parsedLists) } };
  });
}

function filterOf(filter: JsonValue): JsonValue {
  return typeof filter === "string" ? parseFilter(filter) : filter;
}

function taskOf(run: Run, { batchIdProp, partitionId, attemptNumber }: TaskId): TaskCalls {
  const batch = Number(batchIdProp);
  const known = run.tasks.find(
    (task) => task.batch === batch && task.partition === partitionId && task.attempt === attemptNumber,
  );
  if (known !== undefined) return known;
  const task: TaskCalls = { batch, partition: partitionId, attempt: attemptNumber, reader: [], writer: [] };
  run.tasks.push(task);
  return task;
}

/** How the run ended, if the entry tells it. */
function endIn({ call, args }: Entry): Ended | undefined {
  if (call === RETURNED) return { failed: false, faults: [], value: args["value"] ?? null };
  if (call === EXCEPTION) return refusedOf(args);
  if (!call.startsWith(ENDED)) return undefined;
  const { exception = null, code } = args;
  return { ...endedOf(exception), ...(typeof code === "string" ? { refusal: code } : {}) };
}

/** Spark's own exception, or Millrace's: of both only the points of the faults are comparable. */
function endedOf(exception: JsonValue): Ended {
  if (exception === null) return { failed: false, faults: [] };
  const points = JSON.stringify(exception).matchAll(/injected fault at ([\w.:]+)/g);
  return { failed: true, faults: [...new Set([...points].map(([, point]) => point ?? ""))] };
}

/** What Spark calls what Millrace refuses as well. */
const REFUSALS = new Map([["UNSUPPORTED_DATA_SOURCE_SAVE_MODE", "SAVE_MODE_NOT_SUPPORTED"]]);

function refusedOf(args: Args): Ended {
  const condition = String(args["condition"]);
  const refusal = String(args["code"] ?? REFUSALS.get(condition) ?? "");
  const exception = JSON.stringify(args);
  return { ...endedOf(args), exception, ...(refusal === "" ? {} : { refusal }) };
}

function checkpointOf(args: Args): Checkpoint {
  const { offsets = {}, commits = {} } = args as { offsets?: Args; commits?: Args };
  return {
    offsets: Object.fromEntries(Object.entries(offsets).map(([id, end]) => [id, parsed(end)])),
    commits: Object.keys(commits),
  };
}

/** Spark keeps offsets as text. */
export function parsed(offset: JsonValue): JsonValue {
  return typeof offset === "string" ? (JSON.parse(offset) as JsonValue) : offset;
}

export function sameJson(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  return canonicalJson(a ?? null) === canonicalJson(b ?? null);
}

export function sameCall(a: Call, b: Call): boolean {
  return a.call === b.call && sameJson(a.args, b.args);
}

/** True for a `latestOffset`, or a simple reader's `read`, that found nothing new. */
export function isIdlePoll(call: Call): boolean {
  const { args } = call;
  if (call.call === "reader.latestOffset") return sameJson(args["start"], parsed(args["returns"] ?? null));
  return call.call === "simple.read" && sameJson(args["start"], simpleEnd(call));
}

/** The offset that a simple reader's `read` returned; `undefined` if its trace has none. */
export function simpleEnd({ call, args }: Call): JsonValue | undefined {
  const { returns } = args;
  if (call !== "simple.read" || typeof returns !== "object" || returns === null) return undefined;
  return (returns as Args)["end"];
}

/**
 * Such calls of a run; of a reader that is not told a start, those that found the end of the batch
 * before.
 */
export function countIdlePolls(driver: readonly Call[]): number {
  let end: JsonValue | undefined;
  let count = 0;
  for (const call of driver) {
    if (call.call === "reader.partitions") end = call.args["end"];
    const isSameEnd = call.args["no_args"] === true && sameJson(call.args["returns"], end);
    if (isIdlePoll(call) || isSameEnd) count++;
  }
  return count;
}

export function showCall({ call, args }: Call): string {
  return `${call} ${canonicalJson(args)}`;
}
