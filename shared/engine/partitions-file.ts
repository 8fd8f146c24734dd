import { type ErrorLocation, MillraceError } from "../contract/errors.ts";
import { findNonJson, hintOfNonJson, kindOf } from "../contract/json.ts";
import { batchDigits } from "../contract/keys.ts";
import type { ObjectStore } from "../contract/object-store.ts";
import { BATCH_FILE, type ListedTask, STORE_FOLDER } from "../contract/store-layout.ts";
import { checkOverlap } from "./overlap.ts";
import {
  decodeHeader,
  decodeIndex,
  decodeOldFile,
  decodePartition,
  encodeLines,
  type FileLayout,
  fileBytes,
  indexRange,
  PartitionsFormatError,
  type PlanHeader,
} from "./partitions-format.ts";

/** The plan of a batch. A replay uses this stored plan and does not ask the source again. */
export interface PlannedPartitions extends Omit<PlanHeader, "count"> {
  readonly partitions: readonly unknown[];
}

/** What a task needs of the plan: the header, and its own partition. */
export interface PlannedTask extends PlanHeader {
  /** `undefined` in a batch without partitions. */
  readonly partition: unknown;
}

/** Returns the folder of the engine's files for a batch, such as `batches/000000000012/`. */
export function batchFolder(batchId: number): string {
  return `${STORE_FOLDER.batches}/${batchDigits(batchId)}/`;
}

/**
 * Returns the name of a new plan, from which the keys of its files are made. The epoch in it tells
 * vacuum whether the run that wrote the files can still record them in the ledger.
 */
export function planName(batchId: number, epoch: number, id: string): string {
  return `${batchFolder(batchId)}${BATCH_FILE.partitions}${epoch}-${id}`;
}

/** Returns the key of the rows that a simple reader returned for this plan. */
export function rowsKey(planName: string): string {
  return `${planName}.arrow`;
}

/** Returns where the keys begin of a simple reader's rows that do not fit the schema. */
export function misfitsPrefix(planName: string): string {
  return `${planName}.misfits`;
}

/** Returns the name of the plan that has this file. Vacuum treats all files of a plan alike. */
export function planNameOf(key: string): string {
  return key.replace(/\.(?:h\d+-i\d+-n\d+\.jsonl|json|arrow|misfits-\d+\.jsonl)$/, "");
}

function keyOf(planName: string, { headerBytes, indexAt, count }: FileLayout): string {
  return `${planName}.h${headerBytes}-i${indexAt}-n${count}.jsonl`;
}

/** Returns the layout from the name of a file. `undefined` for a file of an older version. */
function layoutOf(key: string): FileLayout | undefined {
  const found = /\.h(\d+)-i(\d+)-n(\d+)\.jsonl$/.exec(key);
  return found === null
    ? undefined
    : { headerBytes: Number(found[1]), indexAt: Number(found[2]), count: Number(found[3]) };
}

const BATCH_KEY = new RegExp(
  `^${STORE_FOLDER.batches}/(\\d{12})/(?:(?:${BATCH_FILE.partitions}|${BATCH_FILE.todo})(\\d+)-)?`,
);

/**
 * Parses the batch id and the epoch from a key in a batch's folder. A file with a commit message
 * has no epoch.
 */
export function parseBatchKey(
  key: string,
): { readonly batchId: number; readonly epoch: number | undefined } | undefined {
  const match = BATCH_KEY.exec(key);
  if (match === null) return undefined;
  return { batchId: Number(match[1]), epoch: match[2] === undefined ? undefined : Number(match[2]) };
}

/**
 * Returns the key of a todo file. It lists tasks of a batch for a distributed Map, which runs only
 * these.
 */
export function todoKey(batchId: number, epoch: number, id: string): string {
  return `${batchFolder(batchId)}${BATCH_FILE.todo}${epoch}-${id}.json`;
}

/** Returns the result of `partitions` if it is an array. Throws `PARTITIONS_NOT_AN_ARRAY`. */
export function checkPartitionsArray(
  partitions: unknown,
  isBatch: boolean,
  where: ErrorLocation,
): readonly unknown[] {
  if (Array.isArray(partitions)) return partitions as readonly unknown[];
  throw new MillraceError(
    "PARTITIONS_NOT_AN_ARRAY",
    `${isBatch ? "partitions()" : "partitions(start, end)"} must give an array, but gave ${kindOf(partitions)}`,
    {
      where,
      hint: `Give an array of JSON values, one for each task; [] for a batch without rows.${
        isIterable(partitions) ? " Instead of yield: return [a, b]." : ""
      }`,
    },
  );
}

function isIterable(value: unknown): boolean {
  return (
    typeof value === "object" && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value)
  );
}

/**
 * Checks what a reader's `partitions` returned. Throws `PARTITION_NOT_JSON` with the place,
 * `PARTITIONS_OVERLAP` or `TOO_MANY_PARTITIONS`.
 */
export function checkPartitions(partitions: readonly unknown[], maxTasks: number): void {
  if (partitions.length > maxTasks) {
    throw new MillraceError(
      "TOO_MANY_PARTITIONS",
      `partitions(start, end) gave ${partitions.length} partitions; a batch can have ${maxTasks} here`,
      { hint: "Give larger partitions, or a batch that ends earlier." },
    );
  }
  partitions.forEach((partition, i) => {
    const problem = findNonJson(partition, `partitions[${i}]`);
    if (problem === undefined) return;
    throw new MillraceError(
      "PARTITION_NOT_JSON",
      `partitions(start, end) must give JSON values, but gave ${problem}`,
      {
        hint:
          hintOfNonJson(problem) ??
          "Give plain objects, and make anew in read() what has methods: a partition is stored, and read on another machine.",
      },
    );
  });
  checkOverlap(partitions);
}

/** Files up to this size are read whole by each task. */
const SMALL_BYTES = 64 * 1024;
/** Larger files are stored in chunks of about this size. */
const CHUNK_BYTES = 8 * 1024 * 1024;

/** Stores the plan under a name from `planName`. Returns the key of the file. */
export async function writePartitionsFile(
  store: ObjectStore,
  planName: string,
  { partitions, ...header }: PlannedPartitions,
): Promise<string> {
  const { layout, lines } = encodeLines({ ...header, count: partitions.length }, partitions);
  const key = keyOf(planName, layout);
  // The result of `put` is ignored. The key contains a unique id, so it can only exist if an
  // earlier try of this call wrote it.
  await store.put(key, fileBytes(layout) <= CHUNK_BYTES ? Buffer.concat(lines) : inChunks(lines));
  return key;
}

async function* inChunks(lines: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  let chunk: Uint8Array[] = [];
  let bytes = 0;
  for (const line of lines) {
    chunk.push(line);
    bytes += line.length;
    if (bytes < CHUNK_BYTES) continue;
    yield Buffer.concat(chunk);
    chunk = [];
    bytes = 0;
  }
  yield Buffer.concat(chunk);
}

/** Writes a todo file: the tasks of a batch that still have to run. */
export async function writeTodo(store: ObjectStore, key: string, todo: readonly number[]): Promise<void> {
  // As above, an existing object is one that this call wrote.
  await store.put(key, Buffer.from(JSON.stringify(todo.map((task): ListedTask => ({ task })))));
}

/** Reads the whole plan. Throws `PARTITIONS_MISSING` if the file is gone or damaged. */
export async function readPartitionsFile(store: ObjectStore, key: string): Promise<PlannedPartitions> {
  const file = await openWhole(store, key);
  const { count, ...header } = file.header;
  const partitions: unknown[] = [];
  for (let task = 0; task < count; task++) partitions.push(await file.partition(task));
  return { ...header, partitions };
}

/**
 * Reads the header of the plan. It stays in memory, so reading it again for the same store and key
 * costs no request. Throws `PARTITIONS_MISSING`.
 */
export async function readPlanHeader(store: ObjectStore, key: string): Promise<PlanHeader> {
  return (await opened(store, key)).header;
}

/**
 * Reads what one task needs of the plan. Its cost does not depend on the number of partitions.
 * Throws `PARTITIONS_MISSING`.
 */
export async function readPlannedTask(store: ObjectStore, key: string, task: number): Promise<PlannedTask> {
  const file = await opened(store, key);
  const { header } = file;
  return { ...header, partition: header.count === 0 ? undefined : await file.partition(task) };
}

/** A partitions file of which the header was read. */
interface PartitionsFile {
  readonly header: PlanHeader;
  partition(task: number): Promise<unknown>;
}

/** How many files of a store stay open. A process works on one batch, or on two for a moment. */
const MOST_OPEN = 2;

const openFiles = new WeakMap<ObjectStore, Map<string, Promise<PartitionsFile>>>();

/** Returns the file if it is open. Otherwise opens it, and closes the one that was opened first. */
async function opened(store: ObjectStore, key: string): Promise<PartitionsFile> {
  const files = openFiles.get(store) ?? new Map<string, Promise<PartitionsFile>>();
  openFiles.set(store, files);
  const known = files.get(key);
  if (known !== undefined) return await known;
  const opening = openFile(store, key);
  files.set(key, opening);
  for (const oldest of files.keys()) if (files.size > MOST_OPEN) files.delete(oldest);
  try {
    return await opening;
  } catch (error) {
    if (files.get(key) === opening) files.delete(key);
    throw error;
  }
}

async function openFile(store: ObjectStore, key: string): Promise<PartitionsFile> {
  const layout = layoutOf(key);
  if (layout === undefined || fileBytes(layout) <= SMALL_BYTES) return await openWhole(store, key);
  const read = async (start: number, end: number) =>
    present(store, key, await store.getRange(key, start, end));
  return openRanges(store, key, layout, read);
}

/** Opens a file with one request. */
async function openWhole(store: ObjectStore, key: string): Promise<PartitionsFile> {
  const bytes = present(store, key, await store.get(key));
  const layout = layoutOf(key);
  if (layout === undefined) {
    const { header, partitions } = checked(store, key, () => decodeOldFile(bytes));
    return { header, partition: async (task) => partitions[task] };
  }
  if (bytes.length !== fileBytes(layout))
    throw damaged(store, key, `it has ${bytes.length} bytes, not ${fileBytes(layout)}`);
  return await openRanges(store, key, layout, async (start, end) => bytes.subarray(start, end));
}

async function openRanges(
  store: ObjectStore,
  key: string,
  layout: FileLayout,
  read: (start: number, end: number) => Promise<Uint8Array>,
): Promise<PartitionsFile> {
  const first = await read(0, layout.headerBytes);
  const header = checked(store, key, () => decodeHeader(layout, first));
  return {
    header,
    async partition(task) {
      const entry = indexRange(layout, task);
      const index = await read(entry.start, entry.end);
      const range = checked(store, key, () => decodeIndex(layout, index));
      const line = await read(range.start, range.end);
      return checked(store, key, () => decodePartition(task, line, range));
    },
  };
}

function present(store: ObjectStore, key: string, bytes: Uint8Array | undefined): Uint8Array {
  if (bytes !== undefined) return bytes;
  throw new MillraceError("PARTITIONS_MISSING", `the partitions file ${key} is gone`, {
    where: { path: `${store.location}/${key}` },
    hint: "Somebody deleted it from the pipeline's store: restore it; the ledger names it.",
  });
}

/** Throws `PARTITIONS_MISSING`, which names the file, if `decode` finds that it is damaged. */
function checked<T>(store: ObjectStore, key: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    throw error instanceof PartitionsFormatError ? damaged(store, key, error.message) : error;
  }
}

function damaged(store: ObjectStore, key: string, problem: string): MillraceError {
  return new MillraceError("PARTITIONS_MISSING", `the partitions file ${key} is damaged: ${problem}`, {
    where: { path: `${store.location}/${key}` },
    hint: "Somebody changed it in the pipeline's store: restore it; the ledger names it.",
  });
}
