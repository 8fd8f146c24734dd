import type { Runtime } from "../../contract/context.ts";
import type { ObjectStore, StoreAccess } from "../../contract/object-store.ts";
import type { Scratch } from "../../contract/scratch.ts";
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
  /** The store with the table, if it is not `store`: a backfill writes its pipeline's table. */
  readonly tableStore?: ObjectStore;
  openStore(location: string, access?: StoreAccess): ObjectStore;
  /**
   * Returns a place for rows that exceed the memory of a task, below this folder of the pipeline's
   * store. Absent if there is none but the store itself.
   */
  openScratch?(folder: string): Scratch;
  /** The folder of the home, which all pipelines of this machine share. Absent on AWS. */
  readonly home?: string;
  readonly runtime: Runtime;
}
