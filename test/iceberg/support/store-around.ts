import type { ObjectStore } from "../../../shared/contract/object-store.ts";

/** Makes a call of a store. `key` is empty if the call has no key, or several. */
type Around = <T>(key: string, body: () => Promise<T>) => Promise<T>;

/**
 * Returns a store whose calls, except listings, are made by `around`. `onPut` learns the size of
 * each object that is put as a whole.
 */
export function storeAround(
  inner: ObjectStore,
  around: Around,
  onPut?: (key: string, bytes: number) => void,
): ObjectStore {
  return {
    location: inner.location,
    put: (key, body) => {
      if (body instanceof Uint8Array) onPut?.(key, body.length);
      return around(key, () => inner.put(key, body));
    },
    get: (key) => around(key, () => inner.get(key)),
    getRange: (key, start, end, etag) => around(key, () => inner.getRange(key, start, end, etag)),
    list: (prefix, options) => inner.list(prefix, options),
    stat: (keys) => around("", () => inner.stat(keys)),
    delete: (keys) => around("", () => inner.delete(keys)),
    listUnfinished: (prefix) => inner.listUnfinished(prefix),
    abandon: (upload) => around("", () => inner.abandon(upload)),
    at: (folder) => storeAround(inner.at(folder), around, onPut),
  };
}
