import { readFileSync } from "node:fs";
import { canonicalJson, type JsonValue } from "../../shared/contract/json.ts";
import { parseFilter } from "./python-repr.ts";

/** Arguments of a call by name, as the oracle writes them. */
export type Args = { readonly [name: string]: JsonValue };

/** One call of the contract, or an injected fault (`!! raise in commit`). */
export interface Call {
  readonly call: string;
  readonly args: Args;
}

/** The task that made a call, with the oracle's names. */
export interface TaskId {
  readonly partitionId: number;
  readonly attemptNumber: number;
  readonly batchIdProp: string | null;
}

/** One line of a trace. */
export interface Entry extends Call {
  readonly proc?: string;
  readonly task?: TaskId | null;
  /**
   * The number of times in a row that the call was made. `>=2` means at least twice, because the
   * clock decided the number.
   */
  readonly repeats?: string;
}

/**
 * The settings with which the driver program started a query. They are enough to start it again.
 */
export interface Start {
  readonly label: string;
  readonly trigger: JsonValue;
  readonly ropts: Args;
  readonly wopts: Args;
}

/**
 * The calls of one attempt of a task. Spark reads and writes in two processes, so the order between
 * the calls of the two sides is unknown.
 */
export interface TaskCalls {
  readonly batch: number;
  readonly partition: number;
  readonly attempt: number;
  readonly reader: Call[];
  readonly writer: Call[];
}

/**
 * The content of the ledger, or of Spark's checkpoint: the end of each planned batch, and the
 * committed batches.
 */
export interface Checkpoint {
  readonly offsets: Record<string, JsonValue>;
  readonly commits: string[];
}

/** The end of a run; `undefined` if it was killed. */
export interface Ended {
  readonly failed: boolean;
  /** The points of the faults that the run's error names. */
  readonly faults: readonly string[];
  /** Code of Millrace's error, if the engine refuses what Spark refused. */
  readonly refusal?: string;
  /**
   * The result of an action of a batch: the number of collected rows, or `null` if it wrote rows.
   */
  readonly value?: JsonValue;
  /** The recorded text of the exception, if the action of a batch failed. */
  readonly exception?: string;
}

/**
 * One run of a query, or one action of a batch, up to its end or its kill. It does not show which
 * process made a call.
 */
export interface Run {
  start: Start;
  /** True for an action of a batch: a separate job without a state to resume. */
  isBatch: boolean;
  /** Class of the source. */
  source: string;
  /**
   * The calls of planning, commit and abort, in order. They include the construction of a writer
   * that commits or aborts.
   */
  driver: Call[];
  tasks: TaskCalls[];
  /**
   * The constructions that are not in `driver`. Equal constructions are listed once, because their
   * number depends on processes.
   */
  made: Call[];
  ended: Ended | undefined;
  checkpoint: Checkpoint | undefined;
}

/** A recorded scenario. */
export interface Recording {
  readonly scenario: string;
  readonly trace: readonly Entry[];
}

/** Returns the recording in a file, or `undefined` if the file does not contain a trace. */
export function readRecording(path: string): Recording | undefined {
  const { scenario, trace } = JSON.parse(readFileSync(path, "utf8")) as Partial<Recording>;
  return scenario === undefined || trace === undefined ? undefined : { scenario, trace };
}

const START = "== driver: start query";
const ENDED = "== driver: query ended";
const CHECKPOINT = "== checkpoint";
/** The name of the entry with which a successful action of a batch ends. */
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
 * Returns true for the trace of a driver program that reads and writes batches one after the other
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

/** Returns the entries of the driver program other than the start and the end of a stream. */
export function unknownDriverEntries(trace: readonly Entry[]): readonly string[] {
  return trace
    .map(({ call }) => call)
    .filter(
      (call) => call.startsWith("==") && ![START, ENDED, CHECKPOINT].some((known) => call.startsWith(known)),
    );
}

/** Splits a trace into runs. A run is one run of a query, or one action of a batch. */
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
 * The run in which one side of a task began, by task, side and process. A task of Spark may
 * continue after an abort, and even after its run.
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
 * Adds the driver's calls to a run. The construction of a writer that commits or aborts is added to
 * `driver`, because the contract describes it. All other constructions are added to `made`, because
 * their number depends on processes.
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

/**
 * Expands repeated entries. Consecutive entries with the same `repeats` form one round, and the
 * whole round is repeated.
 */
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
 * Removes details that no comparison may depend on: Python's name for the class of an iterator, and
 * an entry that only some versions of the recorder write.
 */
function normalised(entry: Entry): Entry[] {
  if (entry.call === "reader.latestOffset:enter") return [];
  if (entry.call !== "writer.write:enter") return [entry];
  const { iterator: _, ...args } = entry.args;
  return [{ ...entry, args }];
}

/**
 * Removes details of a batch that no comparison may depend on: those of `normalised`, and Python's
 * name for the class of the options. Parses Python's text of filters. Sets the batch id to 0,
 * because Spark has no id for the only batch.
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

/** Returns the end of the run if the entry contains it, otherwise `undefined`. */
function endIn({ call, args }: Entry): Ended | undefined {
  if (call === RETURNED) return { failed: false, faults: [], value: args["value"] ?? null };
  if (call === EXCEPTION) return refusedOf(args);
  if (!call.startsWith(ENDED)) return undefined;
  const { exception = null, code } = args;
  return { ...endedOf(exception), ...(typeof code === "string" ? { refusal: code } : {}) };
}

/**
 * Returns the end of a run from an exception of Spark or of Millrace. Only the fault points in the
 * exception can be compared.
 */
function endedOf(exception: JsonValue): Ended {
  if (exception === null) return { failed: false, faults: [] };
  const points = JSON.stringify(exception).matchAll(/injected fault at ([\w.:]+)/g);
  return { failed: true, faults: [...new Set([...points].map(([, point]) => point ?? ""))] };
}

/** Codes of Millrace's errors, by Spark's names of errors for the same cases. */
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

/** Parses an offset that Spark stores as text. Returns any other value unchanged. */
export function parsed(offset: JsonValue): JsonValue {
  return typeof offset === "string" ? (JSON.parse(offset) as JsonValue) : offset;
}

export function sameJson(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  return canonicalJson(a ?? null) === canonicalJson(b ?? null);
}

export function sameCall(a: Call, b: Call): boolean {
  return a.call === b.call && sameJson(a.args, b.args);
}

/** Returns true for a `latestOffset`, or a simple reader's `read`, that found no new data. */
export function isIdlePoll(call: Call): boolean {
  const { args } = call;
  if (call.call === "reader.latestOffset") return sameJson(args["start"], parsed(args["returns"] ?? null));
  return call.call === "simple.read" && sameJson(args["start"], simpleEnd(call));
}

/**
 * Returns the offset that a simple reader's `read` returned, or `undefined` if the call has none.
 */
export function simpleEnd({ call, args }: Call): JsonValue | undefined {
  const { returns } = args;
  if (call !== "simple.read" || typeof returns !== "object" || returns === null) return undefined;
  return (returns as Args)["end"];
}

/**
 * Returns the number of calls in a run that found no new data. A call without a start is counted if
 * it returns the end of the last batch.
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
