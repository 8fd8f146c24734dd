import type { ObjectStore } from "../../../shared/contract/object-store.ts";

/** Makes a call of a store. `key` is empty if the call has no key, or several. */
type Around = <T>(key: string, body: () => Promise<T>) => Promise<T>;

/** Returns a store whose calls, except listings, are made by `around`. */
export function storeAround(inner: ObjectStore, around: Around): ObjectStore {
  return {
    location: inner.location,
    put: (key, body) => around(key, () => inner.put(key, body)),
    get: (key) => around(key, () => inner.get(key)),
    getRange: (key, start, end, etag) => around(key, () => inner.getRange(key, start, end, etag)),
    list: (prefix, options) => inner.list(prefix, options),
    stat: (keys) => around("", () => inner.stat(keys)),
    delete: (keys) => around("", () => inner.delete(keys)),
    listUnfinished: (prefix) => inner.listUnfinished(prefix),
    abandon: (upload) => around("", () => inner.abandon(upload)),
    at: (folder) => storeAround(inner.at(folder), around),
  };
}
