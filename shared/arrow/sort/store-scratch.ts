import type { ObjectStore } from "../../contract/object-store.ts";
import type { Scratch } from "../../contract/scratch.ts";

/**
 * Returns a place for runs in a store, with keys that begin with `prefix`. It must be another one
 * for each attempt of a task, because a store never overwrites.
 */
export function storeScratch(store: ObjectStore, prefix: string): Scratch {
  const keyOf = (run: number) => `${prefix}run-${run}`;
  return {
    async write(run, chunks) {
      if (!(await store.put(keyOf(run), chunks))) throw new Error(`${keyOf(run)} exists already`);
    },
    read: async (run, start, end) => (await store.getRange(keyOf(run), start, end)) ?? new Uint8Array(),
    delete: async (runs) => await store.delete(runs.map(keyOf)),
  };
}
