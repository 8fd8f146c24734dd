import type { ObjectStore } from "../../contract/object-store.ts";

/**
 * A store that is opened by its first call. Most runs never need the S3 SDK, which takes a while to
 * load.
 */
export function lazyStore(location: string, open: () => Promise<ObjectStore>): ObjectStore {
  let opened: Promise<ObjectStore> | undefined;
  const store = (): Promise<ObjectStore> => {
    opened ??= open();
    return opened;
  };
  return {
    location,
    at: (folder) => lazyStore(`${location}/${folder}`, async () => (await store()).at(folder)),
    put: async (...args) => await (await store()).put(...args),
    get: async (...args) => await (await store()).get(...args),
    getRange: async (...args) => await (await store()).getRange(...args),
    stat: async (...args) => await (await store()).stat(...args),
    async *list(...args) {
      yield* (await store()).list(...args);
    },
    delete: async (...args) => await (await store()).delete(...args),
    async *listUnfinished(...args) {
      yield* (await store()).listUnfinished(...args);
    },
    abandon: async (...args) => await (await store()).abandon(...args),
  };
}
