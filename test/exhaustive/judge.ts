import { tableFromIPC } from "apache-arrow";
import type { Batch, Head } from "../../shared/engine/ports/ledger.ts";
import type { Task } from "../../shared/engine/ports/tasks.ts";
import type { Acknowledged, Call, Objects } from "./calls.ts";
import type { Records } from "./memory-ledger.ts";
import { PIPELINE, type Shape } from "./process.ts";

/** What all processes and calls share, in one state. */
export interface Snapshot {
  readonly records: Records;
  readonly objects: Objects;
  readonly acknowledged: Acknowledged;
}

interface LogEntry {
  readonly batchId: number;
  readonly incarnation: string;
  readonly add: readonly { readonly path: string }[];
}

const LOG = /^table\/_log\/\d{20}\.json$/;
const DATA = "table/data/";
const PLANS = "batches/";

/** Returns the rule that is broken in a state that the processes can reach, or `undefined`. */
export function worldProblem({ records, objects, acknowledged }: Snapshot): string | undefined {
  const log = logOf(objects);
  const rows = rowsOf(log, objects);
  if (rows === undefined) return "a commit names a file that is not there";
  const batches = batchesOf(records);
  return (
    logProblem(log, records, objects) ??
    rowsProblem(rows) ??
    batches.map((batch) => neededProblem(batch, records, objects, log)).find((each) => each !== undefined) ??
    offsetProblem(records, batches, log) ??
    (acknowledged.some((end) => rows.length < end)
      ? "the source was told to forget rows that are not in the table"
      : undefined)
  );
}

/** Returns the rule that is broken when runs without faults and a vacuum have ended. */
export function endProblem(
  { records, objects, acknowledged }: Snapshot,
  { rows }: Shape,
): string | undefined {
  const log = logOf(objects);
  const found = rowsOf(log, objects) ?? [];
  if (found.length < rows) return `${rows - found.length} rows are lost`;
  if (found.length > rows) return "rows are doubled";
  const named = new Set(log.flatMap(({ add }) => add.map(({ path }) => `table/${path}`)));
  for (const key of objects.keys()) {
    if (key.startsWith(DATA) && !named.has(key)) return "a staged file was left behind";
    if (key.startsWith(PLANS)) return "a plan or a message was left behind";
  }
  const head = records.heads[PIPELINE];
  if (head?.openBatchId !== undefined) return "a batch is left open";
  if (head?.unacknowledged !== undefined) return "a batch is left to acknowledge";
  if (Number(head?.offset?.["n"]) !== rows) return "the offset is not the end of the last batch";
  const batches = batchesOf(records);
  if (batches.some(({ batchId }, at) => batchId !== at)) return "batch ids do not go up by one";
  const open = batches.find(({ state }) => state !== "committed");
  if (open !== undefined) return `a batch is left ${open.state}`;
  const untold = batches.find(({ end }) => !acknowledged.includes(Number(end["n"])));
  return untold === undefined ? undefined : "the source was never told of a committed batch";
}

/** True for a call that a run must not make when it knows that it has lost the pipeline. */
export function isForbiddenWhenFenced({ part, method }: Call): boolean {
  if (part === "store") return method === "put" || method === "delete";
  if (part === "source") return true;
  return /^(?:initialize|plan|replan|dropTasks|decide|finish|acknowledge|recordTask)$/.test(method);
}

/** The log in the order of its versions. */
function logOf(objects: Objects): readonly LogEntry[] {
  const keys = [...objects.keys()].filter((key) => LOG.test(key)).sort();
  return keys.map((key) => JSON.parse(Buffer.from(objects.get(key) ?? []).toString()) as LogEntry);
}

const read = new WeakMap<Uint8Array, readonly number[]>();

/** The rows of the table, or `undefined` if a file is gone. */
function rowsOf(log: readonly LogEntry[], objects: Objects): readonly number[] | undefined {
  const rows: number[] = [];
  for (const { path } of log.flatMap(({ add }) => add)) {
    const file = objects.get(`table/${path}`);
    if (file === undefined) return undefined;
    const ids = read.get(file) ?? [...(tableFromIPC(file).getChild("id") ?? [])].map(Number);
    read.set(file, ids);
    rows.push(...ids);
  }
  return rows;
}

/** The rows are the numbers from 0, in order. */
function rowsProblem(rows: readonly number[]): string | undefined {
  if (new Set(rows).size < rows.length) return "rows are doubled";
  return rows.every((row, at) => row === at) ? undefined : "rows are lost, or out of order";
}

/** Each batch is in the log once, with the files of all tasks of one attempt. */
function logProblem(log: readonly LogEntry[], records: Records, objects: Objects): string | undefined {
  if (new Set(log.map(({ batchId }) => batchId)).size < log.length) return "the log has a batch twice";
  for (const { batchId, add } of log) {
    const batch = batchesOf(records).find((each) => each.batchId === batchId);
    if (batch === undefined) return "the log has a batch that the ledger does not know";
    const paths = JSON.stringify(add.map(({ path }) => path));
    const attempts = Array.from({ length: batch.attempt }, (_, at) => tasksOf(records, batchId, at + 1));
    // A vacuum deletes the messages of a batch that is closed.
    const isOfOne = attempts.some((tasks) => {
      const staged = tasks.map((task) => pathsOf(task, objects));
      return staged.includes(undefined) || JSON.stringify(staged.flat()) === paths;
    });
    if (!isOfOne) return "a commit does not have the files of the recorded tasks";
  }
  return undefined;
}

/** What an attempt needs that is not over must be there, unless its batch is in the table. */
function neededProblem(
  batch: Batch,
  records: Records,
  objects: Objects,
  log: readonly LogEntry[],
): string | undefined {
  const isOpen = batch.state === "planned" || batch.state === "committing";
  if (!isOpen || log.some(({ batchId }) => batchId === batch.batchId)) return undefined;
  const tasks = tasksOf(records, batch.batchId, batch.attempt);
  for (const paths of tasks.map((task) => pathsOf(task, objects))) {
    if (paths === undefined) return "a message of a recorded task was deleted while its attempt is open";
    if (paths.some((path) => !objects.has(`table/${path}`)))
      return "a file of a recorded task was deleted while its attempt is open";
  }
  if (tasks.length < batch.tasks && !objects.has(batch.partitionsKey))
    return "the plan of an open batch was deleted";
  return undefined;
}

/** The offset is the end of the last committed batch, and each committed batch is in the table. */
function offsetProblem(
  records: Records,
  batches: readonly Batch[],
  log: readonly LogEntry[],
): string | undefined {
  const committed = batches.filter(({ state }) => state === "committed");
  if (committed.some(({ batchId }) => !log.some((entry) => entry.batchId === batchId)))
    return "a committed batch is not in the table";
  const head: Head | undefined = records.heads[PIPELINE];
  const open = batches.filter(({ state }) => state !== "committed");
  if (open.length > 1) return "two batches are open";
  if (open[0]?.batchId !== head?.openBatchId) return "the open batch is not the one that the head names";
  const end = committed.at(-1)?.end ?? batches[0]?.start ?? head?.offset;
  return end?.["n"] === head?.offset?.["n"]
    ? undefined
    : "the offset is not the end of the last committed batch";
}

function batchesOf(records: Records): readonly Batch[] {
  return Object.values(records.batches).sort((a, b) => a.batchId - b.batchId);
}

/** The recorded tasks of an attempt, in the order of their partitions. */
function tasksOf(records: Records, batchId: number, attempt: number): readonly Task[] {
  const found = Object.entries(records.tasks).filter(([key]) => {
    const [, , batch, ofAttempt] = key.split("/");
    return Number(batch) === batchId && Number(ofAttempt) === attempt;
  });
  return found.map(([, task]) => task).sort((a, b) => a.partition - b.partition);
}

/** The files that a task staged, or `undefined` if its message was stored apart and is gone. */
function pathsOf({ message, messageKey }: Task, objects: Objects): readonly string[] | undefined {
  const stored = messageKey === undefined ? undefined : objects.get(messageKey);
  if (messageKey !== undefined && stored === undefined) return undefined;
  const told: unknown = stored === undefined ? message : JSON.parse(Buffer.from(stored).toString());
  const { files } = told as { readonly files: readonly { readonly path: string }[] };
  return files.map(({ path }) => path);
}
