import type { Runtime } from "../../contract/context.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import type { Ledger } from "./ledger.ts";

/** All that the engine sees of the world: two stores, a clock, chance and the environment. */
export interface Ports {
  readonly ledger: Ledger;
  /**
   * The store of the pipeline that is run: its partitions files, its large messages, its table
   * unless that is elsewhere.
   */
  readonly store: ObjectStore;
  openStore(location: string): ObjectStore;
  readonly runtime: Runtime;
}
