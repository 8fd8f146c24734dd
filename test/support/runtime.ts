import type { DataSourceRuntime, Runtime } from "../../shared/contract/context.ts";
import { DirectoryStore } from "../../shared/platform/embedded/directory-store.ts";
import { MemoryStore } from "../../shared/platform/memory/memory-store.ts";

/** Adds a store and a way to open folders to a runtime. A data source receives such a runtime. */
export function withStores(runtime: Runtime): DataSourceRuntime {
  return Object.assign(Object.create(runtime) as Runtime, {
    store: new MemoryStore({ objects: new Map(), uploads: new Map(), now: () => runtime.now() }),
    openStore: (location: string) => new DirectoryStore(location),
  });
}
