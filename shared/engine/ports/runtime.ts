import type { Runtime } from "../../contract/context.ts";
import type { ObjectStore, StoreAccess } from "../../contract/object-store.ts";
import type { Ledger } from "./ledger.ts";

/**
 * Everything outside the engine that it uses: the ledger, the stores, the clock, random numbers and
 * the environment variables.
 */
export interface Ports {
  readonly ledger: Ledger;
  /**
   * The store of the running pipeline. It holds partitions files, large commit messages and, unless
   * it has another path, the table.
   */
  readonly store: ObjectStore;
  openStore(location: string, access?: StoreAccess): ObjectStore;
  /** The folder of the home, which all pipelines of this machine share. Absent on AWS. */
  readonly home?: string;
  readonly runtime: Runtime;
}
