import type { Schema } from "apache-arrow";
import { decodeSchema, encodeSchema } from "../arrow/ipc-file.ts";
import { type ErrorLocation, MillraceError } from "../contract/errors.ts";
import { findNonJson, hintOfNonJson, kindOf } from "../contract/json.ts";
import { batchDigits } from "../contract/keys.ts";
import type { ObjectStore } from "../contract/object-store.ts";
import type { Offset } from "../contract/offset.ts";
import { BATCH_FILE, type ListedTask, STORE_FOLDER } from "../contract/store-layout.ts";
import { checkOverlap } from "./overlap.ts";

/**
 * The plan of a batch apart from its offsets. A replay uses this stored plan and does not ask the
 * source again.
 */
export interface PlannedPartitions {
  readonly schema: Schema;
  readonly partitions: readonly unknown[];
  /** Key of the Arrow IPC file with the rows that a simple reader returned while planning. */
  readonly rowsKey?: string;
  /** Offsets of the batch, for messages about its tasks. Files of older versions lack them. */
  readonly start?: Offset;
  readonly end?: Offset;
}

/**
 * An element of the file's JSON array. There is one entry per task, so that a distributed Map can
 * iterate over them. The first entry also has the schema, the offsets and, for a simple reader, the
 * key of the rows. A batch without partitions has one entry without `partition`.
 */
interface Entry extends ListedTask {
  readonly schema?: string;
  readonly rows?: string;
  readonly start?: Offset;
  readonly end?: Offset;
  readonly partition?: unknown;
}

/** Returns the folder of the engine's files for a batch, such as `batches/000000000012/`. */
export function batchFolder(batchId: number): string {
  return `${STORE_FOLDER.batches}/${batchDigits(batchId)}/`;
}

/**
 * Returns the key of a new partitions file. The epoch in the name tells vacuum whether the run that
 * wrote the file can still record it in the ledger.
 */
export function partitionsKey(batchId: number, epoch: number, id: string): string {
  return `${batchFolder(batchId)}${BATCH_FILE.partitions}${epoch}-${id}.json`;
}

/**
 * Returns the key of the rows that a simple reader returned for this plan. Vacuum treats both files
 * alike.
 */
export function rowsKey(partitionsKey: string): string {
  return partitionsKey.replace(/\.json$/, ".arrow");
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
 * Returns the key of a todo file. It lists some tasks of a batch, in the format of a partitions
 * file, for a distributed Map that runs only these.
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

export async function writePartitionsFile(
  store: ObjectStore,
  key: string,
  planned: PlannedPartitions,
): Promise<void> {
  const schema = encodeSchema(planned.schema);
  const tasks: Entry[] = planned.partitions.map((partition, task) => ({ task, partition }));
  const { rowsKey: rows, start, end } = planned;
  const ofBatch = {
    ...(rows === undefined ? {} : { rows }),
    ...(start === undefined ? {} : { start }),
    ...(end === undefined ? {} : { end }),
  };
  await writeEntries(store, key, [{ ...(tasks[0] ?? { task: 0 }), ...ofBatch, schema }, ...tasks.slice(1)]);
}

/** Writes a todo file: the tasks of a batch that still have to run. */
export async function writeTodo(store: ObjectStore, key: string, todo: readonly number[]): Promise<void> {
  await writeEntries(
    store,
    key,
    todo.map((task) => ({ task })),
  );
}

async function writeEntries(store: ObjectStore, key: string, entries: readonly Entry[]): Promise<void> {
  // The result of `put` is ignored. The key contains a unique id, so it can only exist if an
  // earlier try of this call wrote it.
  await store.put(key, Buffer.from(JSON.stringify(entries)));
}

export async function readPartitionsFile(store: ObjectStore, key: string): Promise<PlannedPartitions> {
  const bytes = await store.get(key);
  if (bytes === undefined) {
    throw new MillraceError("PARTITIONS_MISSING", `the partitions file ${key} is gone`, {
      where: { path: `${store.location}/${key}` },
      hint: "Somebody deleted it from the pipeline's store: restore it; the ledger names it.",
    });
  }
  const entries = parseEntries(bytes);
  if (entries === undefined) {
    throw new MillraceError("PARTITIONS_MISSING", `the partitions file ${key} is damaged: it is not JSON`, {
      where: { path: `${store.location}/${key}` },
      hint: "Somebody changed it in the pipeline's store: restore it; the ledger names it.",
    });
  }
  const { rows, start, end, schema = "" } = entries[0] ?? {};
  return {
    schema: decodeSchema(schema),
    ...(rows === undefined ? {} : { rowsKey: rows }),
    ...(start === undefined ? {} : { start }),
    ...(end === undefined ? {} : { end }),
    partitions: entries.flatMap((entry) => ("partition" in entry ? [entry.partition] : [])),
  };
}

function parseEntries(bytes: Uint8Array): readonly Entry[] | undefined {
  try {
    const entries: unknown = JSON.parse(Buffer.from(bytes).toString());
    return Array.isArray(entries) ? (entries as readonly Entry[]) : undefined;
  } catch {
    return undefined;
  }
}
