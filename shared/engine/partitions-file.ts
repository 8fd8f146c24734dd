import type { Schema } from "apache-arrow";
import { decodeSchema, encodeSchema } from "../arrow/ipc-file.ts";
import { type ErrorLocation, MillraceError } from "../contract/errors.ts";
import { findNonJson, hintOfNonJson, kindOf } from "../contract/json.ts";
import { batchDigits } from "../contract/keys.ts";
import type { ObjectStore } from "../contract/object-store.ts";
import type { Offset } from "../contract/offset.ts";
import { BATCH_FILE, type ListedTask, STORE_FOLDER } from "../contract/store-layout.ts";
import { checkOverlap } from "./overlap.ts";

/** What was planned for a batch, besides its offsets: a replay uses this, whatever the source would say by then. */
export interface PlannedPartitions {
  readonly schema: Schema;
  readonly partitions: readonly unknown[];
  /** Where the rows of a simple reader's batch are kept: an Arrow IPC file. */
  readonly rowsKey?: string;
  /** Offsets of the batch, for whoever tells of its tasks; absent in files of an older version. */
  readonly start?: Offset;
  readonly end?: Offset;
}

/**
 * What the file holds: a JSON array with one entry for each task, so that a distributed Map can go through it. The first one also has
 * the schema, the offsets of the batch, and of a simple reader the key of the rows. The one task of a batch without partitions has none.
 */
interface Entry extends ListedTask {
  readonly schema?: string;
  readonly rows?: string;
  readonly start?: Offset;
  readonly end?: Offset;
  readonly partition?: unknown;
}

/** `batches/000000000012/`: what the engine keeps for a batch. */
export function batchFolder(batchId: number): string {
  return `${STORE_FOLDER.batches}/${batchDigits(batchId)}/`;
}

/** The epoch in the name tells vacuum whether the run that wrote the file can still record it. */
export function partitionsKey(batchId: number, epoch: number, id: string): string {
  return `${batchFolder(batchId)}${BATCH_FILE.partitions}${epoch}-${id}.json`;
}

/** The rows that were read for the plan of that partitions file: they live and die with it. */
export function rowsKey(partitionsKey: string): string {
  return partitionsKey.replace(/\.json$/, ".arrow");
}

const BATCH_KEY = new RegExp(
  `^${STORE_FOLDER.batches}/(\\d{12})/(?:(?:${BATCH_FILE.partitions}|${BATCH_FILE.todo})(\\d+)-)?`,
);

/** Batch id and epoch of a key in a batch's folder; a large message has no epoch. */
export function parseBatchKey(
  key: string,
): { readonly batchId: number; readonly epoch: number | undefined } | undefined {
  const match = BATCH_KEY.exec(key);
  if (match === null) return undefined;
  return { batchId: Number(match[1]), epoch: match[2] === undefined ? undefined : Number(match[2]) };
}

/** A list of tasks in the form of a partitions file, for a state machine that goes through part of a batch. */
export function todoKey(batchId: number, epoch: number, id: string): string {
  return `${batchFolder(batchId)}${BATCH_FILE.todo}${epoch}-${id}.json`;
}

/** What a reader planned, where it is an array. Error: `PARTITIONS_NOT_AN_ARRAY`. */
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

/** Errors: `PARTITION_NOT_JSON`, with the place; `PARTITIONS_OVERLAP`; `TOO_MANY_PARTITIONS`. */
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

/** Some tasks of a batch, to go through in place of all. */
export async function writeTodo(store: ObjectStore, key: string, todo: readonly number[]): Promise<void> {
  await writeEntries(
    store,
    key,
    todo.map((task) => ({ task })),
  );
}

async function writeEntries(store: ObjectStore, key: string, entries: readonly Entry[]): Promise<void> {
  // The key has an id of its own: where it is taken, an earlier try of this very put has taken it.
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
  const entries = JSON.parse(Buffer.from(bytes).toString()) as readonly Entry[];
  const { rows, start, end, schema = "" } = entries[0] ?? {};
  return {
    schema: decodeSchema(schema),
    ...(rows === undefined ? {} : { rowsKey: rows }),
    ...(start === undefined ? {} : { start }),
    ...(end === undefined ? {} : { end }),
    partitions: entries.flatMap((entry) => ("partition" in entry ? [entry.partition] : [])),
  };
}
