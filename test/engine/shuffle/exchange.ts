import type { RecordBatch, Schema } from "apache-arrow";
import type { ObjectStore } from "../../../shared/contract/object-store.ts";
import { readShuffled } from "../../../shared/engine/shuffle/read.ts";
import { planShuffled } from "../../../shared/engine/shuffle/segments.ts";
import type { ShuffledPartition, ShuffleOutput, ShuffleSpec } from "../../../shared/engine/shuffle/spec.ts";
import { splitRows } from "../../../shared/engine/shuffle/split.ts";
import { MemoryStore } from "../../../shared/platform/memory/memory-store.ts";

export const signal: AbortSignal = new AbortController().signal;

export function memoryStore(): MemoryStore {
  return new MemoryStore({ objects: new Map(), uploads: new Map(), now: () => 0 });
}

/** Options of a spec that tests mostly use. */
export const FIXED = { isFixed: true, targetBytes: 0, maySplit: false } as const;

export async function split(
  store: ObjectStore,
  schema: Schema,
  spec: ShuffleSpec,
  tasks: readonly (readonly RecordBatch[])[],
  memoryBytes = 1e9,
): Promise<readonly ShuffleOutput[]> {
  const outputs: ShuffleOutput[] = [];
  for (const [task, batches] of tasks.entries()) {
    const all = async function* () {
      yield* batches;
    };
    const options = { store, key: `shuffle/${task}`, memoryBytes, task, signal, where: {} };
    outputs.push(await splitRows(all(), schema, spec, options));
  }
  return outputs;
}

export async function read(
  store: ObjectStore,
  schema: Schema,
  partition: ShuffledPartition,
): Promise<RecordBatch[]> {
  return await Array.fromAsync(readShuffled(store, schema, partition, { signal, where: {} }));
}

/** Sends the rows of tasks through a shuffle. Returns the record batches of each partition. */
export async function shuffled(
  schema: Schema,
  spec: ShuffleSpec,
  tasks: readonly (readonly RecordBatch[])[],
  memoryBytes?: number,
): Promise<readonly RecordBatch[][]> {
  const store = memoryStore();
  const outputs = await split(store, schema, spec, tasks, memoryBytes);
  // Plans and messages are kept as JSON.
  const plan = planShuffled(spec, JSON.parse(JSON.stringify(outputs)) as ShuffleOutput[]);
  const partitions = JSON.parse(JSON.stringify(plan)) as ShuffledPartition[];
  return await Promise.all(partitions.map((partition) => read(store, schema, partition)));
}
