import type { DataSourceRuntime } from "../../contract/context.ts";
import { optional } from "../../contract/optional.ts";
import { STORE_FOLDER } from "../../contract/store-layout.ts";
import type { Ports } from "../ports/runtime.ts";

/** Builds the runtime that the constructor of a data source receives. */
export function dataSourceRuntime({ runtime, store, ...ports }: Ports): DataSourceRuntime {
  return {
    now: () => runtime.now(),
    monotonic: () => runtime.monotonic(),
    newId: () => runtime.newId(),
    random: () => runtime.random(),
    sleep: (milliseconds, signal) => runtime.sleep(milliseconds, signal),
    env: runtime.env,
    store: store.at(STORE_FOLDER.source),
    openStore: (location, access) => ports.openStore(location, access),
    ...optional("home", ports.home),
  };
}
